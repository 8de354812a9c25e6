"""What becomes of a page: asked for, kept, read, and read again, on a real store and loopback servers."""

import pytest
from sites import Site, listed, query

from pipeline import steps
from pipeline.stages import fetch
from pipeline.store.runs import Run

pytestmark = pytest.mark.slow

TEXT = " ".join(
    f"Le quai {n} du port de Lussonnes a rouvert après {n + 3} jours de travaux menés par la ville."
    for n in range(40)
)


def html(title="Le port rouvre", text=TEXT):
    """An article's page."""
    paragraphs = "".join(f"<p>{text[at : at + 400]}</p>" for at in range(0, len(text), 400))
    head = f"<html lang=fr><head><title>{title}</title></head>"
    return f"{head}<body><article><h1>{title}</h1>{paragraphs}</article></body></html>".encode()


def answers(body, *headers, status="200 OK"):
    return lambda talk: talk.answer(status, body, "Content-Type: text/html", *headers)


@pytest.fixture
def site():
    with Site() as opened:
        yield opened


@pytest.fixture
def library(open_runtime, site):
    """A runtime that may ask the site."""
    runtime = open_runtime(allow_hosts=frozenset({(site.name, site.server.port)}))
    steps.start(runtime, Run("run", "command", polls=True, reason="a test"))
    return runtime


def entry(runtime):
    [row] = query(runtime, "select * from entry")
    return row


# --- what is asked for


@pytest.mark.parametrize(("size", "fate"), [(fetch.PAGE_CAP, "full"), (fetch.PAGE_CAP + 1, "too_large")])
def test_a_page_is_fetched_if_it_can_be_read(size, fate, library, site):
    """One limit for both: what is longer than can be read is not taken for a broken page."""
    site.answers["/une"] = answers(html().ljust(size))
    listed(library, site.url("/une"))

    steps.fetch(library, "run")
    steps.extract(library, "run")

    assert entry(library)["page_fate"] == fate
