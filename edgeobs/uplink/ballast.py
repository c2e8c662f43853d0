"""Room on a disk that is kept for when it is full: even deleting from a database has to write first."""

import os
from contextlib import suppress
from pathlib import Path

SIZE = 512 << 10


class Ballast:
    """A file beside the one that matters: given up when there is no room, taken again when there is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self) -> bool:
        """Hold the room; False when the disk has none."""
        if self.path.exists():
            return True
        try:
            with self.path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, SIZE)
        except OSError:
            self.give_up()
            return False
        return True

    def give_up(self) -> bool:
        """Let the room go; False when there was none."""
        with suppress(OSError):
            self.path.unlink()
            return True
        return False
