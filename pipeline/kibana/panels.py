"""The data view, the saved searches and the dashboards as people write them. *Pure.*

Values only: does not read them (`source` does), and knows nothing of Kibana's own form (`lens`, `objects`).
"""

from dataclasses import dataclass, field
from typing import ClassVar

# Pydantic reads this name of a dataclass: fields that nobody knows are errors, not comments.
CLOSED: dict[str, object] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Field:
    """How a field is called, and shown: `url` and `percent` are Kibana's formats."""

    label: str
    format: str = ""
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class DataView:
    """The indices that are searched, and their fields that people meet."""

    id: str
    title: str  # the alias or pattern
    name: str
    time_field: str
    fields: dict[str, Field] = field(default_factory=dict)
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class Search:
    """A saved search: newest first. Queries are KQL."""

    id: str
    title: str
    columns: tuple[str, ...]
    description: str = ""
    query: str = ""
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel stands on the dashboard's 48 columns, and how large it is there."""

    x: int
    y: int
    w: int
    h: int
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class Top:
    """The most frequent values of a field; `others` and `missing` are bars of their own, the latter with the
    former only.
    """

    field: str
    label: str
    size: int = 10
    others: bool = False
    missing: bool = False
    exclude: tuple[str, ...] = ()
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class Part:
    """What a query finds, as one of the colours of a bar."""

    label: str
    query: str
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class PerDay:
    """Articles by day of publication; a bar is cut by `top` or by `filters`, in shares of 100 % if asked."""

    top: Top | None = None
    filters: tuple[Part, ...] = ()
    shares: bool = False
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class Number:
    """One figure: how many articles (`count`: all, or a query), or how many values a field has (`unique`)."""

    count: str = ""
    unique: str = ""
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart, or the saved search of that id."""

    title: str
    at: Place
    per_day: PerDay | None = None
    ranking: Top | None = None
    number: Number | None = None
    search: str = ""
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of panels, whose query holds for all of them; it shows the time since `since` when opened."""

    id: str
    title: str
    panels: tuple[Panel, ...]
    since: str
    description: str = ""
    query: str = ""
    __pydantic_config__: ClassVar = CLOSED


@dataclass(frozen=True, slots=True)
class Source:
    """All that Kibana gets."""

    data_view: DataView
    searches: tuple[Search, ...]
    dashboards: tuple[Dashboard, ...]
    __pydantic_config__: ClassVar = CLOSED
