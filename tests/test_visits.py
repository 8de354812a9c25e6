"""`veille extract URL`: one page, asked for as robots.txt allows, one request after another."""

import itertools

import pytest
from sites import PAGE, Site

from pipeline.cli.visits import Visit
from pipeline.errors import Permanent, Transient
from pipeline.runtime import Runtime
from pipeline.settings import Settings

GAP = 0.2  # seconds


@pytest.fixture
def visit(tmp_path):
    """Fetches a path of a site whose hosts are allowed."""

    def fetch(site, path="/page"):
        settings = Settings(
            home=tmp_path,
            config=tmp_path,
            archive=tmp_path,
            allow_hosts=frozenset({(site.name, site.server.port)}),
            host_gap_seconds=GAP,
        )
        with Runtime(settings) as runtime:
            return Visit(runtime).fetch(site.url(path), cap=len(PAGE))

    return fetch


def redirect(to):
    return lambda talk: talk.answer("302 Found", b"", f"Location: {to}")


def said(status, body=b""):
    return lambda talk: talk.answer(status, body, "Content-Type: text/plain")


def test_the_gap_lies_between_any_two_requests(visit):
    """robots.txt, its redirect, the page and its redirect: each waits for its turn."""
    answers = {
        "/robots.txt": redirect("/rules"),
        "/rules": said("404 Not Found"),
        "/page": redirect("/there"),
    }
    with Site(answers) as site:
        fetched = visit(site)

        assert fetched.response.body == PAGE
        assert site.paths == ["/robots.txt", "/rules", "/page", "/there"]
        starts = [start for start, _ in site.times]
        assert min(later - earlier for earlier, later in itertools.pairwise(starts)) >= GAP


def test_a_crawl_delay_is_waited_for(visit):
    with Site({"/robots.txt": said("200 OK", b"User-agent: *\nCrawl-delay: 0.6\n")}) as site:
        visit(site)

        (robots, _), (page, _) = site.times
        assert page - robots >= 0.6


@pytest.mark.parametrize("robots", [said("404 Not Found"), said("403 Forbidden"), redirect("/robots.txt")])
def test_a_robots_txt_that_is_not_there_allows_all(visit, robots):
    """Neither do redirects without an end hold rules (RFC 9309, 2.3.1)."""
    with Site({"/robots.txt": robots}) as site:
        assert visit(site).response.body == PAGE


@pytest.mark.parametrize("robots", [said("503 Service Unavailable"), lambda _: None])
def test_nothing_is_asked_if_robots_txt_cannot_be_read(visit, robots):
    with Site({"/robots.txt": robots}) as site:
        with pytest.raises(Transient, match=r"robots\.txt of press\.localhost:\d+ cannot be read"):
            visit(site)
        assert site.paths == ["/robots.txt"]


def test_what_robots_txt_forbids_is_not_asked_for(visit):
    with Site({"/robots.txt": said("200 OK", b"User-agent: *\nDisallow: /page\n")}) as site:
        with pytest.raises(Permanent, match=r"keeps .* from robots"):
            visit(site)
        assert site.paths == ["/robots.txt"]
