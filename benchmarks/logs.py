"""Lines → templates and series: how fast, how well they are grouped, how often what is new is told falsely.

Throughput: lines of 2,000 templates of six to sixteen words, one to three of them parameters (numbers,
addresses, UUIDs, hexadecimal, paths, names that no mask knows), by Zipf's law, no line twice, in requests
of 2,000 lines of 20 pods of one workload, through the whole stage: bodies, templates, counts, evidence.
Beside it, splitting the same lines into words and no more. The workload's share of lines is lifted: by
default it ends at 3,000 a second. The same as messages of JSON objects.

Grouping: loghub's six systems, 2,000 lines each with their true templates; one configuration, the default.
The accuracy is that of J. Zhu et al., "Tools and Benchmarks for Automated Log Parsing", ICSE-SEIP 2019: the
share of lines whose template has exactly the lines of one true template. Their figures for Drain, printed
beside ours, were found with masks, depth and likeness chosen for each system.

False alarms: the same logs, each cut into intervals of ten lines, in order and shuffled: the share of
intervals in which something new is told with a probability of at most 0.05. Shuffled intervals are
exchangeable, and the promise is proven for them; logs in order need not keep it.
"""

import csv
import gc
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from benchmarks.measure import Measure
from edgeobs.logs import Logs, Settings
from edgeobs.logs.body import lines
from edgeobs.logs.book import Book
from edgeobs.logs.mask import Words
from edgeobs.logs.miner import Miner
from edgeobs.logs.novelty import Novelty
from edgeobs.logs.words import Levels
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Counts, Identity, LogBatch, Principal, Resource, Source

PUBLISHED = {
    "Apache": 1.0,
    "BGL": 0.963,
    "HDFS": 0.998,
    "Linux": 0.690,
    "OpenSSH": 0.788,
    "OpenStack": 0.733,
}
"""Of Drain, by system: Zhu et al., table of accuracies."""

_TEMPLATES = 2000
_REQUEST = 2000  # lines
_PODS = 20
_RATE = 100_000  # lines a second: how fast the clock of the stage runs
_T0 = 1_790_000_000 * SECOND
_ALPHA = 0.05
_TICK = 10  # lines
_WHO = Principal(0, "benchmark", None, 1_000_000)


def run(quick: bool, data: Path | None) -> list[Measure]:
    """Throughput, and with ``data`` (a folder that has ``loghub/``) grouping and false alarms."""
    found = _throughput(100_000 if quick else 1_000_000)
    folder = data / "loghub" if data else None
    if folder is None or not folder.is_dir():
        return found
    sets = {name: _labelled(folder, name) for name in PUBLISHED}
    mined = {name: _mined(text) for name, (text, _) in sets.items()}
    return found + _grouping(sets, mined) + _false_alarms(mined)


def _throughput(n: int) -> list[Measure]:
    made = _lines(n)
    size = len(b"".join(made)) / n
    rate, split, known = _speed(made)
    boxed = [
        json.dumps(
            {"ts": _T0 / SECOND + at, "level": "info", "logger": "main", "msg": line.decode()}
        ).encode()
        for at, line in enumerate(made[: n // 4])
    ]
    in_json, split_json, _ = _speed(boxed)
    return [
        Measure("log_lines", rate, "lines/s", f"words split, no more: {split:,.0f}", rate / split),
        Measure("log_templates", known, "templates", f"{_TEMPLATES:,} made; {size:.0f} bytes a line"),
        Measure(
            "log_lines_json", in_json, "lines/s", f"words split: {split_json:,.0f}", in_json / split_json
        ),
    ]


def _speed(made: Sequence[bytes]) -> tuple[float, float, int]:
    """Lines a second of the stage, and of splitting words; templates found."""
    stage = Logs(SeriesTable(100_000), Settings(workload_lines=10_000_000), Counts(), _admitter())
    batches = [_batch(made[at : at + _REQUEST]) for at in range(0, len(made), _REQUEST)]
    warm = len(batches) // 5  # every template was seen by then
    took = split = 0.0
    gc.collect()
    gc.freeze()  # the lines that wait are the benchmark's: the stage's collector has its own to do
    for number, batch in enumerate(batches):
        now = _T0 - 6 * SECOND + number * _REQUEST * SECOND // _RATE
        once = _cpu(stage, batch, now)
        words = _cpu_of_words(made[number * _REQUEST :][:_REQUEST])
        if number >= warm:
            took, split = took + once, split + words
    gc.unfreeze()
    measured = len(made) - warm * _REQUEST
    return measured / took, measured / split, len(stage._workloads.book)


def _cpu(stage: Logs, batch: LogBatch, now_ns: int) -> float:
    begin = time.thread_time()
    stage.take(batch, now_ns)
    stage.close(now_ns)
    return time.thread_time() - begin


def _cpu_of_words(made: Sequence[bytes]) -> float:
    begin = time.thread_time()
    for line in made:
        line.split()
    return time.thread_time() - begin


def _lines(n: int) -> list[bytes]:
    dice = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(dice.choices(letters, k=dice.randint(2, 10))) for _ in range(3000)]
    names = ["".join(dice.choices(letters, k=7)) for _ in range(5000)]
    makers: list[Callable[[], str]] = [
        lambda: str(dice.randrange(10**6)),
        lambda: ".".join(str(dice.randrange(256)) for _ in range(4)) + f":{dice.randrange(65536)}",
        lambda: "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}".format(*map(dice.getrandbits, (32, 16, 16, 16, 48))),
        lambda: f"0x{dice.getrandbits(40):x}",
        lambda: f"took={dice.randrange(9999)}ms",
        lambda: dice.choice(names),
        lambda: f"/var/lib/volumes/{dice.randrange(9999)}/data",
    ]
    templates: list[list[str | Callable[[], str]]] = []
    for _ in range(_TEMPLATES):
        words: list[str | Callable[[], str]] = [*dice.choices(vocabulary, k=dice.randint(6, 16))]
        for _ in range(dice.randint(1, 3)):
            words[dice.randrange(2, len(words))] = dice.choice(makers)
        templates.append(words)
    chosen = [*range(_TEMPLATES), *dice.choices(
        range(_TEMPLATES), [1 / (rank + 3) for rank in range(_TEMPLATES)], k=n
    )][:n]  # fmt: skip
    return [
        " ".join(word if isinstance(word, str) else word() for word in templates[number]).encode()
        for number in chosen
    ]


def _batch(made: Sequence[bytes], pods: int = _PODS) -> LogBatch:
    n = len(made)
    sources = tuple(
        Source((), Resource("", "z", f"node-{pod % 5}", "shop", "cart", f"cart-{pod}")) for pod in range(pods)
    )
    return LogBatch(
        _WHO, sources, (np.arange(n) % pods).astype(np.int32), np.zeros(n, np.int64), np.full(n, 3, np.int8),
        b"".join(made), np.array([0, *accumulate(map(len, made))], np.int64), np.zeros((n, 2), np.uint64),
    )  # fmt: skip


def _admitter() -> Callable[[Principal, Identity, int], int]:
    known: dict[Identity, int] = {}
    return lambda _who, identity, _now: known.setdefault(identity, len(known))


def _labelled(folder: Path, name: str) -> tuple[list[bytes], list[str]]:
    with (folder / name / f"{name}_2k.log_structured.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["Content"].encode() for row in rows], [row["EventId"] for row in rows]


def _mined(text: Sequence[bytes]) -> list[int]:
    """Template of each line, with the default configuration, line after line."""
    settings = Settings()
    miner = Miner(0, Book(settings.templates), Words(), Levels(), settings, lambda _: None)
    bodies = lines(_batch(text, 1), settings.line_bytes, Counts()).text
    return [code >> 3 for code in miner.mine(bodies, 0)]


def _grouping(sets: dict[str, tuple[list[bytes], list[str]]], mined: dict[str, list[int]]) -> list[Measure]:
    right = {name: _grouped(mined[name], truth) for name, (_, truth) in sets.items()}
    mean, published = (sum(found.values()) / len(found) for found in (right, PUBLISHED))
    each = [
        Measure(f"grouping_accuracy_{name.lower()}", value, "share", f"Drain, tuned to it: {PUBLISHED[name]}",
                value / PUBLISHED[name])
        for name, value in right.items()
    ]  # fmt: skip
    reference = f"Drain, tuned to each: {published:.3f}"
    return [Measure("grouping_accuracy", mean, "share", reference, mean / published), *each]


def _grouped(found: Sequence[int], truth: Sequence[str]) -> float:
    """Share of lines whose template has exactly the lines of one true template."""
    sizes = Counter(truth)
    groups: dict[int, list[str]] = defaultdict(list)
    for template, true in zip(found, truth, strict=True):
        groups[template].append(true)
    exact = sum(
        len(group) for group in groups.values() if len(set(group)) == 1 and sizes[group[0]] == len(group)
    )
    return exact / len(found)


def _false_alarms(mined: dict[str, list[int]]) -> list[Measure]:
    ordered, shuffled, ticks = [], [], 0
    for found in mined.values():
        cut = [found[at : at + _TICK] for at in range(0, len(found), _TICK)]
        ticks += len(cut)
        ordered.append(_told(cut))
        for seed in range(10):
            mixed = cut.copy()
            random.Random(seed).shuffle(mixed)
            shuffled.append(_told(mixed))
    promise = f"promised of {ticks:,} intervals: at most {_ALPHA}"
    return [
        Measure("log_new_told_shuffled", float(np.mean(shuffled)), "share", promise),
        Measure("log_new_told_in_order", float(np.mean(ordered)), "share", "not promised: logs change"),
    ]


def _told(ticks: Iterable[Sequence[int]]) -> float:
    """Share of ticks in which something new is told with p ≤ 0.05."""
    ticks = list(ticks)
    novelty, n = Novelty(), 1 + max(map(max, ticks))
    novelty.reserve(n, 1)
    owner, severity = np.zeros(n, np.int32), np.zeros(n, np.int8)
    told = 0
    for number, heard in enumerate(ticks, 1):
        new = novelty.tick(np.unique(heard), owner, severity, np.array([number]))
        told += any(each.p <= _ALPHA for each in new)
    return told / len(ticks)
