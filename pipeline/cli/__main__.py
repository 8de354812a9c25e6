"""`python -m pipeline.cli`: the command `veille`, where it is not on the path."""

from pipeline.cli import main

main()
