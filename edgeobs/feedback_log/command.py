"""What ``edgeobs feedback`` does and prints."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeobs import snapshot
from edgeobs.detect.feedback import Feedback, FeedbackSettings, Target, is_in
from edgeobs.feedback_log.file import append, read
from edgeobs.feedback_log.words import Word, parse, utc
from edgeobs.series import SeriesTable
from edgeobs.signals import Identity, Kind, Source


def factors(
    words: Sequence[Word], about: Sequence[Target], settings: FeedbackSettings, now_ns: int
) -> list[float]:
    """By which the scores are multiplied now of a series in each target that no narrower word is about."""
    table = SeriesTable(max(len(about), 1))
    ids = [table.intern(_someone(each), 0, now_ns) for each in about]
    feedback = Feedback(table, settings)
    feedback.hear([word.entry for word in words])
    return [float(each) for each in feedback.factor(np.array(ids, np.int32), now_ns)]


def say(path: Path, settings: FeedbackSettings, word: Word) -> tuple[str, str]:
    """Write a word down; what it comes to, and what is odd about it. Raises as `append`."""
    append(path, word)
    about, verdict, now_ns = word.entry
    (factor,) = factors(parse(read(path), now_ns)[0], [about], settings, now_ns)
    lines = [f"{path}: {verdict}: {word.text()}", f"factor of its scores: {factor:.2f}"]
    odd = ["no series of the last snapshot is that: look at NODE and METRIC"]
    return _plain(lines), _plain([] if _known(path.parent, about) else odd)


def listing(path: Path, settings: FeedbackSettings, now_ns: int) -> tuple[str, str]:
    """What was said, a line a word, and what could not be read. Raises OSError."""
    words, bad = parse(read(path), now_ns)
    now = factors(words, [word.entry.target for word in words], settings, now_ns)
    lines = [
        f"{utc(word.entry.at_ns):%Y-%m-%d %H:%M:%S} UTC  {word.entry.verdict}  {factor:.2f}  {word.text()}"
        for word, factor in zip(words, now, strict=True)
    ]
    return _plain(lines), _plain([f"{path}, line {number}: {reason}" for number, reason in bad])


def _someone(about: Target) -> Identity:
    """A series that a word is about, and no word about fewer."""
    labels = (("", ""),) if about.labels is None else about.labels
    return Identity(Source((), about.place), about.name, labels, Kind.GAUGE)


def _known(folder: Path, about: Target) -> bool:
    """Whether the last snapshot has a series that a word is about; true too when none can be read."""
    try:
        table, *_ = snapshot.read(folder / snapshot.NAME)
    except (OSError, ValueError):
        return True
    return any(each is not None and is_in(each, about) for each in table.identities)


def _plain(lines: Sequence[str]) -> str:
    """Lines of text; what people and senders write may not command a terminal."""
    shown = ("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines)
    return "".join(f"{line}\n" for line in shown)
