"""Which samples of a node belong together: its ticks, told by the samples alone. Also what a node remembers.

A tick opens with a sample and closes, whatever comes first,

- when every series that is due has spoken (the usual case: no delay at all),
- before a sample that is later than its opening by more than half of the node's usual interval,
- before a second sample of one of its series.

What comes for a tick that is closed waits for the next one, unless a newer value of its series is there by
then. Plain functions of scalars, which the compiled loop calls too.
"""

from edgeobs.signals import Floats, Int64s

SEATS = 40
"""Series of a node that take part jointly, at most."""

# Of a seat, float64. MEAN … N: of the value; STEP: variance of the change; FAST, SLOW: recent pasts of the
# standardised value; LAST: it itself; PRECISION: given the others, 0 unknown; NOW and R0 … R3: its surprise.
MEAN, VARIANCE, SIZE, N, STEP, FAST, SLOW, LAST, VALUE, PRECISION, NOW, R0, R1, R2 = range(14)
REALS = 14
# Of a seat, int64. SERIES −1: free; FIRST_NS: when its series was first seen; MARK: of the tick that is open.
SERIES, FIRST_NS, LAST_NS, GAP_NS, MARK = range(5)
STAMPS = 5
# Of a node, int64. WAITING: series that are due and have not spoken, −1 none was; LIVE: seats ever taken;
# LEFT: ticks until the inverse that waits is taken up, 0 none waits; TURN: for how much less of its time the
# second of them waits, in 64ths, so that nodes take turns; INVERTED: inverses there have been.
OPEN_NS, CLOSED_NS, INTERVAL_NS, WAITING, TICKS, LIVE, LEFT, TURN, INVERTED = range(9)
TURNS = 64
CLOCK = 9
# Of a node, float64. WEIGHT: ticks the covariance has averaged; BASE: median of its surprise; the rest is the
# tail of it.
WEIGHT, BASE, THRESHOLD, EXCESS, PEAK, SEEN, RUNS = range(7)
OWN = 7

DUE, HERE, KEPT = 1, 2, 4
_JOINED = 500.0  # ticks that the covariance is taken to have averaged at most, when a series joins


def ends(stamps: Int64s, clock: Int64s, seat: int, time_ns: int) -> bool:
    """Whether the open tick closes before this sample."""
    if clock[OPEN_NS] == 0:
        return False
    interval = clock[INTERVAL_NS]
    late = interval > 0 and time_ns > clock[OPEN_NS] + interval // 2
    return bool(late or stamps[seat, MARK] & HERE)


def admit(
    reals: Floats, stamps: Int64s, clock: Int64s, own: Floats, seat: int, time_ns: int, value: float
) -> bool:
    """Take a sample into a tick, or keep it for the next; whether the tick is complete."""
    last = stamps[seat, LAST_NS]
    if time_ns <= last:
        return False
    if last == 0:
        sit(reals, stamps, clock, own, seat, time_ns)
    else:
        gone, gap = time_ns - last, stamps[seat, GAP_NS]
        stamps[seat, GAP_NS] = gone if gap == 0 else gap + (min(gone, 4 * gap) - gap) // 4
    stamps[seat, LAST_NS] = time_ns
    reals[seat, VALUE] = value
    if clock[OPEN_NS] == 0:
        if clock[CLOSED_NS] > 0 and time_ns <= clock[CLOSED_NS] + clock[INTERVAL_NS] // 2:
            stamps[seat, MARK] = KEPT
            return False
        begin(stamps, clock, seat, last, time_ns)
    if stamps[seat, MARK] & DUE:
        clock[WAITING] -= 1
    stamps[seat, MARK] = HERE
    return bool(clock[WAITING] == 0)


def sit(reals: Floats, stamps: Int64s, clock: Int64s, own: Floats, seat: int, time_ns: int) -> None:
    """A series' first sample here; it may have been constant for long."""
    clock[LIVE] = max(clock[LIVE], seat + 1)
    own[WEIGHT] = min(own[WEIGHT], _JOINED)
    if clock[INTERVAL_NS] > 0:
        before = (time_ns - stamps[seat, FIRST_NS]) // clock[INTERVAL_NS]
        reals[seat, N] = min(max(before, 1), 1_000_000)
    else:
        reals[seat, N] = 1.0


def begin(stamps: Int64s, clock: Int64s, seat: int, last: int, time_ns: int) -> None:
    """Open a tick with a sample whose series spoke at ``last`` before."""
    if clock[CLOSED_NS] > 0:
        gone, usual = time_ns - clock[CLOSED_NS], clock[INTERVAL_NS]
        clock[INTERVAL_NS] = gone if usual == 0 else usual + (min(gone, 4 * usual) - usual) // 4
    clock[OPEN_NS] = time_ns
    awaited = 0
    for other in range(clock[LIVE]):
        before = last if other == seat else stamps[other, LAST_NS]
        if before > 0 and due(time_ns - before, stamps[other, GAP_NS], clock[INTERVAL_NS]):
            stamps[other, MARK] |= DUE
            awaited += 1
    clock[WAITING] = awaited if awaited > 0 else -1


def due(gone: int, gap: int, interval: int) -> bool:
    """Whether a series should speak in this tick; not when it has been silent for long."""
    usual = gap if gap > 0 else interval
    return bool(4 * gone >= 3 * gap and gone <= 3 * usual + interval)


def spoke(stamps: Int64s, seat: int) -> bool:
    """Whether a seat has a value in the open tick."""
    return bool(stamps[seat, MARK] & (HERE | KEPT))


def fresh(stamps: Int64s, clock: Int64s, seat: int) -> bool:
    """Whether what a seat said last still holds in the tick that is open."""
    if stamps[seat, LAST_NS] == 0:
        return False
    if spoke(stamps, seat):
        return True
    return bool(2 * (clock[OPEN_NS] - stamps[seat, LAST_NS]) <= 5 * stamps[seat, GAP_NS])


def done(stamps: Int64s, clock: Int64s) -> None:
    """Close the tick's books."""
    for seat in range(clock[LIVE]):
        stamps[seat, MARK] = 0
    clock[CLOSED_NS] = clock[OPEN_NS]
    clock[OPEN_NS] = 0
    clock[TICKS] += 1
