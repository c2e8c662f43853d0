"""Where the services of a graph are drawn: callers to the left of those they call. Pure."""

from collections.abc import Iterable, Sequence

_SWEEPS = 4

Pair = tuple[str, str]


def placed(pairs: Iterable[Pair]) -> dict[str, tuple[int, int]]:
    """Service → (column, row), both from 0, no two in one place.

    The method of Sugiyama, Tagawa and Toda (1981) in its simplest form: calls that close a circle are turned
    round, a service's column is one right of its rightmost caller's, and the rows of a column are ordered by
    the mean row of their neighbours, a few times to and fro. Equal input gives equal output, whatever its
    order.
    """
    known = set(pairs)
    names = sorted({name for pair in known for name in pair})
    edges = sorted((a, b) for a, b in known if a != b)
    acyclic = _without_circles(names, edges)
    column = _columns(names, acyclic)
    return _rows(names, acyclic, column)


def _without_circles(names: Sequence[str], edges: Sequence[Pair]) -> list[Pair]:
    """The edges, with those that lead back to a service being visited turned round."""
    after: dict[str, list[str]] = {name: [] for name in names}
    called = {b for _, b in edges}
    for a, b in edges:
        after[a].append(b)
    state = dict.fromkeys(names, 0)  # 1: being visited, 2: done
    back: set[Pair] = set()
    for root in sorted(names, key=lambda name: (name in called, name)):
        stack = [(root, iter(after[root]))] if not state[root] else []
        state[root] = state[root] or 1
        while stack:
            name, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                state[name] = 2
                stack.pop()
            elif state[step] == 1:
                back.add((name, step))
            elif not state[step]:
                state[step] = 1
                stack.append((step, iter(after[step])))
    return sorted({(b, a) if (a, b) in back else (a, b) for a, b in edges})


def _columns(names: Sequence[str], edges: Sequence[Pair]) -> dict[str, int]:
    """The length of the longest way to each."""
    column = dict.fromkeys(names, 0)
    waits = dict.fromkeys(names, 0)
    after: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        after[a].append(b)
        waits[b] += 1
    ready = [name for name in names if not waits[name]]
    while ready:
        name = ready.pop()
        for callee in after[name]:
            column[callee] = max(column[callee], column[name] + 1)
            waits[callee] -= 1
            if not waits[callee]:
                ready.append(callee)
    return column


def _rows(names: Sequence[str], edges: Sequence[Pair], column: dict[str, int]) -> dict[str, tuple[int, int]]:
    columns: list[list[str]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for name in names:
        columns[column[name]].append(name)
    near: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    row = {name: number for each in columns for number, name in enumerate(each)}
    for sweep in range(_SWEEPS):
        for each in columns if sweep % 2 == 0 else columns[::-1]:
            means = sorted((_mean([row[other] for other in near[name]], row[name]), name) for name in each)
            row |= {name: number for number, (_, name) in enumerate(means)}
    return {name: (column[name], row[name]) for name in names}


def _mean(rows: Sequence[int], otherwise: int) -> float:
    return sum(rows) / len(rows) if rows else otherwise
