"""What commands share: options that several have, the configuration, and how one fails."""

import getpass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from edgeobs import config as configuration
from edgeobs.agent import config as agent
from edgeobs.config import Config, ConfigError

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="YAML; without it every setting has its default."),
]
Server = Annotated[
    str,
    typer.Option(
        "--server", "-s", metavar="URL", envvar="EDGEOBS_SERVER",
        help="The running core's page; without it web.host and web.port of the config.",
    ),
]  # fmt: skip
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", envvar="EDGEOBS_TOKEN_FILE",
        help="The page's token; without it web.token_file of the config.",
    ),
]  # fmt: skip


def load(path: Path | None, *, either: bool = False) -> Config:
    """The settings in a file; every default without one. Ends the command where they cannot be used.

    ``either``: the file may be an agent's.
    """
    if path is None:
        return Config()
    try:
        if either and agent.given(path):
            return agent.load(path)[0]
        return configuration.load(path)
    except ConfigError as error:
        fail(str(error), 2)
    except OSError as error:
        fail(said(error), 2)


def said(error: Exception) -> str:
    """What went wrong, and where, without the number that the system has for it."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def user() -> str:
    """Who runs the command, by name; empty: nobody knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return ""


def fail(text: str, code: int) -> NoReturn:
    """Say what is wrong, and end."""
    typer.echo(text, err=True)
    raise typer.Exit(code)
