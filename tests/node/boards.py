"""Machines written by hand: the files of /proc, /sys and elsewhere that sources read."""

from pathlib import Path
from typing import Any

from edgeobs.node.host import Host
from edgeobs.node.readings import Reading
from edgeobs.node.settings import Settings

HERE = Path(__file__).parent / "boards"
BOARDS = sorted(path.stem for path in HERE.glob("*.txt"))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


def unpack(name: str, folder: Path) -> Path:
    """Write a board's files; ``-- PATH --`` begins each."""
    path, lines = Path(), list[str]()
    for line in [*(HERE / f"{name}.txt").read_text().splitlines(), "-- end --"]:
        if not line.startswith("-- "):
            lines.append(line)
            continue
        if path.name:
            write(folder, str(path), "\n".join(lines) + "\n")
        path, lines = Path(line[3:-3]), []
    return folder


def write(folder: Path, path: str, text: str) -> None:
    """One file below a folder."""
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def host(name: str, folder: Path, clock: Clock | None = None, **more: Any) -> Host:
    """A board, as sources see it."""
    settings = Settings(root=str(unpack(name, folder)), **more)
    return Host(settings, clock or Clock())


def values(readings: list[Reading], name: str, *attributes: str) -> dict[Any, Any]:
    """A metric's values, by its attributes, or by the values of some of them."""
    found = [(reading.attributes, reading.value) for reading in readings if reading.name == name]
    if not attributes:
        return dict(found)
    return {tuple(dict(each).get(key, "") for key in attributes): value for each, value in found}
