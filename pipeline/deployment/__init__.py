"""The stack of docker-compose.yml: what its set-up does, before anything else runs.

Starts no container; `docker compose` does, and `make rehearse` runs the same services without one.
`passwords` makes the secrets and refuses weak ones, `accounts` (and `store.databases`) give each part of the
stack an account of its own in Elasticsearch (and PostgreSQL), `indices` makes the search index, `health` is
what health checks ask.
"""
