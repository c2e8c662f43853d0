"""``python -m benchmarks NAME [--quick] [--json]``: one runner for every benchmark."""

import argparse
import importlib
import sys

from benchmarks.measure import Measure, as_json, as_table

BENCHMARKS = {
    "ingest": "bytes → columns → scores: decoders alone, and from a loopback socket to the score",
    "decision": "last byte of the request with the evidence → decision recorded, at half load",
    "memory": "bytes per live series, and an idle core",
}


def main() -> int:
    """Run the named benchmarks (all without a name), print tables or one JSON object."""
    known = "\n".join(f"  {name:10} {what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=f"benchmarks:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME", choices=[*BENCHMARKS, []], help="which; none: all"
    )
    parser.add_argument("--quick", action="store_true", help="end within 40 s; figures are rougher")
    parser.add_argument("--json", action="store_true", help='one object: {"measures": [...]}')
    wanted = parser.parse_args()
    found: list[Measure] = []
    for name in wanted.names or BENCHMARKS:
        print(f"{name}: {BENCHMARKS[name]}", file=sys.stderr)
        found += importlib.import_module(f"benchmarks.{name}").run(wanted.quick)
    print(as_json(found) if wanted.json else as_table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
