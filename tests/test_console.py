"""What programs ask line by line: one answer for each line, in order, whatever the line is."""

import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from offspring import PROGRAM, VEILLE

from pipeline.cli.console import progress, read_bytes
from pipeline.cli.library import _print_status
from pipeline.cli.lines import attempt, text
from pipeline.cli.runs import print_report
from pipeline.errors import Permanent, TooLarge, Unparsable
from pipeline.metrics import Feeds, Status
from pipeline.store.runs import Report, Run
from pipeline.wording import counted

ECHO = """
from pipeline.cli import lines
def work(record):
    if record["n"] == 1:
        open(record["gate"]).close()  # a pipe: opened once the test lets it
    return record
lines.answer(work, abreast=2)
"""


@pytest.mark.parametrize("value", [None, 5, [], {}, True], ids=repr)
def test_a_field_of_another_type_is_an_error_that_names_it(value):
    """Nothing is made into a string: `null` is no text."""
    with pytest.raises(Unparsable, match="'text'"):
        text({"text": value}, "text")


@pytest.mark.parametrize("side", ["x", None, [], {}, {"text": 5}], ids=repr)
def test_a_field_of_a_field_is_checked_as_well(side):
    with pytest.raises(Unparsable, match=r"'a\.text'"):
        text({"a": side}, "a.text")


def test_a_field_that_is_left_out_or_null_is_its_default():
    assert text({"title": None}, "title", "") == ""
    assert text({}, "a.title", "") == ""
    assert text({"title": "Un"}, "title", "") == "Un"


@pytest.mark.parametrize("line", [b"\n", b"  \n", b"null\n", b"[1]\n", b"{", b"\xff\n"])
def test_a_line_that_is_no_object_is_answered_with_an_error(line):
    """Blank lines too: who counts lines gets as many as it sent."""
    assert attempt(dict, line)["code"] == "unparsable"


def test_a_bug_is_the_error_of_its_line():
    """Its message may quote the page and is left out."""
    answer = attempt(lambda record: record["secret"].nothing, b'{"secret": "geheim"}')

    assert answer["code"] == "defect"
    assert "AttributeError" in answer["error"]
    assert "geheim" not in answer["error"]


def test_a_file_without_an_end_is_refused(tmp_path):
    (tmp_path / "page").write_bytes(b"x" * 100)

    assert len(read_bytes(str(tmp_path / "page"), 100)) == 100
    for name in (str(tmp_path / "page"), "/dev/zero"):
        with pytest.raises(TooLarge, match="more than 99 bytes"):
            read_bytes(name, 99)
    with pytest.raises(Permanent, match="cannot be read"):
        read_bytes("a\0b", 99)


@pytest.mark.slow
def test_a_line_is_answered_before_the_next_one_comes():
    """A program that asks, and waits for the answer before it asks again, gets it."""
    with subprocess.Popen(
        [*VEILLE, "compare", "--ndjson"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as asked:
        for side in ("Un texte", "", None):
            line = json.dumps({"a": {"text": "Un texte"}, "b": {"text": side}})
            asked.stdin.write(line.encode() + b"\n")
            asked.stdin.flush()
            assert json.loads(asked.stdout.readline())


@pytest.mark.slow
def test_answers_come_in_order_although_work_does_not_end_in_order(tmp_path):
    """The second line ends last; the first is answered before, the third after it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program = tmp_path / "echo.py"
    program.write_text(ECHO)
    with subprocess.Popen([*PROGRAM, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asked:
        for number in range(3):
            asked.stdin.write(json.dumps({"n": number, "gate": str(gate)}).encode() + b"\n")
        asked.stdin.flush()
        assert json.loads(asked.stdout.readline())["n"] == 0
        gate.open("w").close()
        asked.stdin.close()
        assert [json.loads(line)["n"] for line in asked.stdout] == [1, 2]


def reported(fate="full", outcome="new", polls=()):
    row = {"url": "https://exemple.fr/a", "outcome": outcome, "page_fate": fate, "reason": "HTTP 410"}
    row["gave_up"] = False
    run = Run("command/1", "command", polls=True, reason="the run is for now")
    return Report(run, (run.id,), 1, {outcome: 1}, 0, {fate: 1}, 0, {}, dict(polls), 0, {}, failures=[row])


@pytest.mark.parametrize(
    ("fate", "outcome", "offered"),
    [("timed_out", "failed", True), ("gone", "failed", False), ("teaser", "new", False)],
)
def test_what_can_be_tried_again_is_offered(capsys, fate, outcome, offered):
    """A page that is gone stays gone; an entry that did not fail is not shown as one that did."""
    print_report(reported(fate, outcome))
    told = capsys.readouterr().out

    assert f"What deserves a look\n{outcome} ({fate}): https://exemple.fr/a" in told
    assert ("veille retry --run command/1" in told) is offered


LONG = f"https://gazette.exemple.fr/{'rubrique/' * 9}une.xml"


def test_an_address_can_be_copied_whatever_the_width(capsys, monkeypatch):
    """It has a line of its own; what is said of it hangs below."""
    monkeypatch.setenv("COLUMNS", "80")
    trouble = {"url": LONG, "error": "HTTP 404 " * 12, "broken": "", "without_link": 1}
    failure = {"url": LONG, "outcome": "failed", "page_fate": "gone", "reason": "HTTP 410", "gave_up": False}
    print_report(replace(reported(), feed_trouble=[trouble], failures=[failure]))
    figures = Status(Feeds(1, 0, 1, 0), {"waiting": 0}, {}, 0, 0, 0, 0, 0, 0, {}, [])
    silent = {"url": LONG, "error": "", "changed_at": None}
    _print_status(replace(figures, silent_feeds=[silent, silent | {"changed_at": datetime.now(UTC)}]))
    lines = capsys.readouterr().out.splitlines()

    assert lines.count(f"feed: {LONG}") == 3
    assert f"failed (gone): {LONG}" in lines
    assert max(len(line) for line in lines if LONG not in line) <= 80
    assert [line for line in lines if "1 item without a usable link" in line]


def test_figures_stand_in_sentences():
    assert [counted(n, "copy", "copies") for n in (0, 1, 2)] == ["0 copies", "1 copy", "2 copies"]
    assert [counted(n, "item") for n in (1, 2)] == ["1 item", "2 items"]


@pytest.mark.parametrize(
    ("polls", "in_vain"),
    [
        ({}, False),
        ({"failed": 2}, True),
        ({"no_feed": 1, "waiting": 1}, True),
        ({"failed": 2, "unchanged": 1}, False),
        ({"changed": 1}, False),
    ],
)
def test_a_run_has_polled_in_vain_if_no_feed_answered(polls, in_vain):
    assert reported(polls=polls).polled_in_vain is in_vain


def test_progress_is_a_line_where_there_is_no_terminal(capsys):
    """On standard error: what programs read stays pure."""
    with progress("importing", 2) as advance:
        advance(2)

    assert capsys.readouterr() == ("", "importing …\n")
