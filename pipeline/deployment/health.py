"""What health checks ask: whether a URL answers, and whether it calls one of its components healthy.

`airflow jobs check` asks the same of the database and costs 4 to 5 s of CPU each time, with all of Airflow in
memory; this costs 0.05 s. Does not repair anything.
"""

import json
import urllib.error
import urllib.request

SECONDS = 5.0


def healthy(url: str, component: str = "") -> bool:
    """Whether `url` answers 200, and its JSON says that `component` is healthy, if one is named."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310  the compose file's own URLs
            return not component or json.load(answer)[component]["status"] == "healthy"
    except (OSError, ValueError, KeyError, TypeError):
        return False
