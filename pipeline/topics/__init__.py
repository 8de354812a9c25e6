"""Topics, by rules that explain themselves.

`rules` is what a rule says, `terms` the words it says it with, `tagger` how rules are applied to a text,
`rulebook` how they are read from YAML. Does not know articles as the store keeps them: that is `stages.tag`.
"""
