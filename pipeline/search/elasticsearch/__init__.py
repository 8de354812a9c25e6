"""The search index of production: Elasticsearch, which people read with Kibana too.

Does not open anything when it is entered: `index` holds the class that keeps the promises of
`pipeline.search.Index`, the modules beside it what it is made of.
"""
