"""`python -m pipeline.cli`: the command `veille`, where it is not on the path.

Does nothing of its own.
"""

from pipeline.cli import main

main()
