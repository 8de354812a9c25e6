"""A real Elasticsearch for tests, without a container: one for each test run, gone when the run has ended.

Knows nothing of Veille. `parts` gets the server, `server` runs it, `sharing` shares it between processes;
`python tests/searchserver` runs one for a developer.
"""
