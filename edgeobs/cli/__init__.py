"""The command line. Exit codes: 0 done, 1 it did not work, 2 wrong usage or configuration."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from edgeobs import __version__
from edgeobs.cli import agent, exporter, remediation
from edgeobs.cli.common import ConfigFile, Server, TokenFile, fail, load, said, user
from edgeobs.cli.remediation import explain_live
from edgeobs.config import warnings

app = typer.Typer(
    name="edgeobs",
    help="Observability and self-healing for Kubernetes at the edge.\n\n"
    "Takes in OTLP and Prometheus remote write, scores every series as it arrives, gathers what is abnormal "
    "into incidents, and decides, within guard rails, what to do about them.",
    epilog="Start with `edgeobs demo`. A core of your own: write a config file (an empty one will do), "
    "look at it with `edgeobs check-config FILE`, then `edgeobs serve -c FILE`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def serve(config: ConfigFile = None) -> None:
    """Run the core: receive, detect, decide; serve the page, the API and /metrics.

    SIGTERM and Ctrl-C end it cleanly: what waits is processed, what was learned is saved.
    """
    from edgeobs.app import serve as run  # noqa: PLC0415  the servers are only imported by who serves

    settings = load(config)
    try:
        asyncio.run(run(settings))
    except ValueError as error:  # a file that the configuration names
        fail(str(error), 2)
    except OSError as error:
        fail(f"{error}", 1)


@app.command("check-config")
def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The YAML file to look at.")],
) -> None:
    """Say whether a config file can be used; if not: which key, what it expects, what it found (exit 2).

    A file with a section `agent` is one for `edgeobs agent`, and looked at as that. What can be used, and is
    most likely not meant so, is told as a warning.
    """
    for text in warnings(load(file, either=True)):
        typer.echo(f"{file}: warning: {text}", err=True)
    typer.echo(f"{file}: ok")


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Recorded telemetry, .parquet or .csv.")],
    config: ConfigFile = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Feed a recording through the same step as live telemetry; print incidents and decisions.

    Long form has columns time, name, value and labels (node, zone, … are the place); wide form has a column a
    series and a row a moment, with or without a time column.
    """
    from edgeobs.app import replay as run  # noqa: PLC0415  as above
    from edgeobs.replay import RecordingError  # noqa: PLC0415

    settings = load(config)
    try:
        run(file, settings, progress=not quiet and sys.stderr.isatty())
    except (RecordingError, OSError) as error:
        fail(said(error), 2)
    except ModuleNotFoundError as error:
        fail(f"replay needs {error.name}: pip install 'edgeobs[replay]'", 1)


@app.command()
def backtest(
    data: Annotated[
        str, typer.Option(metavar="FILE|DIR|URL", help="Recordings (.parquet, .csv), or a Prometheus.")
    ],
    config: ConfigFile = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What is known to be abnormal: .csv, .parquet, .json with series, start, end.",
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Another config: say what alarms differ from its.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an HTML page with plots.")
    ] = None,
    plots: Annotated[int, typer.Option(min=0, max=100, help="Series that the page draws at most.")] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    query: Annotated[
        list[str] | None,
        typer.Option(metavar="SELECTOR", help="Of a Prometheus: what to read; may be repeated."),
    ] = None,
    start: Annotated[str, typer.Option(help="Unix seconds, RFC 3339, now-6h.")] = "now-1d",
    end: Annotated[str, typer.Option(help="The same.")] = "now",
    step: Annotated[str, typer.Option(help="Between samples: 15s, 1m.")] = "15s",
    token_file: Annotated[
        Path | None,
        typer.Option("--bearer-token-file", metavar="FILE", help="Of a Prometheus that asks for one."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Run the detectors over history; print precision, recall, delay, and false alarms promised and found.

    Without --labels, a numeric column called label in the recordings says what is abnormal.
    """
    from edgeobs.backtest.run import Asked, PrometheusError, RecordingError  # noqa: PLC0415  as above
    from edgeobs.backtest.run import run as go  # noqa: PLC0415

    asked = Asked(
        data=data, config=load(config), labels=labels, report=report, plots=plots, query=tuple(query or ()),
        start=start, end=end, step=step, token_file=token_file, config_name=str(config or "of defaults"),
        against=load(against) if against else None, against_name=str(against or ""),
    )  # fmt: skip
    try:
        go(asked, as_json=as_json, progress=not quiet and sys.stderr.isatty())
    except (RecordingError, OSError) as error:
        fail(said(error), 2)
    except PrometheusError as error:
        fail(str(error), 1)
    except ModuleNotFoundError as error:
        fail(f"backtest needs {error.name}: pip install 'edgeobs[replay]'", 1)


@app.command()
def explain(
    node: Annotated[
        str,
        typer.Argument(
            metavar="NODE", help="A node's name, or zone/name; node/NAME: what would be done now."
        ),
    ],
    metric: Annotated[
        str,
        typer.Argument(metavar="METRIC", help="Pattern of its series, such as `'disk_*'`: these in whole."),
    ] = "",
    config: ConfigFile = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the snapshot is; without it engine.data_dir of the config."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    most: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Series at most; 40 in a list, 5 in whole.")
    ] = None,
    server: Server = "",
    token_file: TokenFile = None,
    cluster: Annotated[
        str, typer.Option(metavar="NAME", help="Of node/NAME, where several clusters have one.")
    ] = "",
) -> None:
    """Say what a core knows of a node's series, and why it is surprised or not; from its snapshot, offline.

    `edgeobs explain node/edge-7` asks the running core instead what it would do about the node now, and what
    every rule of the guard says: of each action that is proposed, and of every other, were it proposed.
    Nothing is decided by asking.

    Without METRIC a line a series, the most surprising first: last value, what is expected, decades by view
    (level, drift, time of day, shape, flatline), what is expected in an hour. With METRIC, which is matched
    with `name` and with `name{label="value"}`, every view in whole: what it expects, its share of the score,
    and the forecast for the next hour.

    The core may run meanwhile; what it learned since its last snapshot is not seen.

    Exit codes: 1 there is no snapshot that can be used, or no core answers; 2 no such node or series.
    """
    if node.startswith("node/") and not metric:
        explain_live(node.removeprefix("node/"), cluster, config, server, token_file, as_json=as_json)
        return
    from edgeobs.explain import Unknown, Unreadable  # noqa: PLC0415  as above
    from edgeobs.explain import run as tell  # noqa: PLC0415

    settings = load(config)
    try:
        text = tell(
            data_dir or settings.engine.data_dir, settings.detect, node, metric, most, as_json=as_json
        )
    except Unreadable as error:
        fail(str(error), 1)
    except Unknown as error:
        fail(str(error), 2)
    typer.echo(text, nl=False)


@app.command()
def feedback(
    node: Annotated[
        str, typer.Argument(metavar="NODE", help="A node's name, zone/name, zone/* or * for all.")
    ] = "",
    metric: Annotated[
        str, typer.Argument(metavar="METRIC", help="As shown: a name, or `'name{label=\"value\"}'`.")
    ] = "",
    verdict: Annotated[str, typer.Argument(metavar="fine|real", help="What the alarm was.")] = "",
    config: ConfigFile = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The core's data; without it engine.data_dir of the config."),
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so; without it, you.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show what was said and its present factor.")] = False,
) -> None:
    """Tell a core that an alarm was fine, or real: what it is about is scored lower, or higher, from then on.

    A name alone is every series of it there. A running core takes the word up within two seconds; it fades
    with feedback.half_life_days. Saying the opposite takes it back.
    """
    from edgeobs.feedback_log import NAME, listing, said, say  # noqa: PLC0415  as above

    settings = load(config)
    path = (data_dir or settings.engine.data_dir) / NAME
    now_ns = time.time_ns()
    try:
        if show and not node:
            text, odd = listing(path, settings.feedback, now_ns)
        else:
            word = said(node, metric, "" if show else verdict, user() if by is None else by, now_ns)
            text, odd = say(path, settings.feedback, word)
    except ValueError as error:
        fail(str(error), 2)
    except OSError as error:
        fail(f"{path}: {error.strerror or error}", 1)
    typer.echo(text, nl=False)
    typer.echo(odd, nl=False, err=True)


@app.command()
def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="Headless: three faults, a closing table, exit 0 when all went right."),
    ] = False,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Of a cluster for trials whose nodes are named as the site's (edge-01 …): act on it.",
        ),
    ] = None,
) -> None:
    """Watch it work: this machine and a simulated site of 30 nodes, three faults, on loopback only.

    Without --once it goes on until Ctrl-C. With --kubeconfig nodes of that cluster are really cordoned, and
    their pods moved: never name one that anybody needs.
    """
    from edgeobs.demo import run  # noqa: PLC0415  as above

    try:
        raise typer.Exit(run(once, kubeconfig))
    except ModuleNotFoundError as error:
        fail(f"--kubeconfig needs {error.name}: pip install 'edgeobs[kube]'", 1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"edgeobs {__version__}")


app.add_typer(agent.commands)
app.add_typer(remediation.commands)
app.add_typer(exporter.commands, name="exporter")


def main() -> None:
    """Entry point."""
    app()
