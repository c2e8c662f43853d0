"""What a core knows of a node's series and why it thinks so: read from its snapshot, while it runs or not."""

from pathlib import Path

from edgeobs.detect import Settings
from edgeobs.explain.read import AHEAD_S, Unknown, Unreadable, of_node, read
from edgeobs.explain.show import as_details, as_list, to_json
from edgeobs.explain.text import plain

__all__ = ["AHEAD_S", "Unknown", "Unreadable", "of_node", "read", "run"]

LISTED, SHOWN = 40, 5
"""Series in the list of a node, and in whole, unless told otherwise."""


def run(folder: Path, settings: Settings, node: str, metric: str, most: int | None, *, as_json: bool) -> str:
    """What the command prints: a list of a node's series or, of those that ``metric`` fits, everything.

    ``most`` bounds them; None: `LISTED` or `SHOWN`. Raises Unreadable, Unknown.
    """
    learned = read(folder, settings)
    told = of_node(learned, node, metric)
    bound = most or (SHOWN if metric else LISTED)
    if as_json:
        return to_json(learned, node, told, bound)
    return plain(as_details(learned, told, bound) if metric else as_list(learned, node, told, bound))
