"""How improbable a deviation is: −log₁₀ of two-sided tail probabilities."""

from math import log

import numpy as np

from edgeobs.signals import Floats

MOST = 20.0  # decades; a score is never higher

# Least-squares fit of ln(erfcx(x) / t) as a polynomial in t = 1 / (1 + x/2), on Chebyshev nodes of (0, 1];
# off by less than 6e-9 anywhere. Highest power first.
_FIT = (
    0.0547696784419, -0.50737531403, 1.85398002993, -3.50588735635, 3.64260446375, -2.01102773683,
    0.666511676966, -0.32548988858, -0.0586006401527, 0.0809193239284, 0.375109829862, 0.999998046883,
    -1.26551211775,
)  # fmt: skip

SHARE = 0.01  # of samples that are beyond the threshold of a learned tail
PRIOR = 100.0  # exceedances' worth of trust in the tail below
# Of |z|^¾: beyond what 1 % of a Gaussian lies, and how far on average. The second is more than a Gaussian's
# (0.2): telemetry is heavier-tailed.
THRESHOLD, EXCESS = 2.5758**0.75, 0.32
LEAST_EXCESS, MOST_EXCESS, MOST_THRESHOLD = 0.2, 20.0, 20.0


def gaussian(z: Floats) -> Floats:
    """Of a standard normal, for z ≥ 0; in the log domain, so that it is good far in the tail."""
    x = z * np.sqrt(0.5)
    t = 1.0 / (1.0 + 0.5 * x)
    log_erfc = np.polyval(_FIT, t) + np.log(t) - x * x
    decades: Floats = np.clip(log_erfc / -log(10), 0.0, MOST)
    return decades


def stretch(z: Floats) -> Floats:
    """z^¾: on this scale real tails are near exponential, and two square roots are cheap."""
    root = np.sqrt(z)
    return root * np.sqrt(root)


def learned(g: Floats, threshold: Floats, excess: Floats) -> Floats:
    """Of a stretched deviation: linear to ``threshold`` (2 decades), then exponential of mean ``excess``."""
    over = g - threshold
    within = g * (2.0 / threshold)
    beyond = 2.0 + over * (1.0 / log(10)) / excess
    return np.minimum(np.where(over > 0, beyond, within), MOST)
