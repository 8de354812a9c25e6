"""Veille: an open watch over the French press.

One concept a file. Read them in the order in which an article passes: `model` and `errors` first, then
`settings`, `catalogue`; `web`, which asks servers; `reading`, which makes entries of feeds and articles of
pages; `urls`, `naming`, `tokens` with `memo`, `fingerprints`, by which articles are told apart; `topics`;
`archive`, `workers`, `store`, `search` with `query`, which keep and find; `stages`, which work through rows,
`steps`, which draws the arrows between them, `runtime`, which chooses the engines; `kibana`, what people see
of the index there, and `deployment`, the stack of docker-compose.yml; `checkup`, what Veille stands on, with
`installation`; and last `cli` with `wording`. Imports none of them itself: what a command does not need is
not loaded.
"""
