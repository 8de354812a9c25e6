"""Which article an entry is: the names by which it may be known elsewhere, and the joining of what is one.

Does not read texts. The end state does not depend on the order of work: keys are only ever added, and
entries and articles that share one are one article, the earliest.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

from pipeline import fingerprints, urls
from pipeline.errors import Unparsable
from pipeline.model import Key
from pipeline.naming import may_name
from pipeline.runtime import Runtime
from pipeline.store import Transaction, articles, entries
from pipeline.store.entries import EntryRow, Said, Told

TEXT_KEY_CHARACTERS = 600  # shorter texts recur (horoscopes, notices) without being one article
GUID_AT_MOST = 500  # characters
FEED_ADDRESS = re.compile(r"\.(?:xml|rss|rdf|atom)(?:[?#].*)?$", re.IGNORECASE)


@dataclass(slots=True)
class Identified:
    """The articles that entries turned out to be."""

    new: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)  # that were there before
    merged: set[int] = field(default_factory=set)  # that are another by now
    orphans: set[int] = field(default_factory=set)  # that shared text with one that was merged

    @property
    def articles(self) -> set[int]:
        """Those that the entries belong to."""
        return self.new | self.known


@dataclass(slots=True, eq=False)
class _Group:
    """Entries that are one article, with all its keys and the articles to which those lead."""

    rows: list[EntryRow]
    names: set[Key | int]

    @property
    def known(self) -> list[int]:
        return sorted(name for name in self.names if isinstance(name, int))

    @property
    def keys(self) -> Iterable[Key]:
        return (name for name in self.names if isinstance(name, Key))


def identify(runtime: Runtime, tx: Transaction, rows: Sequence[EntryRow]) -> Identified:
    """Give these entries their articles: new ones, or those to which their keys lead.

    An entry that has an article finds it: its URL never changes. The known articles are to be compared anew:
    they are found by nothing.
    """
    keys = _keys(runtime, tx, rows)
    owners = articles.known_by(tx, set().union(*keys.values()))
    groups = _groups(rows, keys, owners)
    new = [group for group in groups if not group.known]
    homes = dict(zip(new, articles.create(tx, [group.rows[0] for group in new]), strict=True))
    found = Identified(new=set(homes.values()))
    for group in groups:
        if group.known:
            homes[group], *others = group.known
            found.known.add(homes[group])
            found.merged.update(others)
            for other in others:
                found.orphans |= articles.merge(tx, other, into=homes[group])
    articles.forget(tx, found.known)
    articles.give_keys(tx, {key: article for group, article in homes.items() for key in group.keys})
    articles.link(tx, {row.id: article for group, article in homes.items() for row in group.rows})
    found.orphans -= found.merged | found.articles
    return found


def _groups(
    rows: Sequence[EntryRow], keys: Mapping[int, set[Key]], owners: Mapping[Key, int]
) -> list[_Group]:
    """The entries, those together that share a key or an article, in the order of their first."""
    groups: dict[Key | int, _Group] = {}
    for row in rows:
        group = _Group([row], keys[row.id] | {owners[key] for key in keys[row.id] if key in owners})
        for other in {groups[name] for name in group.names if name in groups}:
            group.rows += other.rows
            group.names |= other.names
        groups.update(dict.fromkeys(group.names, group))
    found = set(groups.values())
    for group in found:
        group.rows.sort(key=lambda row: row.id)
    return sorted(found, key=lambda group: group.rows[0].id)


def _keys(runtime: Runtime, tx: Transaction, rows: Sequence[EntryRow]) -> dict[int, set[Key]]:
    """By entry, all names by which its article may be known elsewhere."""
    ids = [row.id for row in rows]
    said = entries.said(tx, ids)
    told = entries.told(tx, ids, at_least=TEXT_KEY_CHARACTERS)
    return {row.id: _keys_of_entry(runtime, row, said[row.id], told[row.id]) for row in rows}


def _keys_of_entry(runtime: Runtime, row: EntryRow, said: Sequence[Said], told: Sequence[Told]) -> set[Key]:
    """All its texts count, not the latest alone: which were there when the stage came by is chance."""
    keys = {Key("url", row.canonical_url), *_keys_of(runtime, row.url)}
    keys |= {Key("guid", f"{feed.feed_id}:{feed.guid}") for feed in said if _names_one(feed.guid)}
    titles = [feed.title for feed in said]
    for text in told:
        keys |= _keys_told(runtime, text.url, row.url)
        if text.digest is not None and _is_titled(text.title, titles):
            published = text.published.astimezone(UTC).isoformat() if text.published else ""
            keys.add(Key("text", f"{row.publisher}:{published}:{text.digest}"))
    return keys


def _keys_told(runtime: Runtime, name: str, url: str) -> set[Key]:
    """The keys of what the page at `url` calls itself, or of where it led.

    Believed where it can be the page's name, or has a publisher's number: all pages of a site may lead to its
    log-in page.
    """
    if may_name(name, url):
        return _keys_of(runtime, name)
    with contextlib.suppress(Unparsable):
        found = _keys_of(runtime, name)
        return found if any(key.kind == "id" for key in found) else set()
    return set()


def _keys_of(runtime: Runtime, url: str) -> set[Key]:
    """The keys of a URL; whose number is in it is told by its host, not by the feed that carries it."""
    host = urls.host_of(urls.canonical(url))
    return set(urls.keys(url, runtime.catalogue.publisher_of(host)))


def _is_titled(title: str, said: Sequence[str]) -> bool:
    """Whether a text's title is the article's, as feeds say it; true where none speaks of the article.

    A wall of consent or a notice of maintenance has one text and title for every article behind it.
    """
    return not said or any(fingerprints.one_title(title, other) for other in said)


def _names_one(guid: str) -> bool:
    """Whether a guid can be the name of one article: broken feeds repeat a word or their own address."""
    return len(guid) <= GUID_AT_MOST and bool(re.search(r"\d{4}", guid)) and not FEED_ADDRESS.search(guid)
