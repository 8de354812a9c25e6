"""The stages, one a file: what is done with an entry that is due, what is written of it, where it goes next.

They do not know runs and their steps: `pipeline.steps` does.
"""
