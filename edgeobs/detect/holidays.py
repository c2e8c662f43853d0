"""Files of holidays, read into the settings: a date a line."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

from edgeobs.detect.settings import Settings

_MAX_BYTES = 1 << 18


def with_holidays(settings: Settings, problems: list[str]) -> Settings:
    """The same with the dates of its files among its holidays; what is wrong goes to ``problems``."""
    everywhere = _read(settings.holidays_file, "detect.holidays_file", problems)
    sites = dict(settings.sites)
    for name, site in settings.sites.items():
        if site.holidays_file is not None:
            more = _read(site.holidays_file, f"detect.sites.{name}.holidays_file", problems)
            sites[name] = replace(site, holidays=(*(site.holidays or ()), *more))
    return replace(settings, holidays=(*settings.holidays, *everywhere), sites=sites)


def _read(file: Path | None, place: str, problems: list[str]) -> tuple[date, ...]:
    if file is None:
        return ()
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES} bytes")
        return tuple(_dates(file.read_text(encoding="utf-8", errors="replace")))
    except OSError as error:
        problems.append(f"{place}: expected a file of dates, found {str(file)!r}: {error.strerror}")
    except ValueError as error:
        problems.append(f"{place}: {file}: {error}")
    return ()


def _dates(text: str) -> Iterator[date]:
    for number, line in enumerate(text.splitlines(), 1):
        found = line.partition("#")[0].strip()
        if not found:
            continue
        try:
            yield date.fromisoformat(found)
        except ValueError:
            raise ValueError(
                f"line {number}: expected a date such as 2026-12-25, found {found[:40]!r}"
            ) from None
