"""`python tests/searchserver`: the Elasticsearch of the tests for a developer, until Ctrl-C.

Keeps no data.
"""

import os
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from searchserver.parts import Lacking
from searchserver.sharing import shared


def main() -> None:
    # Where a shell started this in the background, Ctrl-C and its like would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with shared(f"developer-{os.getpid()}") as address:
            host = urlsplit(address.url).netloc
            who = f"{address.user}:{address.password}"
            sys.stdout.write(
                f"export VEILLE_INDEX_URL={address.url}\n"
                f"export VEILLE_INDEX_USER={address.user} VEILLE_INDEX_PASSWORD={address.password}\n"
                f"export VEILLE_TEST_ELASTICSEARCH_URL=http://{who}@{host}\n"
                "# It runs until Ctrl-C; its data go with it.\n"
            )
            sys.stdout.flush()
            while True:
                time.sleep(3600)
    except Lacking as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
