"""The documentation is true: its examples run, its links lead somewhere, its tables are the code's."""

import ast
import dataclasses
import importlib
import inspect
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeobs.ingest.otlp_logs import decode as decode_logs
from edgeobs.ingest.otlp_spans import decode as decode_spans
from edgeobs.signals import SEVERITIES, Principal

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LATER = {"docs/images/page.png"}
"""Made by a run of the demo."""


def examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(3))
def test_the_examples_of_the_development_page_run(number: int) -> None:
    found = examples("docs/development.md")
    assert len(found) == 3
    exec(compile(found[number], f"development.md example {number + 1}", "exec"), {})  # noqa: S102  it is ours


class Receiver(BaseHTTPRequestHandler):
    """Takes what the example sends."""

    got: list[tuple[str, bytes]]  # path and body

    def do_POST(self) -> None:
        self.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Stay quiet."""


@pytest.fixture
def receiver() -> Iterator[int]:
    Receiver.got = []
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_sdk_example_sends_a_point_with_its_place(receiver: int) -> None:
    example, _ = examples("docs/send-data.md")
    exec(compile(example.replace("4318", str(receiver)), "send-data.md", "exec"), {})  # noqa: S102  it is ours
    path, body = Receiver.got[-1]
    assert path == "/v1/metrics"
    sent = ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
    assert {a.key for a in sent.resource.attributes} >= {"k8s.node.name", "topology.kubernetes.io/zone"}
    assert sent.scope_metrics[0].metrics[0].name == "orders"


def test_the_sdk_example_sends_a_line_and_a_span_of_a_pod(receiver: int) -> None:
    _, example = examples("docs/send-data.md")
    exec(compile(example.replace("4318", str(receiver)), "send-data.md", "exec"), {})  # noqa: S102  it is ours
    got = dict(Receiver.got)
    logs = decode_logs(got["/v1/logs"], Principal(0, "docs", None, 1), 1)
    spans = decode_spans(got["/v1/traces"], Principal(0, "docs", None, 1), 1)
    assert (logs.text, SEVERITIES[logs.severity[0]]) == (b"drawer of till 3 is stuck", "error")
    assert spans.names == ("POST /pay",)
    for batch in (logs, spans):
        (source,) = batch.sources
        assert (source.resource.node, source.resource.pod, source.service()) == (
            "edge-1",
            "till-7c9f",
            "till",
        )


def test_every_link_within_the_project_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)]+)\)", prose(page)):
            file, _, anchor = link.partition("#")
            if "://" in link:
                continue
            target = (page.parent / file).resolve() if file else page
            if str(target.relative_to(ROOT)) in LATER:
                continue
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
                assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, link


def test_every_setting_that_a_page_names_exists() -> None:
    from edgeobs.config import Config

    sections: dict[str, Any] = {name: getattr(Config(), name) for name in Config.__dataclass_fields__}
    for page in PAGES:
        for section, key in re.findall(r"`([a-z]+)\.([a-z_]+)`", page.read_text()):
            if section in sections and key not in {"py", "jsonl"}:
                assert hasattr(sections[section], key), f"{page.name}: {section}.{key}"


def test_every_module_file_that_a_page_names_exists() -> None:
    for page in PAGES:
        for path in re.findall(
            r"`((?:edgeobs|tests|deploy|alerts|dashboards|benchmarks)/[\w./-]*)`", page.read_text()
        ):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


@pytest.mark.parametrize(
    ("heading", "module", "name"),
    [
        ("## Policies", "edgeobs.remediate.policies", "POLICIES"),
        ("## The guard", "edgeobs.remediate.guards", "RULES"),
    ],
)
def test_the_tables_of_the_remediation_page_are_the_codes(heading: str, module: str, name: str) -> None:
    section = (ROOT / "docs/remediation.md").read_text().split(heading)[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert rows == list(getattr(importlib.import_module(module), name))


def test_every_rule_is_in_the_runbook() -> None:
    from edgeobs.remediate.guards import RULES

    section = (ROOT / "docs/remediation.md").read_text().split("## Runbook")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(RULES)


@pytest.mark.parametrize(
    ("heading", "module", "name"),
    [
        ("## Settings", "edgeobs.remediate.settings", "Settings"),
        ("### Maintenance windows", "edgeobs.remediate.windows", "Window"),
    ],
)
def test_every_setting_of_remediation_is_told_with_its_default(heading: str, module: str, name: str) -> None:
    """With its unit, too, and in the words of the code."""
    section = (ROOT / "docs/remediation.md").read_text().split(heading)[1].split("\n## ")[0]
    kind = getattr(importlib.import_module(module), name)
    wanted = [f"| `{row[0]}` | {' | '.join(row[1:])} |" for row in settings_of(kind)]
    told = re.findall(r"^\| `\w+` \|.*$", section, re.MULTILINE)
    assert told == wanted


def settings_of(kind: Any) -> Iterator[tuple[str, str, str, str]]:
    """Name, default, unit and meaning of every field of a section."""
    source = ast.parse(Path(inspect.getfile(kind)).read_text())
    body = next(n for n in source.body if isinstance(n, ast.ClassDef) and n.name == kind.__name__).body
    means = {
        field.target.id: " ".join(text.value.value.split()).replace("``", "`")
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }  # fmt: skip
    for field in dataclasses.fields(kind):
        given: Any = field.default
        if field.default_factory is not dataclasses.MISSING:
            given = field.default_factory()
        yield field.name, shown(field.name, given), unit(field.name, given), means[field.name]


def shown(name: str, given: Any) -> str:
    if given is dataclasses.MISSING:
        return "must be given"
    if name == "ladders":
        return "built in"
    if isinstance(given, bool):
        return "on" if given else "off"
    if isinstance(given, tuple):
        return ", ".join(f"`{each}`" for each in given) or "none"
    if isinstance(given, int | float):
        return f"{given:g}"
    return f"`{given}`" if given else "none"


def unit(name: str, given: Any) -> str:
    if name.endswith("_s"):
        return "s"
    if name.endswith("_days"):
        return "days"
    if "share" in name or name == "keep_free":
        return "share"
    return "number" if isinstance(given, int) and not isinstance(given, bool) else ""


@pytest.mark.parametrize(
    "section",
    [
        "features",
        "detect",
        "logs",
        "traces",
        "loki",
        "changes",
        "shifts",
        "peers",
        "feedback",
        "incidents",
        "detectors",
    ],
)
def test_every_setting_of_detection_is_told_with_range_and_default(section: str) -> None:
    from edgeobs.config import Config
    from edgeobs.detect.models import ModelSettings

    page = (ROOT / "docs/settings.md").read_text().split(f"## `{section}`")[1].split("\n## ")[0]
    told = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    kind: Any = ModelSettings if section == "detectors" else type(getattr(Config(), section))
    wanted = [[f"`{field.name}`", bounds(field), given(field)] for field in dataclasses.fields(kind)]
    assert [[row[0], row[2].strip(), row[3]] for row in told] == wanted
    assert all(len(row) == 5 and row[4] for row in told), "each has its reason"


def bounds(field: dataclasses.Field[Any]) -> str:
    """The range that a setting is held to, as the page writes it."""
    held = {
        name: getattr(each, name)
        for each in getattr(field.type, "__metadata__", ())
        for name in ("ge", "gt", "le", "max_length")
        if getattr(each, name, None) is not None
    }
    if "max_length" in held:
        return f"at most {held['max_length']}"
    if not held:
        return "on, off" if field.type is bool else ""
    low = f"[{held['ge']:g}" if "ge" in held else f"({held['gt']:g}"
    return f"{low}, {held['le']}]" if "le" in held else f"{low}, ∞)"


def given(field: dataclasses.Field[Any]) -> str:
    """A default as the page writes it."""
    value: Any = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if isinstance(value, tuple) and len(value) > 2:
        return f"{len(value)} names"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return shown("", value or None if isinstance(value, dict | str) else value)


def test_every_section_of_the_config_is_in_the_table(root: Path) -> None:
    from edgeobs.config import Config

    rows = re.findall(
        r"^\| (`.+`) \| `(edgeobs/.+)` \|$", (root / "docs/operating.md").read_text(), re.MULTILINE
    )
    named = [section.strip("`") for sections, _ in rows for section in sections.split(", ")]
    assert sorted(named) == sorted(Config.__dataclass_fields__)


def test_default_ports_in_the_documentation_are_the_settings(root: Path) -> None:
    from edgeobs.config import Config

    config = Config()
    table = re.findall(
        r"^\| (\d+) \| .* \| `(\w+)\.(\w+)` \|$", (root / "docs/operating.md").read_text(), re.MULTILINE
    )
    assert len(table) == 3
    for port, section, key in table:
        assert getattr(getattr(config, section), key) == int(port)
