"""Veille: an open watch over the French press.

The modules are flat, one concept a file. Read them in the order in which an article passes:
`model`, `errors`, `settings`, `yamlfile`, `catalogue`; then `urls`, `naming`, `feeds`, `dates`, `articles`,
`language`, `tokens`, `fingerprints`, `rules`, `terms`, `topics`, `rulebook`, `query`, `ndjson`; then the
edges `fetch`, `disk`, `archive`, `workers`, `store`, `search`; and last `steps`, which draws the arrows,
`runtime`, which chooses the engines, and `cli`.
"""
