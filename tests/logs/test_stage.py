"""The stage: lines of many workloads in, series and signs out; bounds, bad input, restarts."""

import json
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.logs import Settings, counting
from edgeobs.signals import SECOND, Identity, LogBatch, Sign
from tests.logs.making import T0, Site, batch, source

SPAN = 10 * SECOND
FEW = Settings(returns=20, least=1.0)
STEADY = ["GET /healthz 200 3ms", "user anna bought 3 items"]


def ticks(site: Site, *batches: list[LogBatch]) -> list[Sign]:
    """A tick each: its batches at its begin; then the signs of all that are over."""
    found: list[Sign] = []
    for each in batches:
        site.take(*each)
        site.now_ns += SPAN // 2
        found += site.logs.close(site.now_ns).signs
        site.now_ns += SPAN // 2
        found += site.logs.close(site.now_ns).signs
    return found


def samples(site: Site, seconds: int = 60) -> list[tuple[dict[str, str], int, float]]:
    """Labels, seconds since the beginning and value of every sample, after so many seconds."""
    points = site.logs.close(site.now_ns + seconds * SECOND).points
    assert (points.time_ns - points.start_ns == SPAN).all()
    return [
        (site.series(number), int(at - T0) // SECOND, value)
        for number, at, value in zip(points.series.tolist(), points.start_ns, points.value, strict=True)
    ]


def by_template(site: Site, found: list[tuple[dict[str, str], int, float]]) -> dict[tuple[str, int], float]:
    """(text of the template, "other" or "all", second) → lines."""
    lines: Counter[tuple[str, int]] = Counter()
    for labels, second, value in found:
        ident = labels.get("template", "")
        known = site.logs.template(ident)
        lines[known.text if known else ident or "all", second] += int(value)
    return dict(lines)


def test_lines_are_counted_by_severity_and_by_template_from_its_second_interval_on() -> None:
    site = Site()
    for _ in range(2):
        site.take(batch(["started worker 1", "started worker 2"]), batch(["oops"], severity=5))
        site.now_ns += SPAN
    found = samples(site)
    assert by_template(site, found) == {
        ("all", 0): 3, ("all", 10): 3, ("other", 0): 3, ("other", 10): 0,
        ("started worker <num>", 10): 2, ("oops", 10): 1,
    }  # fmt: skip
    assert all(
        labels.items() >= {"namespace": "shop", "workload": "cart", "pod": "cart-0"}.items()
        for labels, _, _ in found
    )
    assert {labels["severity"] for labels, _, _ in found} == {"info", "error"}
    assert {identity.name for identity in site.admitted} == {"log_lines"}


def test_what_is_not_heard_gives_zeros_while_its_pod_speaks_and_nothing_while_it_does_not() -> None:
    site = Site()
    for lines in (["a 1", "b b 1"], ["a 1", "b b 1"], ["a 1"], []):
        site.take(*([batch(lines)] if lines else []))
        site.now_ns += SPAN
    found = by_template(site, samples(site))
    assert found["b b <num>", 20] == 0
    assert found["a <num>", 20] == 1
    assert max(second for _, second in found) == 20


def test_an_interval_is_over_after_its_grace_and_what_comes_later_is_dropped_and_counted() -> None:
    site = Site()
    site.take(batch(["a"], time_ns=T0 + 1))
    assert not len(site.logs.close(T0 + SPAN + 4 * SECOND).points.series)
    assert len(site.logs.close(T0 + SPAN + 5 * SECOND).points.series) == 2
    site.now_ns = T0 + SPAN + 6 * SECOND
    site.take(batch(["a"], time_ns=T0 + 2))
    assert not len(site.logs.close(site.now_ns + 60 * SECOND).points.series)
    assert site.counts["edgeobs_log_lines_dropped_total", "late"] == 1


def test_lines_held_back_by_a_cut_link_count_at_their_own_time_in_order_and_are_no_news() -> None:
    site = Site(FEW)
    assert not ticks(site, *[[batch(STEADY)]] * 30)
    begin = T0 - 600 * SECOND
    other = source("cart", node="edge-2", pod="cart-9")
    for k in range(5):
        site.take(batch(["disk 7 broke", "fine"], of=other, time_ns=begin + k * SPAN))
    points = site.logs.close(site.now_ns + 60 * SECOND).points
    late = {number for identity, number in site.admitted.items() if identity.source == other}
    mine = [
        (number, at)
        for number, at in zip(points.series.tolist(), points.start_ns, strict=True)
        if number in late
    ]
    assert sorted({int(at - begin) // SECOND for _, at in mine}) == [0, 10, 20, 30, 40]
    assert all(a[1] < b[1] for a, b in pairwise(mine) if a[0] == b[0])
    assert not ticks(site, [batch(STEADY)], [batch([*STEADY, "disk 8 broke"])])


def test_too_old_is_dropped_the_future_is_now_and_without_a_time_is_now() -> None:
    site = Site()
    site.take(
        batch(["x"], time_ns=T0 - 3601 * SECOND), batch(["y"], time_ns=T0 + 3600 * SECOND), batch(["z"])
    )
    assert by_template(site, samples(site)) == {("all", 0): 2, ("other", 0): 2}
    assert site.counts["edgeobs_log_lines_dropped_total", "too_old"] == 1


def test_a_template_never_seen_is_told_once_with_its_line_and_the_trace_it_belongs_to() -> None:
    site = Site(FEW)
    assert not ticks(site, *[[batch(STEADY)]] * 99)
    broken = batch(["cannot open /data/7: no space"], severity=5, trace=(0xAB, 0xCD), time_ns=site.now_ns + 3)
    later = batch(["cannot open /data/7: no space"], severity=5, trace=(0xAB, 0xCE), time_ns=site.now_ns + 7)
    (sign,) = ticks(site, [batch(STEADY), broken], [batch(STEADY), later])
    assert sign.kind == "log template never seen"
    assert sign.score == pytest.approx(2)  # of a hundred ticks none had an error of its own
    assert sign.text == "cart: never logged before: cannot open /data/<num>: no space"
    assert sign.time_ns == broken.time_ns[0]
    assert sign.source == source()
    assert sign.traces == (f"{0xAB:016x}{0xCD:016x}",)
    labels = dict(sign.labels)
    assert (labels["severity"], labels["workload"]) == ("error", "cart")
    known = site.logs.template(labels["template"])
    assert known is not None
    assert (known.text, known.severity, known.lines) == ("cannot open /data/<num>: no space", 5, 2)
    assert known.example == "cannot open /data/7: no space"


def test_new_on_one_workload_may_be_old_on_another_and_pods_of_one_know_it_alike() -> None:
    site = Site(FEW)
    cart, pay = source("cart"), source("pay")
    more = source("cart", node="edge-2", pod="cart-1")
    assert not ticks(site, *[[batch([*STEADY, "retry 1"], of=cart), batch(STEADY, of=pay)]] * 99)
    signs = ticks(site, [batch([*STEADY, "retry 2"], of=more), batch([*STEADY, "retry 3"], of=pay)])
    assert [sign.source for sign in signs] == [pay]


def test_silence_of_a_template_and_of_a_workload_are_told_and_of_a_node_are_not() -> None:
    alive = {source("cart").resource.place()}
    site = Site(FEW, heard=lambda place: place in alive)
    cart, pay = source("cart"), source("pay")
    assert not ticks(site, *[[batch(STEADY, of=cart), batch(STEADY, of=pay)]] * 99)
    signs = ticks(site, [batch(STEADY[:1], of=cart), batch(STEADY, of=pay)])
    assert [(sign.kind, sign.text) for sign in signs] == [
        (
            "log silence",
            f"cart: silent, while it is in every interval of 10 s: {STEADY[1].replace('3', '<num>')}",
        )
    ]
    assert signs[0].score == pytest.approx(np.log10(99 / 2))  # two templates are watched
    ticks(site, *[[batch(STEADY, of=cart), batch(STEADY, of=pay)]] * 3)
    (sign,) = ticks(site, [batch(STEADY, of=pay)])
    assert sign.text == "cart: silent, while it is in every interval of 10 s"
    assert sign.score == pytest.approx(np.log10(103))
    ticks(site, *[[batch(STEADY, of=cart), batch(STEADY, of=pay)]] * 3)
    # nothing of the node: told once it is known that the node is alive all the same
    assert not ticks(site, [], [], [])
    assert {sign.text for sign in ticks(site, [])} == {
        "cart: silent for longer than ever (10 s)",
        "pay: silent, while it is in every interval of 10 s",
    }
    alive.clear()
    assert not ticks(site, [], [])


def test_a_stall_of_ours_is_nobodys_silence_and_tells_nothing_new() -> None:
    site = Site(FEW)
    assert not ticks(site, *[[batch(STEADY)]] * 99)
    site.now_ns += 10 * SPAN
    assert not ticks(site, [batch(STEADY)])
    assert not ticks(site, *[[batch(STEADY)]] * 3)


def test_a_parameter_that_suddenly_varies_is_told() -> None:
    site = Site(FEW)
    calm = batch([f"login of root from 10.0.0.7 port {port}" for port in range(20)])
    assert not ticks(site, *[[calm]] * 99)
    burst = batch([f"login of root from 10.0.3.{n} port {n}" for n in range(20)])
    (sign,) = ticks(site, [burst])
    assert sign.kind == "log parameter"
    assert sign.text == "cart: word 5 varies as it does not usually: login of root from <ip> port <num>"
    assert sign.score == pytest.approx(np.log10(100 / 2))
    assert sign.value == 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_log_that_does_not_change_tells_no_more_than_promised_of_each_kind(seed: int) -> None:
    dice = random.Random(seed)
    names = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    weights = [1 / (rank + 1) for rank in range(len(names))]
    site = Site(Settings(returns=20, least=0.0, signs=1000))
    alarms: Counter[str] = Counter()
    silent: set[str] = set()
    for _ in range(400):
        lines = [
            f"{name} of {dice.choice(names)} took {dice.randrange(99)} ms on {dice.choice(names[:3])}"
            for name in dice.choices(names, weights, k=60)
        ]
        signs = [sign for sign in ticks(site, [batch(lines)]) if sign.score >= 1.3]
        begun = {sign.text for sign in signs if sign.kind == "log silence"} - silent
        silent = {sign.text for sign in signs if sign.kind == "log silence"}
        kinds = {sign.kind for sign in signs if sign.kind != "log silence" or sign.text in begun}
        alarms.update(kinds)
    promised = 10**-1.3 * 400
    assert all(alarms[kind] <= promised + 4 * promised**0.5 for kind in alarms), alarms


def test_a_storm_costs_its_own_workload_alone() -> None:
    site = Site(Settings(workload_lines=100, returns=20, least=1.0))
    storm, calm = source("storm"), source("calm")
    flood = batch([f"never the same {'x' * (n % 7)} {n * 'y'}" for n in range(500)], of=storm)
    assert not ticks(site, *[[batch(STEADY, of=storm), batch(STEADY, of=calm)]] * 3)
    ticks(site, [flood, batch(STEADY, of=calm)])
    assert site.counts["edgeobs_log_lines_other_total", "budget"] == 400
    points = samples(site)
    last = [(labels, value) for labels, second, value in points if second == 30]
    everything = {labels["workload"]: value for labels, value in last if "template" not in labels}
    assert everything == {"storm": 500, "calm": 2}
    mine = [labels for labels, _ in last if labels["workload"] == "calm" and labels.get("template")]
    assert len(mine) == 3  # two templates, and other with 0
    site.take(batch(STEADY, of=storm))
    assert site.counts["edgeobs_log_lines_other_total", "budget"] == 400  # a new interval, a new share


def test_templates_are_bounded_by_workload_and_in_all_and_what_is_heard_now_stays() -> None:
    site = Site(Settings(templates=40, workload_templates=30, births=1000))
    words = [f"{a}{b} said" for a in "abcdefgh" for b in "abcdefgh"]
    for at, word in enumerate(words):
        site.take(batch([word, "steady heartbeat"]), batch([f"other {word}"], of=source("pay")))
        site.now_ns += SPAN
        book = site.logs._workloads.book
        assert len(book) <= 40, at
        assert all(len(book.of(owner)) <= 30 for owner in (0, 1))
    assert site.counts["edgeobs_log_templates_evicted_total",] > 40
    texts = {
        " ".join(words)
        for miner in site.logs._workloads.miners.values()
        for words in miner.tree.words.values()
    }
    assert "steady heartbeat" in texts
    assert "hh said" in texts
    assert "aa said" not in texts


def test_births_workloads_and_pods_are_bounded_and_what_is_left_out_is_counted() -> None:
    site = Site(Settings(births=3, workloads=2, sources=2, source_series=1, workload_templates=8))
    ticks(site, *[[batch(["steady state"])]] * 10)
    site.take(batch([f"{word} happened" for word in "abcdef"]))
    assert site.counts["edgeobs_log_lines_other_total", "births"] == 3
    site.take(batch(["hi"], of=source("pay")), batch(["hi"] * 5, of=source("third")))
    assert site.counts["edgeobs_log_lines_other_total", "workloads"] == 5
    assert site.counts["edgeobs_log_lines_dropped_total", "sources"] == 5
    templates = {dict(identity.labels).get("template") for identity in site.admitted}
    assert len(templates - {None, "other"}) == 1


def test_what_is_kept_to_count_is_bounded_and_goes_with_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_ROWS", 20)
    site = Site(Settings(quiet_s=100))
    for pod in range(10):
        lines = [f"{word} happened" for word in "abcdefgh"]
        site.take(*[batch(lines, of=source("cart", pod=f"cart-{pod}"))] * 2)
    inside = site.logs._counting
    assert inside._rows == sum(len(pod.rows) for pod in inside._pods.values()) <= 20 + 2 * 10
    site.logs.close(site.now_ns + 20 * SECOND)
    site.now_ns += 200 * SECOND
    site.take(batch(["x"], of=source("pay")))
    site.logs.close(site.now_ns + 20 * SECOND)
    assert [pod.source for pod in inside._pods.values()] == [source("pay")]
    assert inside._rows == len(inside._series) == 2


def test_a_series_table_without_room_costs_series_and_nothing_else() -> None:
    site = Site(FEW, limit=1)
    signs = ticks(site, *[[batch(STEADY)]] * 99, [batch([*STEADY, "new thing"])])
    assert [sign.kind for sign in signs] == ["log template never seen"]
    assert len(site.admitted) == 1


def test_an_id_that_was_given_away_is_not_written_to() -> None:
    site = Site()
    for _ in range(2):
        site.take(batch(["a b"]))
        site.now_ns += SPAN
    assert len(samples(site)) == 5
    site.now_ns += 60 * SECOND
    given = np.array(sorted(site.admitted.values()), np.int32)
    site.logs.forget(given)
    before, site.admitted = site.admitted, {Identity(source(), "else", (), next(iter(site.admitted)).kind): 0}
    site.take(batch(["a b"]))
    assert set(site.logs.close(site.now_ns + 60 * SECOND).points.series.tolist()) == {1, 2}
    assert len(before) == 3


BODIES = [
    b"", b"   ", b"\n\n", b"{", b"{}", b'{"a":', b"[1,2]", b'"x"', b"null", b"\xef\xbf\xbd\xef\xbf\xbd",
    b"{" * 5000, b'{"a":' * 3000 + b"1" + b"}" * 3000, b"x" * 16_384, b"y " * 8000,
    b"\x00\x01\x1b[31mred\x1b[0m", b'{"message": 7, "level": true}', b"<*> <num> <more>",
    b'{"msg": "\\ud800 half", "level": "ERROR"}', ("é" * 3000).encode(), b'{"n": ' + b"9" * 5000 + b"}",
    b"::::::::::::::::::::::", b"0x" * 4000, b"Traceback\n  File x\nValueError: bad", b"-" * 4000,
    b"a:b:c:d:e:f:" * 500,
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_any_body_is_a_line(body: bytes) -> None:
    site = Site()
    site.take(batch([body, b"after"]))
    site.now_ns += SPAN
    site.take(batch([body, b"after"]))
    found = by_template(site, samples(site))
    assert found["all", 0] == found["all", 10] == 2
    assert found["other", 10] == 0


@given(st.lists(st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "replace")), max_size=30))
def test_lines_are_neither_lost_nor_invented_however_they_are_batched(lines: list[str]) -> None:
    whole, apart = Site(), Site()
    for _ in range(2):
        whole.take(batch(lines))
        apart.take(*(batch([line]) for line in lines))
        whole.now_ns += SPAN
        apart.now_ns += SPAN
    found = [by_template(site, samples(site)) for site in (whole, apart)]
    assert found[0] == found[1]
    if lines:
        each = [
            sum(n for (text, at), n in found[0].items() if text != "all" and at == when) for when in (0, 10)
        ]
        assert each == [found[0]["all", 0], found[0]["all", 10]] == [len(lines)] * 2


def test_json_gives_its_message_and_level_and_without_a_message_its_keys() -> None:
    site = Site()
    rows = [
        {"level": "error", "msg": "cannot reach 10.0.0.7", "ts": 1},
        {"level": 50, "message": "cannot reach 10.0.0.8"},
        {"took_ms": 12, "route": "/a b", "log.level": "warn"},
    ]
    for _ in range(2):
        site.take(batch([json.dumps(row) for row in rows], severity=0))
        site.now_ns += SPAN
    found = {
        (site.logs.template(labels["template"]).text, labels["severity"]): value  # type: ignore[union-attr]
        for labels, second, value in samples(site)
        if second == 10 and labels.get("template", "other") != "other"
    }
    assert found == {
        ("cannot reach <ip>", "error"): 2,
        ("<keys> log.level route took_ms", "warn"): 1,
    }


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("ts=1 level=error msg=x", "error"),
        ("2026-11-30 12:00:00,123 WARN [main] slow", "warn"),
        ("[Sun Dec 04 04:47:44 2005] [error] mod_jk child", "error"),
        ("E1130 12:00:00.000000   7 file.go:12] broke", "error"),
        ("I1130 12:00:00.000000   7 file.go:12] fine", "info"),
        ("fatal: bad object", "fatal"),
        ("no information here", None),
        ("ERRORS are many", None),
    ],
)
def test_severity_is_guessed_from_text_only_where_none_was_sent(line: str, severity: str | None) -> None:
    site = Site()
    site.take(batch([line], severity=0), batch([line], severity=2, of=source("pay")))
    found = {labels["workload"]: labels.get("severity") for labels, _, _ in samples(site)}
    assert found == {"cart": severity, "pay": "debug"}


def test_a_date_and_time_before_a_line_is_no_part_of_its_template() -> None:
    site = Site()
    heads = [
        "",
        "Jun 14 15:16:01 ",
        "[Sun Dec 04 04:47:44 2005] ",
        "2026-11-30T12:00:00Z ",
        "2026-11-30 12:00:00 ",
    ]
    site.take(batch([f"{head}link of eth0 is down" for head in heads]))
    assert len(site.logs._workloads.book) == 1


def test_what_is_cut_is_counted() -> None:
    site = Site()
    site.take(batch(["x " * 600, "first\nsecond", "\nonly this\n"]))
    assert site.counts["edgeobs_log_bodies_cut_total", "bytes"] == 1
    assert site.counts["edgeobs_log_bodies_cut_total", "lines"] == 1


def kept(site: Site) -> dict[str, Any]:
    state = site.logs.state()
    assert all(isinstance(value, np.ndarray) and value.dtype.kind in "biuf" for value in state.values())
    return {name: value.copy() for name, value in state.items()}


def test_a_restart_goes_on_where_it_was() -> None:
    first, never_stopped = Site(FEW), Site(FEW)
    lines = [*STEADY, "user bert bought 4 items", "disk \u00a0 7 broke", ""]
    for site in (first, never_stopped):
        assert not ticks(site, *[[batch(lines)]] * 99)
    second = Site(FEW)
    second.now_ns = first.now_ns
    second.logs.restore(kept(first))
    assert sorted(map(str, kept(second).items())) == sorted(map(str, kept(first).items()))
    ticks(second, [])  # a tick that was not seen whole tells nothing
    never_stopped.now_ns += SPAN
    news = [batch([*lines[:-1], "user carl bought 5 items", "brand new"])]
    after = [
        [(s.kind, s.text, s.labels) for s in ticks(site, news, [batch(lines)])]
        for site in (second, never_stopped)
    ]
    assert after[0] == after[1]
    assert {kind for kind, _, _ in after[0]} == {"log template never seen", "log silence"}


def test_the_identity_of_a_template_is_its_first_line_and_stays_when_wildcards_come() -> None:
    ids = []
    for order in (["anna", "bert"], ["anna", "carl"]):
        site = Site()
        for who in order:
            site.take(batch([f"the user {who} logged in"]))
        (known,) = site.logs._workloads.book.by_id
        assert site.logs.template(known).text == "the user <*> logged in"  # type: ignore[union-attr]
        ids.append(known)
    assert ids == [ids[0]] * 2
    assert site.logs.template("0" * 16) is None


def broken(state: dict[str, Any], how: str) -> dict[str, Any]:
    match how:
        case "version":
            return state | {"version": np.array([99])}
        case "missing":
            return {name: value for name, value in state.items() if name != "lines"}
        case "owner":
            return state | {"owner": state["owner"] + 7}
        case "short":
            return state | {"novelty_first": state["novelty_first"][:-1]}
        case "offsets":
            return state | {"words_at": state["words_at"][::-1]}
        case "source":
            return state | {"source": np.full_like(state["source"], ord("x"))}
    raise ValueError(how)


@pytest.mark.parametrize("how", ["version", "missing", "owner", "short", "offsets", "source"])
def test_a_state_that_is_none_changes_nothing(how: str) -> None:
    site = Site(FEW)
    ticks(site, *[[batch(STEADY)]] * 5)
    state = kept(site)
    with pytest.raises(ValueError, match="logs: "):
        site.logs.restore(broken(dict(state), how))
    assert all((kept(site)[name] == value).all() for name, value in state.items())


def test_a_state_that_is_too_large_is_refused_with_the_limit() -> None:
    site = Site(FEW)
    ticks(site, [batch([f"{word} happened" for word in "abcdefghijklmnopqrst"])])
    with pytest.raises(ValueError, match="20 templates in the snapshot, the limit is 16"):
        Site(Settings(templates=16)).logs.restore(site.logs.state())
