"""What the ranking of causes believes."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How clues are weighed; one set of values for every site."""

    floor: Annotated[float, Ge(0), Le(20)] = 2.0
    """Decades below which a clue is taken for the usual noise."""

    most: Annotated[float, Gt(0), Le(20)] = 12.0
    """Decades that one clue counts at most: beyond, no tail was ever seen."""

    half_life_s: Annotated[float, Gt(0)] = 120.0
    """Seconds after the first clue by which a later one counts half: an effect comes after its cause."""

    unused: Annotated[float, Ge(0), Le(1)] = 0.25
    """What surprise counts of a member that no call goes to or comes from, where calls are known."""

    calm_costs: Annotated[float, Ge(0), Le(20)] = 2.0
    """Decades that each calm member takes from the belief that a workload, node or zone as a whole is ill."""

    wide_costs: Annotated[float, Ge(0), Le(20)] = 2.0
    """Decades that a workload or node must account for beyond its worst member; a zone twice as many."""

    doubt: Annotated[float, Gt(0), Le(100)] = 4.0
    """Decades between two candidates that make one ten times as believable as the other."""

    candidates: Annotated[int, Ge(1), Le(1000)] = 10
    """Causes told at most."""

    guard_s: Annotated[float, Ge(0), Le(3600)] = 60.0
    """Seconds before an incident that do not count as usual: what is told late began earlier."""

    memory: Annotated[int, Ge(6), Le(100_000)] = 180
    """Intervals, the latest calm ones, that tell what is usual: half an hour, of ten seconds each."""

    changes_s: Annotated[float, Ge(10), Le(3600)] = 180.0
    """Seconds after something began that are compared with what was usual."""

    slow_share: Annotated[float, Gt(0), Lt(1)] = 0.05
    """Share of requests that are unusually long when nothing is wrong."""

    slow_factor: Annotated[float, Ge(1), Le(100)] = 2.0
    """How many times as long as the unusually long ones a request must be to count as slow."""
