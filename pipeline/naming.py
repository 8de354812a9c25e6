"""Whether one address can be the name of the page at another. *Pure.*

Templates name the home page, the section or one article for all; log-in pages and notices of maintenance
stand behind the addresses of many. Believed, such a name would make one article of all of them; refused in
error, it costs no more than the page's other keys. Does not know whether the two are the same page.
"""

import re
from urllib.parse import unquote, urlsplit

from pipeline.errors import Unparsable
from pipeline.urls import canonical

VERSION = re.compile(r"(?:/(?:_?amp|print|imprimer|page[/-]?\d{1,3})/?|\.amp)+$", re.IGNORECASE)
# /article.php?id=12 is not /article.php
PROGRAM = re.compile(r"\.(?:php\d?|aspx?|jspx?|cgi|pl|do)$", re.IGNORECASE)
LONG_NUMBER = re.compile(r"\d{5,}")  # an article's; four digits are a year's
REGISTERED = re.compile(r"[^.]+\.(?:(?:co|com|net|org|gov|gouv|ac|asso|presse)\.[a-z]{2}|[^.]+)$")


def may_name(name: str, url: str) -> bool:
    """Whether `name`, which a page or a redirect gives, can be the name of the page at `url`."""
    try:
        said, read = urlsplit(name), urlsplit(url)
        if canonical(name) == canonical(url):
            return True
        if not same_family(said.hostname, read.hostname):
            return False
    except (Unparsable, ValueError):
        return False
    own, named = VERSION.sub("", unquote(read.path)).rstrip("/"), unquote(said.path).rstrip("/")
    if own == named:
        return not (read.query and PROGRAM.search(own))
    return not f"{own}/".startswith(f"{named}/") and _alike(named, own)


def same_family(one: str | None, other: str | None) -> bool:
    """Whether two hosts share their registered domain, or one is the AMP cache's name for the other."""
    if not one or not other:
        return False
    return _domain(one) == _domain(_behind_cache(other))


def _alike(named: str, own: str) -> bool:
    """Whether two paths share a long number, or their last segments half the words of the shorter one."""
    if set(LONG_NUMBER.findall(named)) & set(LONG_NUMBER.findall(own)):
        return True
    said, read = _words(named), _words(own)
    return 2 * len(said & read) >= min(len(said), len(read)) > 0


def _words(path: str) -> set[str]:
    """The words of a path's last segment."""
    slug = re.sub(r"(?:\.\w{1,5})+$", "", path.rpartition("/")[2].lower())
    return set(re.findall(r"[^\W_]+", slug))


def _behind_cache(host: str) -> str:
    name, found, _ = host.partition(".cdn.ampproject.org")
    return name.replace("--", "\0").replace("-", ".").replace("\0", "-") if found else host


def _domain(host: str) -> str:
    """The last two labels; three under the second levels of some countries (co.uk, com.au, asso.fr)."""
    found = REGISTERED.search(host.lower())
    return found[0] if found else host
