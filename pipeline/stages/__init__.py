"""The stages, one a file: what is done with an entry that is due, and what is written of it.

They do not know which stage comes before or after in a run; `pipeline.steps` draws the arrows.
"""
