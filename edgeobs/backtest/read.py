"""History from files: one, or every recording of a folder as one fleet."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeobs.backtest.labels import Label, from_column
from edgeobs.replay import SUFFIXES, Recording, RecordingError, in_order, read_frame, recording_of, row_times

MAX_FILES = 10_000
MAX_SAMPLES = 100_000_000


@dataclass(frozen=True, slots=True)
class History:
    """What is gone over: samples, and what the recordings themselves say was abnormal."""

    recording: Recording
    labels: list[Label] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # for people


def files(path: Path) -> list[Path]:
    """A file, or a folder's recordings by name. Raises OSError, RecordingError."""
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES and each.is_file())
    if not found:
        raise RecordingError(f"{path}: holds no .parquet and no .csv")
    if len(found) > MAX_FILES:
        raise RecordingError(f"{path}: more than {MAX_FILES} files")
    return found


def read_files(paths: list[Path], root: Path) -> Iterator[History]:
    """Each file's history. What names no node is of one called as the file, or as its path where two are.

    Raises OSError, RecordingError.
    """
    stems = Counter(path.stem for path in paths)
    for path in paths:
        alone = stems[path.stem] == 1
        node = path.stem if alone else path.relative_to(root).with_suffix("").as_posix()
        frame = read_frame(path)
        labels: list[Label] = []
        if "label" in frame.columns and frame["label"].dtype.is_numeric():
            time_ns = row_times(frame, path)
            order = np.argsort(time_ns, kind="stable")
            marked = frame["label"].fill_null(0).to_numpy()[order] > 0
            labels = from_column(marked, time_ns[order], node)
        yield History(recording_of(frame, path, node), labels)


def joined(histories: list[History]) -> History:
    """Several histories as one, in order of time; a series that is in two is one. RecordingError."""
    numbers: dict[object, int] = {}
    series = []
    for recording in (history.recording for history in histories):
        ids = [numbers.setdefault(identity, len(numbers)) for identity in recording.identities]
        series.append(np.array(ids, np.int32)[recording.series])
    total = sum(len(each) for each in series)
    if not total:
        raise RecordingError("no samples")
    if total > MAX_SAMPLES:
        raise RecordingError(f"{total} samples: expected at most {MAX_SAMPLES}")
    identities = list({identity: 0 for h in histories for identity in h.recording.identities})
    whole = Recording(
        identities,
        np.concatenate(series),
        np.concatenate([h.recording.time_ns for h in histories]),
        np.concatenate([h.recording.value for h in histories]),
    )
    labels = sorted((label for h in histories for label in h.labels), key=lambda label: label.start_ns)
    return History(in_order(whole), labels, [note for h in histories for note in h.notes])
