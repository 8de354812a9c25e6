"""How tests start programs that take longer than a moment: they end with the tests, however these end."""

import sys

PROGRAM = (sys.executable, "-m", "pipeline.offspring")
VEILLE = (*PROGRAM, "-m", "pipeline.cli")
