"""What a newsroom keeps between two starts, and the file that keeps it.

Does not change it; `server` does.
"""

import json
import os
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.errors import ConfigError, NotFound
from pipeline.newsroom.clock import Clock
from pipeline.newsroom.printing import Printing


@dataclass(frozen=True, slots=True)
class State:
    """One newsroom, apart from what all newsrooms share."""

    epoch: datetime  # what its clock showed at its first start
    port: int
    salt: str  # makes the ETags of two newsrooms differ, even on one port
    clock: Clock

    def printing(self, now: datetime) -> Printing:
        return Printing(self.epoch, self.port, now)


def read(file: Path) -> State:
    """What `file` keeps. Raises NotFound where there is none, ConfigError where it is damaged."""
    try:
        kept = json.loads(file.read_text("utf-8"))
        clock = kept["clock"]
        real, shown = (datetime.fromisoformat(clock[name]) for name in ("real", "shown"))
        epoch = datetime.fromisoformat(kept["epoch"])
        return State(epoch, int(kept["port"]), str(kept["salt"]), Clock(real, shown, float(clock["tick"])))
    except FileNotFoundError as error:
        raise NotFound(
            f"the newsroom in {file.parent} has never been started",
            hint=f"veille newsroom --home {file.parent}",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file} is damaged: {error!r}",
            hint=f"rm {file} (the newsroom then starts afresh)",
        ) from error


def write(file: Path, state: State) -> None:
    """Keep `state` in `file`; the next `read` gives it back."""
    clock = state.clock
    values = {
        "epoch": state.epoch.isoformat(),
        "port": state.port,
        "salt": state.salt,
        "clock": {"real": clock.real.isoformat(), "shown": clock.shown.isoformat(), "tick": clock.tick},
    }
    replace_file(file, json.dumps(values, indent=2) + "\n")


def replace_file(file: Path, text: str) -> None:
    """Whole or not at all: a reader never sees half a file."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(text, "utf-8")
    draft.replace(file)
