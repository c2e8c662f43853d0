"""What is printed, with a terminal and without."""

from io import StringIO

from rich.console import Console

from edgeobs.demo.screen import Screen
from edgeobs.demo.verdict import Closing, Decided, Row, Seen

HELD = Decided(
    "d", "i", "cordon", "b", "edge-01", "held", "zone_hold", True, 0.0, "held: all of [zone] b", 12.4
)


def plain() -> tuple[Screen, StringIO]:
    out = StringIO()
    return Screen(Console(file=out, highlight=False)), out


def test_what_telemetry_says_is_no_markup() -> None:
    screen, out = plain()
    evidence = ['x{device="[red]sda[/]"} = 3']
    screen.incident(1.0, Seen("i", "node", "c", "edge-17", 0.0, None, "[bold]disk[/bold]"), evidence)
    assert "edge-17 (zone c): [bold]disk[/bold]" in out.getvalue()
    assert 'x{device="[red]sda[/]"} = 3' in out.getvalue()


def test_decisions_that_say_the_same_are_one_line() -> None:
    screen, out = plain()
    screen.decisions(1.0, [HELD._replace(id=str(n), node=f"edge-{n}") for n in range(10)])
    assert out.getvalue().splitlines() == [
        "   1.0 s  decision  held: all of [zone] b (and for 9 more nodes) [12 ms]"
    ]


def test_progress_without_a_terminal_is_a_line_now_and_then() -> None:
    screen, out = plain()
    for tenth in range(400):
        screen.progress("warm-up", tenth / 10, 40)
    screen.done()
    assert out.getvalue().splitlines() == [f"warm-up: {s} of at most 40 s" for s in (0, 15, 30)]


def test_progress_on_a_terminal_is_a_bar() -> None:
    out = StringIO()
    screen = Screen(Console(file=out, force_terminal=True, width=80))
    for second in range(40):
        screen.progress("warm-up", second, 40)
    screen.done()
    assert "━" in out.getvalue()


def test_the_closing_table_has_every_row_and_every_problem() -> None:
    screen, out = plain()
    rows = (
        Row("zone b goes dark", 6.25, "held: all of [zone] b", 3.14, 0, ()),
        Row("none (healthy nodes)", None, "", None, 2, ("false action: would cordon edge-05",)),
    )
    screen.closing(Closing(rows, 4), "edge-09: 1 incidents raised offline")
    said = out.getvalue()
    for each in (
        "zone b goes dark",
        "6.2",
        "all of [zone] b",
        "3.1",
        "NOT RIGHT: false action",
        ": 4 (told",
        "1 incidents raised",
    ):
        assert each in said
    assert "every decision right" not in said


def test_the_closing_table_says_which_series() -> None:
    screen, out = plain()
    decision = "would taint vm: cpu: system_cpu_time_seconds_total (idle) at 0 s/s, expected 1.91 s/s"
    screen.closing(Closing((Row("burn", 6.0, decision, 3.0, 0, ()),), 0), "")
    assert "(idle)" in out.getvalue()
