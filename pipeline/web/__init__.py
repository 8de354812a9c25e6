"""The only place of outgoing HTTP: what may be contacted, how, and what came back.

`addresses` judges, `wire` connects, `fetch` asks; `codings`, `responses` and `robots` read the answers. Does
not know feeds or articles, and does not decide when anybody is asked: that is `stages`.
"""
