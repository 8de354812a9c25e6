"""What Kibana shows: a data view, saved searches and dashboards, made from YAML files that people can read.

Talks to Elasticsearch nowhere: Kibana does. `panels` holds the values, `source` reads config/kibana/*.yaml,
`lens` makes Kibana's own description of a chart, `objects` puts all of it into the one file that Kibana
imports, `checking` says what would be wrong with such a file (`charts` with a chart, by the `rules` of both),
`importing` sends it.

Kibana is not part of the tests. What it takes is known from its source and from the sample data it ships: the
versions here are theirs, which every Kibana from 8.11 on brings up to date while it imports.
"""
