"""A new exporter to begin with: a module that runs, a test that passes, and how to deploy them."""

import keyword
import re
import sys
from pathlib import Path
from string import Template

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

MODULE = Template('''\
"""The $name exporter: what the device tells, for Prometheus and OpenTelemetry."""

import os
from collections.abc import Iterator
from pathlib import Path

from edgeobs.exporter import Exporter, Reading

DEVICE = Path("/sys/class/thermal")  # Linux's thermal zones, until you read your own device here

exporter = Exporter("$name")
temperature = exporter.gauge("${name}_temperature_celsius", "Temperature, by sensor.", ["sensor"])
commands = exporter.red("${name}_command", "Commands sent to the device.", ["command"])


@exporter.collector(temperature, deadline_s=2, stale_s=60)
def read() -> Iterator[Reading]:
    """Read every sensor; what takes longer than the deadline, or raises, is counted and harms nobody."""
    for zone in sorted(DEVICE.glob("thermal_zone*")):
        yield temperature.reading(int((zone / "temp").read_text()) / 1000, sensor=zone.name)


@commands(command="reset")
def reset() -> None:
    """Do something to the device: rate, errors and duration are measured."""


def main() -> None:
    """Answer scrapes, and push where OTEL_EXPORTER_OTLP_ENDPOINT is set, until SIGTERM."""
    exporter.serve(int(os.environ.get("PORT", "9400")))
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ:
        exporter.push(buffer=os.environ.get("BUFFER"))
    exporter.run()


if __name__ == "__main__":
    main()
''')

TEST = Template('''\
"""The $name exporter without its device."""

from pathlib import Path

import pytest

import $name


def test_a_sensor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thermal_zone0").mkdir()
    (tmp_path / "thermal_zone0" / "temp").write_text("21500")
    monkeypatch.setattr($name, "DEVICE", tmp_path)
    page, _ = $name.exporter.render()
    assert '${name}_temperature_celsius{sensor="thermal_zone0"} 21.5' in page.decode()


def test_a_command_is_measured() -> None:
    $name.reset()
    page, _ = $name.exporter.render()
    assert '${name}_command_duration_seconds_count{command="reset",error=""} 1.0' in page.decode()


def test_names_and_units_are_right() -> None:
    assert $name.exporter.check() == []
''')

README = Template("""\
# The $name exporter

`pip install edgeobs`, then `python $name.py`, and look: `curl localhost:9400/metrics`. Its tests: `pytest`.

Prometheus:

```yaml
scrape_configs:
  - job_name: $name
    static_configs: [{targets: ["localhost:9400"]}]
```

OTLP, with what cannot be sent kept on disk:

```sh
OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 BUFFER=/var/lib/$name python $name.py
```
""")


def new(name: str, folder: Path) -> list[Path]:
    """Write a starter into a folder, which is made; the answer is what was written.

    Raises
    ------
    ValueError
        The name cannot be that of a module and the first word of metrics.
    FileExistsError
        There is such a file already; nothing was written.
    OSError
        It cannot be written.

    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise ValueError(
            f"name: expected lower-case words joined by underscores, no word of Python's; found {name!r}"
        )
    wanted = {f"{name}.py": MODULE, f"test_{name}.py": TEST, "README.md": README}
    files = {folder / file: template.substitute(name=name) for file, template in wanted.items()}
    for path in files:
        if path.exists():
            raise FileExistsError(f"{path}: is there already")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)
