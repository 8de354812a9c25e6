"""What was written, brought to the disk: beyond the reach of a power cut.

Does not write anything.
"""

import os
from pathlib import Path


def sync_names(folder: Path) -> None:
    """Bring the names in `folder` to the disk: files that were made, renamed or removed. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
