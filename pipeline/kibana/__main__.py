"""`python -m pipeline.kibana`: write config/kibana/veille.ndjson anew from the YAML files beside it.

Imports nothing into Kibana; `veille kibana import` does.
"""

import sys

from pipeline.errors import ConfigError
from pipeline.kibana import objects, source
from pipeline.kibana.importing import FILE


def main() -> int:
    """Returns the exit code."""
    try:
        FILE.write_bytes(objects.render(source.load(FILE.parent)))
    except ConfigError as error:
        print(f"kibana: {error}", f"  → {error.hint}", sep="\n", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
