"""What a threshold promises. A score is −log₁₀ of the probability of a sample as surprising by chance."""

DAY_S = 86_400.0


def promised(threshold_decades: float, interval_s: float) -> float:
    """False alarms a series and day, before any de-bouncing.

    Parameters
    ----------
    threshold_decades
        The score that counts, decades, ≥ 0.
    interval_s
        Seconds between two samples of the series, > 0; ValueError for anything else.

    """
    if not interval_s > 0:
        raise ValueError(f"interval_s: expected seconds above 0, found {interval_s}")
    return float(10.0**-threshold_decades * DAY_S / interval_s)
