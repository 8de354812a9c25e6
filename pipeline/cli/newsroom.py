"""`veille newsroom`: the sample newsroom alone, with its clock.

Decides nothing about what is served; `pipeline.newsroom` does.
"""

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import console as show
from pipeline.cli.options import moment
from pipeline.errors import ConfigError
from pipeline.installation import ROOT
from pipeline.newsroom.server import Newsroom
from pipeline.newsroom.serving import serve
from pipeline.settings import from_environment

GAP_SECONDS = "0.05"  # the newsroom is ours: it need not be spared


def newsroom(
    home: Annotated[
        str,
        typer.Option(
            help="Folder that keeps its port, dates and clock.", show_default="newsroom in the home"
        ),
    ] = "",
    port: Annotated[
        int, typer.Option(help="Move it to this port; its addresses change.", min=0, max=65_535)
    ] = 0,
    now: Annotated[str, typer.Option(help="The moment it believes it is: 2026-03-01T08:00.")] = "",
    tick: Annotated[
        float | None,
        typer.Option(help="Seconds that pass in it for each real one; 0 stops it, to step by --now."),
    ] = None,
    settings: Annotated[
        bool,
        typer.Option(
            "--settings",
            help="Only write the settings with which Veille reads it now; --now and --tick set its clock.",
        ),
    ] = False,
) -> None:
    """Serve the sample newsroom until Ctrl-C, and say with which settings Veille reads it."""
    folder = _folder(home)
    shown = moment(now, show.PARIS, "--now") if now else None
    if settings:
        if port:
            raise ConfigError(
                "--port moves a newsroom when it is started; --settings starts none",
                hint=f"veille newsroom --port {port}, then --settings in another terminal",
            )
        served = Newsroom(folder)
        if shown or tick is not None:
            served.set_clock(shown, tick=tick)
        _prepare(served, folder)
        typer.echo(_exports(served, folder))
        return
    serve(
        Newsroom(folder, port=port, now=shown, tick=tick),
        announce=lambda served: _announcement(served, folder),
    )


def _folder(named: str) -> Path:
    """The home that is named, else Veille's own where a newsroom is kept in it, else one inside."""
    if named:
        return Path(named).expanduser().absolute()
    home = from_environment().home
    return home if (home / "newsroom.json").exists() else home / "newsroom"


def _prepare(served: Newsroom, folder: Path) -> None:
    served.write_config(folder / "config")
    shutil.copytree(ROOT / "config" / "topics", folder / "config" / "topics", dirs_exist_ok=True)


def _announcement(served: Newsroom, folder: Path) -> str:
    _prepare(served, folder)
    first, last = map(show.when, served.span)
    settings = f"veille newsroom --home {shlex.quote(str(folder))} --settings"
    return f"""
It is {show.when(served.now)} in the newsroom, in Paris. It has news from {first} to {last}.

To read it, say in another terminal (again whenever its clock was set):
  eval "$({settings})"
which says:
{_exports(served, folder)}
{_of_tick(served, settings)}
Ctrl-C ends it."""


def _of_tick(served: Newsroom, settings: str) -> str:
    """Veille's clock may be shifted, and goes as everybody's: it cannot follow one that goes otherwise."""
    if served.tick == 1:
        return ""
    goes = f"goes {served.tick:g} seconds a second" if served.tick else "stands still"
    return f"""
Its clock {goes}, Veille's does not: these settings hold for this moment only.
To play days, set it step by step, as often as you like:
  eval "$({settings} --tick 0 --now {served.now.astimezone(show.PARIS):%Y-%m-%dT%H:%M})"; veille ingest
"""


def _exports(served: Newsroom, folder: Path) -> str:
    """The settings, as a shell takes them: the library lies beside the newsroom, never among yours."""
    values = {
        "VEILLE_HOME": str(folder),
        "VEILLE_CONFIG": str(folder / "config"),
        "VEILLE_ARCHIVE": str(folder / "archive"),
        "VEILLE_DATABASE_URL": "",
        "VEILLE_INDEX_URL": "",
        "VEILLE_ALLOW_HOSTS": ",".join(served.hosts),
        "VEILLE_HOST_GAP_SECONDS": GAP_SECONDS,
        "VEILLE_CLOCK_OFFSET": str(round(served.offset)),
    }
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())
