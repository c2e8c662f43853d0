"""What series are to people moves their scores, and theirs alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.compose import build
from edgeobs.config import ConfigError, parse
from edgeobs.detect.law import MOST
from edgeobs.detect.roles import DECADES, Roles
from edgeobs.detect.settings import Role, RoleSettings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Batch, Identity, Kind, Resource, Source

HERE = Source((), Resource("c", "z", "edge-1"))
NAMES = ("disk_merged", "temp", "temp", "load")
CHIPS = ((), (("sensor", "cpu"),), (("sensor", "disk"),), ())
IDS = np.arange(4, dtype=np.int32)


def table() -> SeriesTable:
    made = SeriesTable(100)
    for name, labels in zip(NAMES, CHIPS, strict=True):
        made.intern(Identity(HERE, name, labels, Kind.GAUGE), 0, 0)
    return made


def test_the_first_that_fits_counts() -> None:
    told: list[tuple[str, Role]] = [
        ("disk_*", "ignore"), ('temp{sensor="cpu"}', "strict"), ("temp", "quiet"), ("*", "watch")
    ]  # fmt: skip
    roles = Roles(table(), [RoleSettings(match=match, role=role) for match, role in told])
    assert roles.apply(IDS, np.full(4, 6.0)).tolist() == [0, 7, 4, 6]
    assert roles.apply(IDS, np.zeros(4)).tolist() == [0, 0, 0, 0]
    assert roles.apply(IDS, np.full(4, MOST)).tolist() == [0, 20, 18, 20]


def test_an_id_that_went_to_another_series_has_the_role_of_that() -> None:
    known = table()
    roles = Roles(known, [RoleSettings(match="load", role="ignore")])
    assert roles.apply(IDS, np.full(4, 6.0)).tolist() == [6, 6, 6, 0]
    known.drop([3])
    roles.forget(np.array([3, 90], np.int32))
    assert known.intern(Identity(HERE, "other", (), Kind.GAUGE), 0, 0) == 3
    assert roles.apply(IDS, np.full(4, 6.0)).tolist() == [6, 6, 6, 6]


@given(
    score=st.lists(st.floats(0, MOST), min_size=4, max_size=4).map(sorted),
    role=st.sampled_from(sorted(DECADES)),
)
def test_scores_stay_scores_and_their_order_stays(score: list[float], role: Role) -> None:
    found = Roles(table(), [RoleSettings(match="*", role=role)]).apply(IDS, np.array(score))
    assert ((found >= 0) & (found <= MOST)).all()
    assert (np.diff(found) >= 0).all()


def test_a_core_scores_by_role() -> None:
    found = {}
    for role in DECADES:
        pipeline = build(parse(f"detect: {{roles: [{{match: 'te*', role: {role}}}]}}")).pipeline
        for name in ("temp", "load"):
            pipeline.table.intern(Identity(HERE, name, (), Kind.GAUGE), 0, 0)
        ids, values = np.arange(2, dtype=np.int32), np.random.default_rng(3).normal(10, 1, (200, 2))
        values[-1] = 16.0
        for at, value in enumerate(values):
            now = (1_700_000_000 + at) * SECOND
            scores = pipeline.detection.score_learn(
                Batch(ids, np.full(2, now), value, np.zeros(2, np.bool_)), now
            )
        assert scores is not None
        found[role] = scores.score
    assert 3 < found["watch"][0] < MOST - 1
    for role, decades in DECADES.items():
        assert found[role][0] == pytest.approx(max(found["watch"][0] + decades, 0.0), abs=1e-5)
        assert found[role][1] == found["watch"][1]


def test_a_role_that_is_none_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"detect\.roles\[0\]\.role: expected 'ignore'"):
        parse("detect: {roles: [{match: a, role: loud}]}")
