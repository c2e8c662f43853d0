"""A snapshot that one stage cannot take up leaves no stage with it, and is kept for who can read it."""

from typing import Any

import numpy as np
import pytest

from edgeobs import snapshot

WARM_S = 40


def scores(made: Any) -> list[float]:
    found: list[float] = []
    made.pipeline.observer = lambda _, each: found.extend(each.score.tolist())
    made.seconds(WARM_S)
    return found


@pytest.mark.parametrize("stage", ["detect.series", "detect.node", "changes", "features", "heartbeats"])
def test_nothing_is_restored_when_one_stage_refuses(site: Any, stage: str) -> None:
    made, refusing, fresh = site(), site(), site()
    assert max(scores(made)) > 0
    stages = made.pipeline.state()
    stages |= {stage: stages[stage] | {"schema": np.array([99])}}
    with pytest.raises(ValueError, match="99"):
        refusing.pipeline.restore_state(made.pipeline.table.state(), [0], stages)
    assert len(refusing.pipeline.table) == len(refusing.pipeline.table.by_place) == 0
    assert refusing.pipeline.beats == []
    assert scores(refusing) == scores(fresh)


def test_what_was_refused_is_set_aside(site: Any) -> None:
    made = site()
    made.open()
    made.seconds(WARM_S)
    made.keeper.close(made.pipeline, made.now_ns)
    made.keeper._store = None
    path = made.keeper.snapshot_path
    path.write_bytes(body := path.read_bytes()[:-7])
    again = site()
    again.now_ns = made.now_ns
    again.open()
    again.keeper._snapshot(again.pipeline, again.now_ns, wait=True)
    assert path.with_suffix(".refused").read_bytes() == body
    table, *_ = snapshot.read(path)
    assert table.identities == []
