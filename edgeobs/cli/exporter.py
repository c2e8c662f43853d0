"""Exporters: `edgeobs exporter new NAME`."""

from pathlib import Path
from typing import Annotated

import typer

from edgeobs.cli.common import fail, said

commands = typer.Typer(name="exporter", help="Exporters in Python: `edgeobs.exporter`.", no_args_is_help=True)


@commands.callback()
def exporter() -> None:
    """Exporters in Python: `edgeobs.exporter`."""


@commands.command()
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the module and its metrics: boiler, wind_mast.")
    ],
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where to; without it ./NAME.")
    ] = None,
) -> None:
    """Write an exporter to begin with: a module that runs, its test, and how to scrape it.

    Exit codes: 1 it cannot be written; 2 the name will not do, or there is such a file already.
    """
    from edgeobs.exporter.starter import new as write  # noqa: PLC0415  only here

    try:
        for path in write(name, folder or Path(name)):
            typer.echo(path)
    except (ValueError, FileExistsError) as error:
        fail(str(error), 2)
    except OSError as error:
        fail(said(error), 1)
