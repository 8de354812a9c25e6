"""`veille kibana import`: the data view, searches and dashboards go into a Kibana. Decides nothing."""

from typing import Annotated

import typer

from pipeline.cli import console as show
from pipeline.cli.options import Json
from pipeline.settings import from_environment
from pipeline.wording import counted


def import_objects(
    url: Annotated[str, typer.Argument(help="Kibana's address, http://127.0.0.1:5601.")],
    json: Json = False,
) -> None:
    """Import the data view, the saved searches and the dashboards; what was imported before is overwritten.

    User, password and the certificate's authority come from VEILLE_KIBANA_USER, _PASSWORD and _CA.
    """
    from pipeline.kibana import importing

    taken = importing.send(url, from_environment())
    if json:
        show.emit({"imported": taken})
    else:
        typer.echo(f"Kibana took {counted(taken, 'object')}")
