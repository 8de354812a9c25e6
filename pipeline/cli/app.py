"""The application: its commands, put together, and the one place where errors become messages.

Does not know what a command does.
"""

import errno
import logging
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any, NoReturn

import typer

from pipeline.cli import (
    dossiers,
    feeds,
    ingesting,
    kibana,
    library,
    newsroom,
    output,
    pages,
    runs,
    searching,
    texts,
)
from pipeline.cli.console import error_console
from pipeline.errors import Permanent, VeilleError, place_of
from pipeline.installation import repair
from pipeline.logs import configure, file_of
from pipeline.settings import from_environment

# click's root error, which typer ships under a private name
UsageProblem: Any = typer.BadParameter.__mro__[2]
# What to do about an error of the system, whichever part of Veille meets it first.
SPACE = "free some space and run the command again; nothing was lost"
OURS = "set VEILLE_HOME to a folder of yours"
MEMORY = "free some memory and run the command again; veille doctor says how much is needed"
# What is said of a file or folder that is not ours, or not what is expected there.
PLACES = (
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.EEXIST,
    errno.EISDIR,
)
HINTS = (
    dict.fromkeys((errno.ENOSPC, errno.EDQUOT), SPACE)
    | dict.fromkeys(PLACES, OURS)
    | {errno.ENOENT: "cd ~, then run the command again; the folder it was started in is gone"}
    | dict.fromkeys((errno.EMFILE, errno.ENFILE), "ulimit -n 4096, then run the command again")
    | dict.fromkeys((errno.ENOMEM, errno.EAGAIN), MEMORY)
)

app = typer.Typer(
    help="An open watch over the French press.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
saved_feeds = typer.Typer(help="Look into feeds, or take saved ones.", no_args_is_help=True)
documents = typer.Typer(help="Take articles that are already text.", no_args_is_help=True)
index = typer.Typer(help="The search index.", no_args_is_help=True)
saved_objects = typer.Typer(help="What Kibana shows.", no_args_is_help=True)
run_reports = typer.Typer(help="Runs and their reports.", invoke_without_command=True)

app.command()(ingesting.demo)
app.command()(newsroom.newsroom)
app.command()(ingesting.ingest)
app.command()(ingesting.retry)
app.command()(searching.search)
app.command("show")(dossiers.show_article)
app.command()(pages.extract)
app.command()(texts.language)
app.command()(texts.tag)
app.command()(texts.compare)
app.command()(pages.canonical)
app.add_typer(saved_feeds, name="feeds")
saved_feeds.command("parse")(feeds.parse_feed)
saved_feeds.command("import")(feeds.import_feeds)
app.add_typer(documents, name="documents")
documents.command("import")(ingesting.import_documents)
app.command()(library.sources)
app.command()(library.topics)
app.add_typer(index, name="index")
index.command("setup")(library.set_up_index)
index.command("rebuild")(library.rebuild_index)
index.command("check")(library.check_index)
index.command("reconcile")(library.reconcile_index)
index.command("retry")(library.retry_index)
app.add_typer(saved_objects, name="kibana")
saved_objects.command("import")(kibana.import_objects)
app.command()(library.status)
app.add_typer(run_reports, name="runs")
run_reports.callback()(runs.list_runs)
run_reports.command("show")(runs.show_run)
app.command()(library.doctor)


def run() -> None:
    """Run a command; turn what goes wrong into one message and an exit code."""
    logging.getLogger("pipeline").addHandler(logging.NullHandler())
    if sys.stderr is None:  # closed: messages are lost, not the command
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  as long as the process
    try:
        sys.exit(_command() or 0)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("interrupted; what was done is kept", "run the same command again to go on", code=130)
    except BrokenPipeError:
        _forget_output()
        sys.exit(141)
    except UsageProblem as error:
        _complain_of_usage(error)
    except Exception as error:
        logging.getLogger("pipeline").exception("%s", type(error).__name__)
        _complain(*_told(error))


def _complain_of_usage(error: Any) -> NoReturn:
    """Of options and arguments; a group of commands without any shows its help."""
    context = getattr(error, "ctx", None)
    called = context.command_path if context else "veille"
    if error.format_message().startswith("Usage:"):
        error.show()
        sys.exit(2)
    if called == "veille search" and re.match("-[^-]", getattr(error, "option_name", "")):
        _complain(
            f"{error.format_message()}: words that start with a dash stand behind --",
            "veille search -- -word",
            code=2,
        )
    _complain(error.format_message(), f"{called} --help", code=2)


def _told(error: Exception) -> tuple[str, str]:
    """What is told of an error: the cause, and the next command."""
    if isinstance(error, VeilleError):
        return str(error), error.hint
    if isinstance(error, OSError):
        if error.filename == output.NAME:
            _forget_output()
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return said, _what_to_do(error)
    if isinstance(error, ImportError):
        return f"a library is missing or broken: {error}", repair()
    if isinstance(error, MemoryError):
        return "there is not enough memory", MEMORY
    # A bug. Its message may quote a page, and stays in the log.
    log = file_of(from_environment())
    if os.path.exists(log):  # noqa: PTH110  as below
        return place_of(error), f"please report it, with the end of {log}"
    return place_of(error), "run it again with VEILLE_LOG=text, and please report what it says then"


def _what_to_do(error: OSError) -> str:
    """The next command after an error of the system, which may have come upon any file."""
    named = isinstance(error.filename, str | bytes) and error.filename != output.NAME  # not a descriptor
    if not named or error.errno not in (*PLACES, errno.ENOENT):
        return HINTS.get(error.errno or 0, "veille doctor")
    path, home = Path(os.fsdecode(error.filename)).absolute(), from_environment().home
    if path.is_relative_to(home) or home.is_relative_to(path):
        return OURS
    # Not Path.exists, which raises where the folder may not be entered.
    return f"ls -ld {shlex.quote(str(path if os.path.exists(path) else path.parent))}"  # noqa: PTH110


def _command() -> int | None:
    """Run what the arguments say. Calling `app` would keep interruptions and broken pipes from us."""
    if sys.stdout is None:
        raise Permanent("standard output is closed", hint="veille … > /dev/null, if nobody is to read it")
    sys.stdout = output.opened(sys.stdout)
    configure(from_environment())
    command = typer.main.get_command(app)
    with command.make_context("veille", sys.argv[1:]) as context:
        code: int | None = command.invoke(context)
    sys.stdout.flush()
    return code


def _forget_output() -> None:
    """Nobody takes the output: what is left of it goes nowhere when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _complain(message: str, hint: str, code: int = 1) -> NoReturn:
    """One message, not broken by us, so that paths and commands in it can be copied."""
    err = error_console()
    err.print(f"veille: {message}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    if hint:
        err.print(f"  → {hint}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(code)
