"""Files that are there whole or not at all."""

import os
import threading
from pathlib import Path


def replace(path: Path, content: bytes, *, durable: bool, mode: int = 0o600) -> None:
    """Put ``content`` where ``path`` is, in one step; readers see the old or the new.

    Parameters
    ----------
    durable
        Whether it also has to survive a loss of power: the file and its name are on disk afterwards.
    mode
        Who may read and write it, whatever the umask says.

    Raises
    ------
    OSError
        It could not be written; what was there is there still.

    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with draft.open("wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
