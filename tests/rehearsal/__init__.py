"""docker-compose.yml without a container engine: its services as processes of this machine.

Changes none of them. `compose` reads the file, `world` says where the containers' world lies here
(`table.yaml`), `services` runs a service with its own command, environment and health check, `stores` runs
PostgreSQL and Elasticsearch as their images would, and `stage` puts all of it on and off. `python
tests/rehearsal` is the rehearsal.
"""
