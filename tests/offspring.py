"""How tests start programs that take longer than a moment: they end with the tests, however these end."""

import os
import sys

PROGRAM = (sys.executable, "-m", "pipeline.offspring", str(os.getpid()))
VEILLE = (*PROGRAM, "-m", "pipeline.cli")
