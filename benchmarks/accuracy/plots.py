"""PNGs of series with score and labels, written without a plotting library.

Above the value, or a strip for every metric of a node, each scaled by its own range; below the score, from 0
to its maximum. Labelled samples stand on a red ground. A column of pixels spans from its least sample to its
greatest.
"""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.data import Node, Series
from edgeobs.signals import Bools, Floats

WIDTH, UPPER, STRIP, LOWER, GAP = 1200, 220, 24, 120, 10
_WHITE, _LABEL, _VALUE, _SCORE = (255, 255, 255), (255, 214, 208), (38, 70, 110), (178, 60, 20)
Pixels = NDArray[np.uint8]


def write(folder: Path, entities: Sequence[Series | Node], scores: Sequence[Floats]) -> None:
    """One file an entity, by its name, / as __."""
    folder.mkdir(parents=True, exist_ok=True)
    for entity, score in zip(entities, scores, strict=True):
        name = entity.name.replace("/", "__").removesuffix(".csv")
        (folder / f"{name}.png").write_bytes(png(drawn(entity, score)))


def drawn(entity: Series | Node, score: Floats) -> Pixels:
    """The picture, [height, width, 3]."""
    values = entity.values if isinstance(entity, Node) else entity.value[:, None]
    metrics = values.shape[1]
    upper = max(UPPER, metrics * STRIP)
    width = min(WIDTH, len(score))
    picture = np.full((upper + GAP + LOWER, width, 3), _WHITE, np.uint8)
    first = np.arange(width) * len(score) // width  # of the samples in each column
    picture[:, np.logical_or.reduceat(entity.label, first)] = _LABEL
    picture[upper : upper + GAP] = _WHITE
    for strip, metric in zip(np.array_split(picture[:upper], metrics), values.T, strict=True):
        _line(strip[:-1], metric, first, _VALUE, lowest=None)
    _line(picture[upper + GAP :], score, first, _SCORE, lowest=0.0)
    return picture


def png(picture: Pixels) -> bytes:
    """A picture as a PNG file (W3C PNG, 3rd edition, §5 and §11): 8-bit RGB, no filter."""
    height, width, _ = picture.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)])
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _line(
    panel: Pixels, value: Floats, first: NDArray[np.int64], colour: tuple[int, int, int], lowest: float | None
) -> None:
    there: Bools = np.isfinite(value)
    if not there.any():
        return
    bottom = float(value[there].min()) if lowest is None else lowest
    span = float(value[there].max()) - bottom or 1.0
    height = len(panel)
    low = np.minimum.reduceat(np.where(there, value, np.inf), first)
    high = np.maximum.reduceat(np.where(there, value, -np.inf), first)
    seen = low <= high
    # Joined to the column before, so that a steep step is a line.
    low[1:] = np.where(seen[1:] & seen[:-1], np.minimum(low[1:], high[:-1]), low[1:])
    up = height - 1 - np.clip((np.stack([low, high])[:, seen] - bottom) / span * (height - 1), 0, height - 1)
    pixel = np.arange(height)[:, None]
    ink = np.zeros(panel.shape[:2], np.bool_)
    ink[:, seen] = (pixel >= np.floor(up[1])) & (pixel <= np.ceil(up[0]))
    panel[ink] = colour
