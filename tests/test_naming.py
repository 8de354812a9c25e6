"""Whether one address can be the name of the page at another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.naming import may_name

HOST = "https://www.gazette.example"
READ = f"{HOST}/vie/le-pont-rouvre-12345.html"


@pytest.mark.parametrize(
    "name",
    [
        READ,
        f"{HOST}/vie/le-pont-rouvre-12345.html?utm_source=x",
        "https://gazette.example/vie/le-pont-rouvre-12345.html",
        f"{HOST}/societe/un-autre-titre-12345.html",
        f"{HOST}/archives/le-pont-rouvre",
        "https://m.gazette.example/vie/le-pont-rouvre-12345",
    ],
)
def test_a_name_shares_the_number_or_the_words_of_the_page(name):
    assert may_name(name, READ)


@pytest.mark.parametrize(
    "name",
    [
        HOST,
        f"{HOST}/",
        f"{HOST}/vie/",
        f"{HOST}/vie",
        f"{HOST}/connexion",
        f"{HOST}/maintenance.html",
        f"{HOST}/vie/handball-la-victoire-67890.html",
        "https://autre.example/vie/le-pont-rouvre-12345.html",
        "https://www.gazette.example:99999/vie/le-pont-rouvre-12345.html",
        "https://{{host}}.gazette.example/vie/le-pont-rouvre-12345.html",
        "https://www..gazette.example/vie/le-pont-rouvre-12345.html",
        f"{HOST}/{'é' * 700}",
        "http://[",
        "",
    ],
)
def test_what_names_all_pages_of_a_site_or_none_is_refused(name):
    assert not may_name(name, READ)


def test_a_query_may_be_what_tells_pages_apart():
    """A page's address names it, whatever parameters follow; a program's does not."""
    assert may_name(f"{HOST}/le-pont-rouvre", f"{HOST}/le-pont-rouvre?lettre=7")
    assert not may_name(f"{HOST}/article.php", f"{HOST}/article.php?id=12")


@given(st.text(), st.text())
def test_it_never_raises(name, url):
    assert may_name(name, url) in (True, False)
