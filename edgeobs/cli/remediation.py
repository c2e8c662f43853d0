"""What people say of remediation, and what was done: pause, resume, approve, veto, journal, node/NAME."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeobs.cli.common import ConfigFile, Server, TokenFile, fail, load, said, user

if TYPE_CHECKING:
    from edgeobs.speak import Core

_PAST = {"pause": "paused", "resume": "resumed", "approve": "approved", "veto": "vetoed"}

commands = typer.Typer()

Why = Annotated[
    str, typer.Option("--why", "-w", metavar="TEXT", help="The reason; it goes on record with your name.")
]
By = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who says so; without it, you.")]
IncidentId = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="Its id: inc-… of the page, the API, Events.")
]


@commands.command()
def pause(
    why: Why, config: ConfigFile = None, server: Server = "", token_file: TokenFile = None, by: By = None
) -> None:
    """Hold every action of a running core until resumed; what is under way stops before its next call.

    On Kubernetes every replica is told, through the ConfigMap edgeobs-control. Without edgeobs at hand:
    `kubectl -n edgeobs create configmap edgeobs-control --from-literal=paused=true --from-literal=reason=…`

    Exit codes: 0 paused; 1 not, or not everywhere: the reason is printed; 2 wrong usage.
    """
    _speak("pause", why, config, server, token_file, by)


@commands.command()
def resume(
    why: Why, config: ConfigFile = None, server: Server = "", token_file: TokenFile = None, by: By = None
) -> None:
    """Take a pause back, whoever said it, the ConfigMap's too.

    What is paused in the configuration (remediate.pause) stays so.

    Exit codes: 0 resumed; 1 refused, or still held: the reason is printed; 2 wrong usage.
    """
    _speak("resume", why, config, server, token_file, by)


@commands.command()
def approve(
    incident: IncidentId,
    why: Why,
    verb: Annotated[
        str, typer.Option("--action", "-a", metavar="VERB", help="Only this: drain, release, failover …")
    ] = "",
    config: ConfigFile = None,
    server: Server = "",
    token_file: TokenFile = None,
    by: By = None,
) -> None:
    """Let what waits for a person be done about an incident; all other rules still hold.

    `edgeobs approve inc-0123 --action drain --why "the board is on its way"`

    It counts for remediate.approve_s (30 minutes), then it has to be said again; a veto is taken back by it.
    With kubectl: `kubectl annotate node edge-7 edgeobs.io/approve=inc-0123`

    Exit codes: 0 approved; 1 refused: no such incident, it is over, another replica leads; 2 wrong usage.
    """
    _speak("approve", why, config, server, token_file, by, incident, verb)


@commands.command()
def veto(
    incident: IncidentId,
    why: Why,
    config: ConfigFile = None,
    server: Server = "",
    token_file: TokenFile = None,
    by: By = None,
) -> None:
    """Forbid whatever is about an incident until it is over; what is under way stops before its next call.

    What was done already stays, and is taken back when the incident is over. To take a veto back, approve.
    With kubectl, for every replica: `kubectl annotate node edge-7 edgeobs.io/veto=inc-0123`, or `=*` for
    whatever is about the node, as long as the annotation is there.

    Exit codes: 0 vetoed; 1 refused, or not everywhere: the reason is printed; 2 wrong usage.
    """
    _speak("veto", why, config, server, token_file, by, incident)


@commands.command()
def journal(
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION", help="Only this one: dec-… of the page, the API, Events.")
    ] = "",
    config: ConfigFile = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the journal is; without it engine.data_dir of the config."),
    ] = None,
) -> None:
    """Print what was done to the cluster, every step of it, as JSON lines.

    A line has the number of the entry, its operation, when (Unix ns), its kind (intent, call, answer, wait,
    state) and its body: a call as it was sent, an answer as it came. The core may run meanwhile.

    Exit codes: 1 there is no journal that can be read; 2 no such operation.
    """
    from edgeobs.remediate.journal import NAME, Journal, JournalError  # noqa: PLC0415  only here

    folder = data_dir or load(config).engine.data_dir
    try:
        kept = Journal(folder / NAME, read_only=True)
        if operation and not kept.known(operation):
            fail(f"{folder / NAME}: there is no operation {operation!r}", 2)
        for line in kept.export(operation):
            print(line)
        kept.close()
    except JournalError as error:
        fail(said(error), 1)


def _core(config: Path | None, server: str, token_file: Path | None, by: str | None) -> "Core":
    from edgeobs.speak import core  # noqa: PLC0415  as above

    try:
        found = core(load(config), server, token_file, by or user())
    except ValueError as error:
        fail(str(error), 2)
    if found.open_wire:
        typer.echo(f"the token goes unencrypted to {found.url}", err=True)
    return found


def _speak(
    what: str, why: str, config: Path | None, server: str, token_file: Path | None, by: str | None,
    incident: str = "", verb: str = "",
) -> None:  # fmt: skip
    from edgeobs.speak import Unheard  # noqa: PLC0415  as above

    if not why.strip():
        fail("--why: expected a reason; found nothing", 2)
    try:
        note = _core(config, server, token_file, by).say(what, why, incident, verb)
    except Unheard as error:
        fail(str(error), 1)
    if note:
        fail(f"{_PAST[what]}, but: {note}", 1)
    typer.echo(f"{_PAST[what]}{f': {incident}' if incident else ''}")


def explain_live(
    node: str, cluster: str, config: Path | None, server: str, token_file: Path | None, *, as_json: bool
) -> None:
    """What a running core would do about a node now, and what every rule says."""
    from edgeobs.speak import Unheard, explained  # noqa: PLC0415  as above
    from edgeobs.speak import as_json as whole  # noqa: PLC0415

    try:
        found = _core(config, server, token_file, None).explain(node, cluster)
    except Unheard as error:
        fail(str(error), 2 if error.status == 404 else 1)
    typer.echo(whole(found) if as_json else explained(found, node), nl=False)
