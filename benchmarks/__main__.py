"""``python -m benchmarks NAME [--quick] [--json]``: one runner for every benchmark."""

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.measure import Measure, as_json, as_table

BENCHMARKS = {
    "ingest": "bytes → columns → scores: decoders alone, and from a loopback socket to the score",
    "decision": "last byte of the request with the evidence → decision recorded, at half load",
    "detect": "scoring alone: updates of series and of nodes, bytes, steps, growth",
    "memory": "bytes per live series, and an idle core",
    "kube_memory": "the mirror of a large cluster: bytes, snapshots, watching, calls at rest",
    "remediate": "evidence → cordon, death → pods released, on a real control plane (3 min, in whole 8)",
    "traces": "spans → series of services, operations and edges: OTLP bytes to values, beside upb",
    "logs": "lines → templates and series; grouping and false alarms on labelled logs (with --data)",
    "node": "what telling of a node costs, beside node_exporter (apt: prometheus-node-exporter)",
    "edge": "an agent on a node: bytes kept there, and what the process costs, all told (quick 60 s)",
    "exporter": "the exporter library beside prometheus_client alone: increments, import, pages, workers",
    "weeks": "what knowing days of rest finds in synthetic weeks",
    "rca": "which pod is the cause, by metrics, logs and traces, on Nezha's faults (with --data)",
    "accuracy": "detectors beside floors on labelled public data (needs --data)",
}
ON_DATA = "accuracy"
MAY_USE_DATA = frozenset({"logs", "rca"})
"""Run as ``run(quick, data)``; without --data they leave out what needs it."""
SETS = ("nab", "mscloud", "kpi", "smd", "asd", "jumpstarter", "nezha")


def main() -> int:
    """Run the named benchmarks (all without a name), print tables or one JSON object."""
    known = "\n".join(f"  {name:12} {what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=f"benchmarks:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME", choices=[*BENCHMARKS, []], help="which; none: all"
    )
    parser.add_argument("--quick", action="store_true", help="end within 40 s; figures are rougher")
    parser.add_argument("--json", action="store_true", help='one object: {"measures": [...]}')
    parser.add_argument("--data", type=Path, metavar="DIR", help="where labelled sets lie")
    parser.add_argument("--set", choices=SETS, default="", help="accuracy: one set alone")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="accuracy: a PNG of every series goes here")
    wanted = parser.parse_args()
    if wanted.data is None and ON_DATA in wanted.names:
        parser.error(f"{ON_DATA} needs --data DIR")
    found: list[Measure] = []
    for name in wanted.names or BENCHMARKS:
        if name == ON_DATA and wanted.data is None:
            print(f"{name}: left out, no --data DIR was given", file=sys.stderr)
            continue
        print(f"{name}: {BENCHMARKS[name]}", file=sys.stderr)
        found += _measured(name, wanted)
    print(as_json(found) if wanted.json else as_table(found))
    return 0


def _measured(name: str, wanted: argparse.Namespace) -> list[Measure]:
    module = importlib.import_module(f"benchmarks.{name}")
    found: list[Measure]
    if name != ON_DATA:
        found = module.run(wanted.quick, *([wanted.data] if name in MAY_USE_DATA else []))
        return found
    show = _silent if wanted.json else print
    try:
        found = module.run(wanted.quick, wanted.data, wanted.set, wanted.plots, show)
    except module.NoDataError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    return found


def _silent(_: str) -> None:
    """Tables are for people."""


if __name__ == "__main__":
    sys.exit(main())
