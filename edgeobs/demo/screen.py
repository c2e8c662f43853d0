"""What a person at the terminal sees; plain lines where there is no terminal."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from edgeobs.demo.faults import Fault
from edgeobs.demo.verdict import Closing, Decided, Row, Seen

if TYPE_CHECKING:
    from edgeobs.demo.witness import Touched

_EVERY_S = 15  # between two lines of progress where there is no bar
_STYLE = {"allowed": "bold green", "held": "bold yellow", "denied": "bold red"}


class Screen:
    """Lines, stamped with the seconds since the demo began, and one bar at a time."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = 140
        self._bar: Progress | None = None
        self._told = -1

    def line(self, text: str, style: str = "") -> None:
        """One line, as it is."""
        self.console.print(text, style=style or None, markup=False, soft_wrap=True)

    def event(self, at_s: float, word: str, text: str, style: str = "") -> None:
        """One stamped line."""
        self.line(f"{at_s:6.1f} s  {word:<9} {text}", style)

    def incident(self, at_s: float, incident: Seen, evidence: Iterable[str]) -> None:
        """A new incident and what speaks for it."""
        self.event(at_s, "incident", f"{_where(incident)}: {incident.title}", "bold magenta")
        for piece in evidence:
            self.line(f"{'':20}{piece}", "dim")

    def decisions(self, at_s: float, decisions: Sequence[Decided]) -> None:
        """New decisions; those that say the same of several nodes once."""
        alike: dict[tuple[str, str, str], list[Decided]] = {}
        for each in decisions:
            alike.setdefault((each.incident, each.verdict, each.rule), []).append(each)
        for group in alike.values():
            first = group[0]
            more = f" (and for {len(group) - 1} more nodes)" if len(group) > 1 else ""
            took = f" [{first.latency_ms:.0f} ms]" if first.latency_ms is not None else ""
            self.event(at_s, "decision", f"{first.text}{more}{took}", _STYLE.get(first.verdict, ""))

    def progress(self, what: str, done_s: float, of_s: float) -> None:
        """A bar, or a line now and then."""
        if not self.console.is_terminal:
            if int(done_s) // _EVERY_S != self._told:
                self._told = int(done_s) // _EVERY_S
                self.line(f"{what}: {done_s:.0f} of at most {of_s:.0f} s")
            return
        if self._bar is None:
            columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._bar.add_task(what, total=of_s)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done_s, description=what)

    def done(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._told = None, -1

    def done_to(self, touched: "Iterable[Touched]", faults: Sequence[Fault]) -> None:
        """What the cluster itself says was done to its nodes, seconds after the fault began."""
        table = Table(title="done to the cluster, as its API tells", title_justify="left")
        for heading in (
            "node",
            "why",
            "cordoned or tainted after (s)",
            "pods before",
            "pods left",
            "undone after (s)",
        ):
            right = heading not in ("node", "why")
            table.add_column(heading, justify="right" if right else "left", overflow="fold")
        began = {fault.target: fault.start_s for fault in faults}
        for each in touched:
            start = began.get(each.node, 0.0)
            marked, undone = each.cordoned_s or each.tainted_s, each.undone_s
            after = [f"{at - start:.1f}" if at and start else "" for at in (marked, undone)]
            moved = [str(each.pods_before), str(each.pods)] if each.cordoned_s else ["", ""]
            table.add_row(each.node, escape(each.reason), after[0], *moved, after[1])
        self.console.print(table)

    def closing(self, closing: Closing, offline: str, wrong: Sequence[str] = ()) -> None:
        """The table, what became of a node that was cut off, and what was wrong."""
        table = Table(title="closing table", title_justify="left")
        for heading in ("fault", "noticed after (s)", "decision", "decision latency (ms)", "false actions"):
            right = heading not in ("fault", "decision")
            table.add_column(heading, justify="right" if right else "left", overflow="fold")
        for row in closing.rows:
            table.add_row(*_cells(row))
        self.console.print(table)
        self.line(offline)
        self.line(f"incidents on nodes without a fault: {closing.healthy_incidents} (told, no failure)")
        for problem in (*closing.problems, *wrong):
            self.line(f"NOT RIGHT: {problem}", "bold red")
        if not (closing.problems or wrong):
            self.line("every fault noticed, every decision right, no action for a healthy node", "bold green")


def _where(incident: Seen) -> str:
    if incident.scope == "node":
        return f"{incident.node} (zone {incident.zone})" if incident.zone else incident.node
    return f"zone {incident.zone}" if incident.scope == "zone" else "the cluster"


def _cells(row: Row) -> Sequence[str]:
    noticed = "" if row.noticed_s is None else f"{row.noticed_s:.1f}"
    latency = "" if row.latency_ms is None else f"{row.latency_ms:.1f}"
    return row.fault, noticed, escape(row.decision), latency, str(row.false_actions)
