"""A template's LogQL matches the lines that belong to it, as they are and inside JSON, and no others."""

import json
import re

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeobs.logs.book import Template
from edgeobs.logs.logql import expressions, logql
from edgeobs.signals import Resource, Source
from tests.logs.making import Site, batch, source

WORDS = st.one_of(
    st.sampled_from(
        ["error", "user=anna", "10.0.0.7:80", "0xff", "12:34:56", "[7]", "a.b", "(x)*", "c:\\d", '"q"']
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
)
LINES = st.lists(
    st.tuples(st.lists(WORDS, min_size=1, max_size=6), st.sampled_from([" ", "  ", "\t", " \x0b"])).map(
        lambda made: made[1].join(made[0])
    ),
    min_size=1,
    max_size=12,
)


def templates_of(lines: list[str]) -> list[Template]:
    """The template of each line."""
    site = Site()
    found = []
    for line in lines:
        site.take(batch([line]))
    workloads = site.logs._workloads
    for line in lines:
        (code,) = workloads.miners[0].mine([_first(line)], 0)
        known = site.logs.template(workloads.book.ids[code >> 3])
        assert known is not None
        found.append(known)
    return found


def _first(line: str) -> bytes:
    return line.encode().lstrip().partition(b"\n")[0] if "\n" in line else line.encode()


def matches(expression: str, line: str) -> bool:
    """Whether two engines say so: Python's, and Rust's, which knows RE2's syntax and refuses all else."""
    rust = bool(pl.Series([line]).str.contains(expression).item())
    python = re.search(expression, line) is not None
    assert rust == python, (expression, line)
    return rust


@example(["a b", "a b c"])
@example(['say "hi" \\ there/now <b>', "x"])
@example(["\x1b[31mred\x1b[0m alert é \ufffd"])
@example(["Jun 14 15:16:01 host down", "host down"])
@given(LINES)
def test_every_line_is_found_by_its_template_as_text_and_as_json(lines: list[str]) -> None:
    for line, template in zip(lines, templates_of(lines), strict=True):
        written = [
            line, f"  {line} ", f"{line}\nmore", json.dumps({"level": "x", "msg": line}),
            json.dumps({"msg": line}, ensure_ascii=False, separators=(",", ":")),
        ]  # fmt: skip
        for each in written if line.strip() else [line]:
            assert all(matches(expression, each) for expression in expressions(template)), (template, each)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("link <*> down", "link eth0 down now"),
        ("link <*> down", "the link eth0 down"),
        ("link <*> down", "link down"),
        ("a.b failed", "axb failed"),
        ("took <num>ms", "took ms"),
        ("<empty>", "x"),
        ("<keys> route took", '{"route": 1}'),
    ],
)
def test_other_lines_are_not(text: str, other: str) -> None:
    template = Template("0" * 16, text, 3, "", 1)
    assert not all(matches(expression, other) for expression in expressions(template))


def test_a_date_may_stand_before_only_where_it_did() -> None:
    line = "Jun 14 15:16:01 link eth0 down"
    for stamped in (True, False):
        template = Template("0" * 16, "link <*> down", 3, "", 1, stamped)
        assert [matches(expression, line) for expression in expressions(template)] == [stamped]


def test_lines_that_were_cut_are_found_whole() -> None:
    long = " ".join(["word"] * 400)
    (template,) = templates_of([long])
    assert template.text.endswith("<more>")
    assert all(matches(expression, long) for expression in expressions(template))
    assert max(map(len, expressions(template))) < 10_000


def test_keys_of_json_are_found_in_any_order_and_with_digits() -> None:
    site = Site()
    site.take(batch(['{"p99_ms": 7, "route": "/a"}']))
    template = site.logs.template(next(iter(site.logs._workloads.book.by_id)))
    assert template is not None
    assert template.text == "<keys> p<num>_ms route"
    assert all(matches(e, '{"route":"/b", "p50_ms":3}') for e in expressions(template))


def test_the_query_selects_the_workload_wherever_loki_keeps_its_name_and_quotes_everything() -> None:
    query = logql(Template("0" * 16, 'say "x" \\ \x07', 3, "", 1), source('ca"rt'))
    assert query.startswith('{k8s_namespace_name="shop"} |~ "')
    assert query.endswith(
        '| k8s_deployment_name="ca\\"rt" or k8s_statefulset_name="ca\\"rt" or k8s_daemonset_name="ca\\"rt"'
        ' or k8s_cronjob_name="ca\\"rt" or k8s_job_name="ca\\"rt" or service_name="ca\\"rt"'
    )
    literal = query.split("|~ ")[1].split(" | k8s")[0]
    assert json.loads(literal) == expressions(Template("0" * 16, 'say "x" \\ \x07', 3, "", 1))[0]


def test_without_namespace_or_workload_the_node_or_nothing_selects() -> None:
    template = Template("0" * 16, "x", 3, "", 1)
    assert logql(template).startswith('{service_name=~".+"} |~ "')
    node = Source((), Resource(node="edge-1"))
    assert logql(template, node).endswith(' | k8s_node_name="edge-1" or host_name="edge-1"')
    assert logql(template._replace(source=node)) == logql(template, node)
