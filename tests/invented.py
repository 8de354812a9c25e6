"""Invented documents for an index: whatever a test does not care about has a value."""

from datetime import datetime
from zoneinfo import ZoneInfo

from pipeline.model import Document

PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2024, 5, 2, 12, tzinfo=PARIS)


def document(id_: str, **fields: object) -> Document:
    defaults = {
        "version": 1,
        "url": f"https://presse.test/{id_}",
        "title": "",
        "lead": "",
        "text": "",
        "publisher": "presse",
        "publisher_name": "La Presse",
        "family": "",
        "country": "FR",
        "language": "fr",
        "first_seen": NOON,
        "published": NOON,
    }
    return Document(id_, **{**defaults, **fields})
