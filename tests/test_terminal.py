"""What people see, as they see it: in 80 columns, in a pipe, without colours."""

import contextlib
import re

import pytest

from pipeline import steps
from pipeline.cli.dossiers import _print_dossier
from pipeline.cli.runs import print_report
from pipeline.cli.searching import print_results
from pipeline.cli.story import tell
from pipeline.store import dossier, runs

pytestmark = pytest.mark.slow

TO_BE_COPIED = re.compile(r"https?://|^\s*→ |^   (export |\S*(veille|pytest|__main__)\S* )")
CODES = re.compile(r"\x1b\[[0-9;]*m")
COLOURS = re.compile(r"\x1b\[(?:[0-9;]*;)?[349][0-7][;m]")


@pytest.fixture
def shown(open_runtime, first_edition, monkeypatch, capsys):
    """Says all that is shown of a library of the sample newsroom, in a terminal or a pipe of 80 columns."""
    runtime = open_runtime()
    run = runs.fresh("command", polls=True, reason="a test", now=runtime.now())
    report = steps.ingest(runtime, run, watch=lambda *_: contextlib.nullcontext())
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def said(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        tell(runtime, report)
        found = runtime.index.search("ukraine OR budget", facets=("topic",), limit=5)
        print_results("ukraine OR budget", found)
        print_report(report)
        with runtime.store.transaction("look") as tx:
            articles = [dossier.of(tx, result.id) for result in found.results]
        for article in articles:
            _print_dossier(article)
        return capsys.readouterr().out

    return said


def test_it_fits_and_can_be_copied_in_a_pipe_and_on_a_terminal(shown):
    """Lines of 80 columns, apart from addresses and commands, which are whole; colours on terminals alone."""
    piped = shown()
    assert "\x1b" not in piped
    wide = [line for line in piped.splitlines() if len(line) > 80]
    assert not [line for line in wide if not TO_BE_COPIED.search(line)]
    assert not re.search(r"https?:\S*\n *\S*\.(html|xml)", piped), "an address that goes on below"

    coloured = shown(FORCE_COLOR="1", TERM="xterm-256color")
    assert COLOURS.search(coloured)
    assert CODES.sub("", coloured) == piped
    assert not COLOURS.search(shown(NO_COLOR="1"))
