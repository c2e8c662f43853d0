"""Several processes as one service: what is summed, what is lost when they are killed, who answers."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics import parser

from edgeobs.exporter import Exporter
from tests.waiting import wait

Start = Callable[..., Any]
TEA = 'shop_orders_total{kind="tea"}'
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def test_whoever_is_asked_tells_the_sum(worker: Start) -> None:
    first, second = worker(), worker()
    first.say("inc 2")
    second.say("inc 3")
    first.page()
    assert second.page()[TEA] == 5
    wait(lambda: first.page()[TEA] == 5, "the first never heard of the second")


def test_histograms_add_up_and_keep_their_exemplar(worker: Start) -> None:
    first, second = worker(), worker()
    first.say("observe 0.5")
    second.say("observe 5")
    first.page()
    told = second.say(f"page {OPENMETRICS}")
    found = {line.partition(" ")[0]: line for line in told.splitlines()}
    assert (
        'shop_order_duration_seconds_bucket{le="1.0"} 1.0 # {'
        in found['shop_order_duration_seconds_bucket{le="1.0"}']
    )
    assert "2.0 # {" in found['shop_order_duration_seconds_bucket{le="10.0"}']
    assert found["shop_order_duration_seconds_sum"].endswith(" 5.5")
    assert found["shop_order_duration_seconds_count"].endswith(" 2.0")


def test_what_is_merged_is_valid_openmetrics(worker: Start) -> None:
    """By prometheus_client's strict parser: families whole, series together, buckets in order."""
    first, second = worker(), worker()
    for each, value in ((first, 0.5), (second, 50)):
        each.say(f"observe {value}")
        each.say(f"inc {value}")
        each.page()
    first.kill()
    strict: Any = parser  # it has no types
    page = second.say(f"page {OPENMETRICS}")
    families = {each.name: each for each in strict.text_string_to_metric_families(page)}
    wanted = {"shop_orders", "shop_order_duration_seconds", "shop_load_ratio", "shop_files_open"}
    assert wanted < set(families)
    told = {sample.name for sample in families["shop_orders"].samples}
    assert told == {"shop_orders_total", "shop_orders_created"}


def test_gauges_are_joined_as_declared(worker: Start) -> None:
    first, second = worker(), worker()
    first.say("set 0.25")
    second.say("set 0.5")
    first.page()
    told = second.page()
    assert told['shop_load_ratio{worker="0"}'] == 0.25
    assert told['shop_load_ratio{worker="1"}'] == 0.5
    assert told["shop_queue_length"] == 0.75


def test_collectors_are_not_lost(worker: Start) -> None:
    first, second = worker(), worker()
    for told in (first.page(), second.page()):
        assert told["shop_outside_celsius"] == -4
    assert second.page()["shop_files_open"] == 6


def test_a_killed_worker_still_counts_and_its_gauges_do_not(worker: Start) -> None:
    first, second = worker(), worker()
    first.say("set 1")
    first.say("inc 7")
    first.page()
    first.kill()
    second.say("inc 1")
    told = second.page()
    assert (told[TEA], told["shop_queue_length"]) == (8, 0)
    assert 'shop_load_ratio{worker="0"}' not in told
    third = worker()  # takes the slot of the one that was killed
    third.say("inc 10")
    assert third.page()[TEA] == 18
    assert 'shop_load_ratio{worker="0"}' in second.page()


def test_what_was_shown_never_goes_back(worker: Start) -> None:
    """Asked in turn and killed in between: the sum only rises."""
    workers, shown = [worker(), worker()], 0.0
    for turn in range(6):
        asked = workers[turn % 2]
        asked.say("inc 1")
        told = asked.page()[TEA]
        assert told > shown, turn
        shown = told
        if turn in {2, 3}:
            asked.kill()
            workers[turn % 2] = worker()
    assert shown == 6


def test_a_service_that_is_started_again_begins_anew(worker: Start) -> None:
    first = worker()
    first.say("inc 7")
    first.page()
    first.kill()
    assert TEA not in worker().page()


def test_a_forked_worker_does_not_tell_again_what_its_parent_counted(worker: Start) -> None:
    parent = worker()
    parent.say("inc 5")
    parent.say("fork")
    parent.say("inc 2")  # the child's, from here
    wait(lambda: parent.page()[TEA] == 7, "the child did not tell its parent's and its own")
    told = parent.page()
    assert told[TEA] == 7
    assert 'shop_load_ratio{worker="1"}' in told
    parent.say("end")
    assert worker().page()[TEA] == 7


def test_a_disk_that_is_full_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    exporter = Exporter("shop", share=tmp_path)
    orders = exporter.counter("shop_orders_total", "Orders.")
    exporter.render()
    monkeypatch.setattr("edgeobs.exporter.share.replace", full)
    orders.inc(3)
    assert b"shop_orders_total 3.0" in exporter.render()[0]
    monkeypatch.undo()
    assert "this worker's counts would be lost: [Errno 28]" in caplog.text
    exporter.close()
    assert b"shop_orders_total 3.0" in exporter.render()[0]


def test_a_folder_that_cannot_be_used_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    exporter = Exporter("shop", share=tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        exporter.asgi(None, path="")  # type: ignore[arg-type]


def test_another_worker_takes_the_port_when_the_leader_is_killed(worker: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first, second = worker(str(port)), worker(str(port))
    first.say("inc 1")
    second.say("inc 1")
    url = f"http://127.0.0.1:{port}/metrics"
    wait(lambda: f"{TEA} 2.0" in httpx.get(url).text, "the leader did not answer for both")
    first.kill()
    wait(lambda: f"{TEA} 2.0" in httpx.get(url).text, "nobody took over")
