"""How surprising is enough: thresholds from the false alarms that a score promises.

A score of s decades promises 10⁻ˢ false alarms a sample (docs/detection.md), so a series whose samples are T
seconds apart promises 86,400/T · 10⁻ˢ a day. ``ease`` is log₁₀ T, at least 0.
"""

from math import log10

from edgeobs.incidents.settings import Settings

LEAST = 2.0
"""Decades: the usual is below, however seldom a series speaks."""

_DAY_S = 86_400.0
_KNOWN = 6.0  # decades that a series' own tail can tell of: a million samples, twelve days at one a second
_PAUSE = 5.0  # intervals without a surprise after which evidence is calm at the earliest


def opening(ease: float, settings: Settings) -> float:
    """Decades that a sample must reach to count: the same promise a day of whoever speaks how often."""
    return max(LEAST, settings.open_score - ease)


def closing(ease: float, settings: Settings) -> float:
    """Decades that keep evidence alive."""
    return settings.close_score * opening(ease, settings) / settings.open_score


def alone(ease: float, series: int, settings: Settings) -> float:
    """Decades that one of so many series must reach to open an incident alone.

    All of them together then promise ``alone_a_day``: of s decades each, Σ 86,400/T · 10⁻ˢ (Bonferroni's
    correction for looking at many). Decades beyond `_KNOWN` count half: no tail was ever seen there.
    """
    samples_a_day = max(series, 1) * _DAY_S / 10**ease
    promised = log10(samples_a_day / settings.alone_a_day)
    return max(opening(ease, settings), promised + max(promised - _KNOWN, 0.0))


def hold_s(ease: float, settings: Settings) -> float:
    """Seconds without a surprise after which evidence is calm: who speaks seldom is asked a few times."""
    return max(settings.hold_s, _PAUSE * 10**ease)
