"""The indices behind the alias: one a year and generation, `<name>-<year>-<generation>`.

The alias `<name>` leads to the live generation, `<name>-rebuilding` to one that is being built. Both change
in one step for everybody, so a search sees one whole generation. Writes no document.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import orjson

from pipeline.errors import ConfigError, EngineTrouble, NotFound
from pipeline.installation import ROOT
from pipeline.search import REBUILD, missing
from pipeline.search.elasticsearch.connection import SETUP, Connection, problem, refused_template

TEMPLATE: Final = ROOT / "config" / "elasticsearch" / "veille-articles.json"
_PRIORITY: Final = 200  # above the templates that a server brings along
_NEWER: Final = "install the newer Veille that made it"


@dataclass(frozen=True, slots=True)
class Target:
    """One generation that a write goes to, with the indices that it has so far.

    Only what is deleted goes to one that is not `current`: a late writer has brought it back beside the live
    one, and nothing is to stay there.
    """

    generation: str
    live: bool
    indices: set[str]
    current: bool = True


class Generations:
    """All generations of the index `name` on one server.

    Whoever begins, finishes or abandons one is alone, see `Index`; the rest may be called at any time.
    """

    def __init__(self, connection: Connection, name: str, template: Path = TEMPLATE) -> None:
        self.name = name
        self._rebuilding = f"{name}-rebuilding"
        self._connection = connection
        self._template = template
        self._schemas: dict[str, int] = {}  # of the indices looked at; it never changes
        self._checked = False  # whether the live one was, by `check`

    @cached_property
    def _body(self) -> dict[str, Any]:
        """The index template as it is shipped."""
        body: dict[str, Any] = orjson.loads(self._template.read_bytes())
        return body

    @property
    def version(self) -> int:
        """The schema that this Veille needs."""
        return int(self._body["version"])

    def set_up(self) -> None:
        """Give the server the index template. Raises ConfigError if it lacks what that needs."""
        import elasticsearch

        held = self._template_version()
        if held > self.version:
            raise self._unfit("index template", held)
        template = self._body | {"index_patterns": [f"{self.name}-*"], "priority": _PRIORITY}
        with self._connection.translated():
            try:
                self._connection.ask.indices.put_index_template(name=self.name, body=template)
            except elasticsearch.BadRequestError as error:
                raise refused_template(self._connection.url, problem(error.body)[1]) from error

    def targets(self) -> tuple[Target, ...]:
        """Where a write goes now: the live generation, and the one that is being built.

        Not to an older schema that is about to be replaced by ours. Raises NotFound where there is no index,
        and ConfigError where there is none of our schema, or a newer one, which must not miss a write.
        """
        aliases = self._aliases()
        found = [
            Target(generation, live, set(indices), current=generation == max(generations))
            for live, alias in ((True, self.name), (False, self._rebuilding))
            for generations in [_by_generation(aliases[alias])]
            for generation, indices in generations.items()
        ]
        if not found:
            raise missing(self._connection.url)
        schemas = [self._schema(target.indices) for target in found]
        if unfit := [schema for schema in schemas if schema > self.version] or (
            schemas if self.version not in schemas else []
        ):
            raise self._unfit("search index", max(unfit))
        return tuple(target for target, schema in zip(found, schemas, strict=True) if schema == self.version)

    def rebuilt(self, generation: str) -> Target:
        """The generation, which is being built. Raises NotFound if that is over."""
        indices = _by_generation(self._aliases()[self._rebuilding]).get(generation)
        if not indices:
            raise NotFound(f"the rebuild of {generation} is over: another one was begun or it was abandoned")
        return Target(generation, live=False, indices=set(indices))

    def index_of(self, target: Target, year: int) -> str:
        """The index of that year, which is made if there is none.

        Raises EngineTrouble where the generation was replaced in between: whoever held no lock any more, and
        did not know, brings nothing back.
        """
        name = f"{self.name}-{year:04}-{target.generation}"
        if name not in target.indices:
            made = self._stands(target) and self._create(name, live=target.live)
            if not self._stands(target):
                self._delete([name] if made else [])
                raise EngineTrouble(f"the index at {self._connection.url} was replaced in this moment")
            target.indices.add(name)
        return name

    def _stands(self, target: Target) -> bool:
        """Whether the generation is still what it was when it was looked for."""
        alias = self.name if target.live else self._rebuilding
        return not target.indices.isdisjoint(self._aliases()[alias])

    def check(self) -> None:
        """Raises NotFound if there is no live index, and ConfigError if its schema is not ours."""
        while not self._checked:  # once: an index that replaces it was made by this version or a newer one
            indices = self._aliases()[self.name]
            if not indices:
                raise missing(self._connection.url)
            schema = self._schema(indices)
            self._checked = schema == self.version
            if not self._checked and self._aliases()[self.name] == indices:  # not replaced in between
                raise self._unfit("search index", schema)

    def begin(self) -> str:
        """Make an empty generation beside the live one. A name is never used twice."""
        now = datetime.now(UTC)
        generation = f"{now:%Y%m%dt%H%M%S%f}"
        self._sweep(keep=self._aliases()[self.name])
        self._create(f"{self.name}-{now.year}-{generation}", live=False)
        return generation

    def finish(self, generation: str) -> None:
        """Let the alias lead to this generation alone. Raises NotFound if its building is over otherwise."""
        live = self._aliases()[self.name]
        new = _by_generation(live).get(generation)
        if not new:
            new = sorted(self.rebuilt(generation).indices)
            self._swap(new, live)
        self._sweep(
            keep=[*new, *self._aliases()[self._rebuilding]]
        )  # one that was begun since, if we finish twice

    def rebuilding(self) -> str:
        """The generation that is being built; empty if none is."""
        return max(_by_generation(self._aliases()[self._rebuilding]), default="")

    def _swap(self, new: Collection[str], old: Collection[str]) -> None:
        client = self._connection.ask.indices
        with self._connection.translated():
            client.put_settings(index=",".join(new), settings={"refresh_interval": None})
            client.refresh(index=",".join(new))
            client.update_aliases(
                actions=[
                    *({"remove": {"index": index, "alias": self.name}} for index in old),
                    *({"remove": {"index": index, "alias": self._rebuilding}} for index in new),
                    *({"add": {"index": index, "alias": self.name}} for index in new),
                ]
            )

    def abandon(self, generation: str) -> None:
        """Forget the generation, if it is being built."""
        aliases = self._aliases()
        if generation in _by_generation(aliases[self._rebuilding]):
            self._sweep(keep=aliases[self.name])

    def _create(self, name: str, *, live: bool) -> bool:
        """Make an index by the server's template; False if another writer made it in the same moment."""
        import elasticsearch

        alias = self.name if live else self._rebuilding
        settings = None if live else {"refresh_interval": "-1"}  # what nobody reads need not be searchable
        made = True
        with self._connection.translated():
            try:
                self._connection.ask.indices.create(index=name, aliases={alias: {}}, settings=settings)
            except elasticsearch.BadRequestError as error:
                if problem(error.body)[0] != "resource_already_exists_exception":
                    raise
                made = False
        if (schema := self._schema([name])) != self.version:
            self._delete([name] if made else [])
            raise self._unfit("index template", schema)
        return made

    def _unfit(self, what: str, schema: int) -> ConfigError:
        found = f"has schema {schema}" if schema else "is none of Veille's"
        hint = _NEWER if schema > self.version else REBUILD if what == "search index" else SETUP
        return ConfigError(
            f"the {what} at {self._connection.url} {found}; this version needs schema {self.version}",
            hint=hint,
        )

    def _schema(self, indices: Iterable[str]) -> int:
        """The schema of these indices of one generation; 0 if one was not made by our template."""
        new = sorted(set(indices) - self._schemas.keys())
        if new:
            with self._connection.translated():
                found = self._connection.look.indices.get_mapping(
                    index=",".join(new), filter_path="*.mappings._meta.version", ignore_unavailable=True
                ).body
            # One that is not found may have been made a moment ago, or be gone: it is looked at again.
            self._schemas |= {
                index: int(held["mappings"]["_meta"]["version"]) for index, held in found.items()
            }
        schemas = {self._schemas.get(index, 0) for index in indices}
        return 0 if 0 in schemas else max(schemas)

    def _template_version(self) -> int:
        """The schema of the template that the server has; 0 if it has none."""
        import elasticsearch

        with self._connection.translated():
            try:
                found = self._connection.ask.indices.get_index_template(name=self.name).body
            except elasticsearch.NotFoundError:
                return 0
        return int(found["index_templates"][0]["index_template"].get("version", 0))

    def _aliases(self) -> dict[str, list[str]]:
        """The indices behind each of the two aliases."""
        import elasticsearch

        names = (self.name, self._rebuilding)
        with self._connection.translated():
            try:
                found = self._connection.look.indices.get_alias(name=",".join(names)).body
            except elasticsearch.NotFoundError as error:
                # One of the two leads nowhere; where the other leads stands beside the error.
                if not isinstance(error.body, dict) or not isinstance(error.body.get("error"), str):
                    raise
                found = error.body
        indices = {index: value for index, value in found.items() if isinstance(value, dict)}
        return {name: [index for index in indices if name in indices[index]["aliases"]] for name in names}

    def _sweep(self, *, keep: Collection[str]) -> None:
        """Remove all generations but one. A search that is under way there looks again."""
        with self._connection.translated():
            found = self._connection.ask.indices.get(
                index=f"{self.name}-*", filter_path="*.settings.index.uuid", expand_wildcards="all"
            ).body
        ours = re.compile(rf"{re.escape(self.name)}-\d{{4}}-\d{{8}}t\d{{12}}")
        self._delete([index for index in found if index not in keep and ours.fullmatch(index)])

    def _delete(self, indices: Iterable[str]) -> None:
        for index in indices:
            with self._connection.translated():
                self._connection.ask.indices.delete(index=index, ignore_unavailable=True)


def _by_generation(indices: Iterable[str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for index in indices:
        found[index.rpartition("-")[2]].append(index)
    return dict(found)
