"""One YAML file → typed settings, or every error with its place."""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import yaml
from pydantic import TypeAdapter, ValidationError

from edgeobs.detect import Settings as DetectSettings
from edgeobs.detect.holidays import with_holidays
from edgeobs.detect.models import ModelSettings
from edgeobs.ingest.settings import Settings as ServerSettings
from edgeobs.remediate.proposing import problems as remediation_problems
from edgeobs.remediate.windows import problems as window_problems
from edgeobs.settings import ClusterSettings, Config
from edgeobs.web import Settings as WebSettings

__all__ = ["Config", "ConfigError", "load", "parse", "warnings"]

_MAX_BYTES = 1 << 20
_MODEL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_EXPECTED = {
    "missing": "a value",
    "dataclass_type": "keys with values",
    "path_type": "a path",
    "tuple_type": "a list",
}
_EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104  addresses that take a port on all others too


class ConfigError(ValueError):
    """The file cannot be used; ``problems`` has one line for each thing that is wrong with it."""

    def __init__(self, file: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))
        self.problems = problems


def load(path: Path) -> Config:
    """The settings in a file. Raises OSError, and ConfigError naming every wrong key."""
    if path.stat().st_size > _MAX_BYTES:
        raise ConfigError(str(path), [f"larger than {_MAX_BYTES} bytes"])
    return parse(path.read_text(encoding="utf-8", errors="replace"), str(path))


def parse(text: str, file: str = "config") -> Config:
    """The settings in a YAML text; ``file`` names it in errors. Raises ConfigError."""
    try:
        found = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506  a SafeLoader that also refuses duplicate keys
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(file, [" ".join(str(error).split())]) from error
    found = {} if found is None else found
    problems = list(_unknown(found, Config, ""))
    try:
        config = TypeAdapter(Config).validate_python(found)
    except ValidationError as error:
        problems += _problems(error.errors(include_url=False))
    if not problems:
        problems = list(_unfit(config))
        config = replace(config, detect=with_holidays(config.detect, problems))
    if problems:
        raise ConfigError(file, problems)
    return config


def warnings(config: Config) -> Iterator[str]:
    """A line for everything that can be, and is most likely not what was meant."""
    found = config.remediate
    if found.live and not found.dry_run and config.cluster.kind != "kubernetes":
        verbs = ", ".join(found.live)
        yield f"remediate.live: nothing real is changed by {verbs}: cluster.kind is not kubernetes"
    if found.live and found.dry_run:
        yield f"remediate.live: nothing is done by {', '.join(found.live)}: remediate.dry_run is on"
    if not found.live and not found.dry_run:
        yield "remediate.dry_run: is off, and remediate.live names no action: nothing is carried out"
    if off := [verb for verb in found.live if verb not in found.verbs]:
        yield f"remediate.live: every {' and '.join(off)} is denied: not in remediate.verbs"
    if found.pause:
        yield "remediate.pause: every action is held, and only this file can resume it"
    for name in ("nodes_per_zone", "cluster_share", "per_hour", "cooldown_s"):
        if getattr(found, name) is None:
            yield f"remediate.{name}: no budget is set, so every action is denied"
        elif name != "cooldown_s" and not getattr(found, name):
            yield f"remediate.{name}: a budget of 0 holds every action"
    waits = [verb for verb in found.approve if verb in found.live]
    if waits and config.web.token_file is None:
        names = " or ".join(waits)
        yield f"remediate.approve: nobody can approve {names} but by annotation: no web.token_file is set"


def _unfit(config: Config) -> Iterator[str]:
    """A line for everything that is of the right kind and yet cannot be."""
    yield from _nowhere(config.detect)
    yield from _taken(config.server, config.web)
    yield from _impossible(config.detectors)
    for place, wrong in (*remediation_problems(config.remediate), *window_problems(config.remediate.windows)):
        yield f"remediate.{place}: {wrong}"
    yield from _unreachable(config.cluster)


def _nowhere(detect: DetectSettings) -> Iterator[str]:
    """A line for every time zone that is none, or that this machine does not know."""
    named = {"timezone": detect.timezone} | {
        f"sites.{k}.timezone": v.timezone for k, v in detect.sites.items()
    }
    for place, timezone in named.items():
        try:
            ZoneInfo("UTC" if timezone is None else timezone)
        except (KeyError, ValueError, OSError):
            yield (
                f"detect.{place}: expected an IANA time zone that this machine knows (package tzdata), found "
                f"{timezone!r}"
            )


def _taken(server: ServerSettings, web: WebSettings) -> Iterator[str]:
    """A line for each port that is given twice at one address."""
    ports = [
        ("server.http_port", server.host, server.http_port),
        ("server.grpc_port", server.host, server.grpc_port),
        ("web.port", web.host, web.port),
    ]
    for (name, host, port), (other, other_host, other_port) in combinations(ports, 2):
        same = host == other_host or {host, other_host} & _EVERYWHERE
        if port and port == other_port and same:
            yield f"{other}: expected another port than {name}; found {port}"


def _impossible(detectors: dict[str, ModelSettings]) -> Iterator[str]:
    """A line for every model that River does not have or that does not run."""
    if not detectors:
        return
    try:
        from edgeobs.detect.river import problem  # noqa: PLC0415  an extra, and slow to import
    except ModuleNotFoundError as error:
        yield f"detectors: need {error.name}, which is not installed: pip install 'edgeobs[river]'"
        return
    for name, settings in detectors.items():
        if not _MODEL_NAME.fullmatch(name):
            yield f"detectors.{name}: expected a name of pattern {_MODEL_NAME.pattern}; found {name!r:.80}"
        if wrong := problem(settings):
            yield f"detectors.{name}.{wrong[0]}: {wrong[1]}"


def _unreachable(cluster: ClusterSettings) -> Iterator[str]:
    """A line where what reaches Kubernetes is not installed."""
    if cluster.kind == "kubernetes" and find_spec("lightkube") is None:
        yield "cluster.kind: kubernetes needs lightkube, which is not installed: pip install 'edgeobs[kube]'"


class _UniqueKeys(yaml.SafeLoader):
    """A key given twice is a mistake, not a choice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {name!r} is given twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def _as_written(loader: _UniqueKeys, node: yaml.ScalarNode) -> object:
    """Dates stay text until their place is known: of a wrong one YAML says only that it is wrong."""
    return loader.construct_scalar(node)


def _whole(loader: _UniqueKeys, node: yaml.ScalarNode) -> object:
    """``22:30`` is a time of day, not YAML 1.1's number in base 60."""
    return node.value if ":" in node.value else loader.construct_yaml_int(node)


_UniqueKeys.add_constructor("tag:yaml.org,2002:timestamp", _as_written)
_UniqueKeys.add_constructor("tag:yaml.org,2002:int", _whole)


def _unknown(found: object, kind: Any, path: str) -> Iterator[str]:
    """A line for every key that no dataclass below ``kind`` has."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        options = [option for option in get_args(kind) if dataclasses.is_dataclass(option)]
        kind = options[0] if options else kind
    if dataclasses.is_dataclass(kind) and isinstance(found, dict):
        known = get_type_hints(kind, include_extras=True)
        for key, value in found.items():
            place = f"{path}.{key}" if path else str(key)
            if key in known:
                yield from _unknown(value, known[key], place)
            else:
                expected = ", ".join(sorted(known))
                yield f"{place}: expected one of {expected}; found {key!r}{_meant(key, known)}"
    elif get_origin(kind) is dict and isinstance(found, dict):
        for key, value in found.items():
            yield from _unknown(value, get_args(kind)[1], f"{path}.{key}")
    elif get_origin(kind) is tuple and isinstance(found, list):
        for number, value in enumerate(found):
            yield from _unknown(value, get_args(kind)[0], f"{path}[{number}]")


def _meant(key: object, known: dict[str, Any]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _problems(errors: Sequence[Any]) -> Iterator[str]:
    """A line for each place; where several kinds are possible, they are told together."""
    expected: dict[str, list[str]] = {}
    for error in errors:
        meant = _EXPECTED.get(error["type"]) or error["msg"].removeprefix("Input should be ")
        expected.setdefault(_place(error["loc"]), []).append(meant)
    for place, error in {_place(error["loc"]): error for error in errors}.items():
        if any(other != place and other.startswith((f"{place}[", f"{place}.")) for other in expected):
            continue  # it is of one of these kinds, and wrong within
        found = "nothing" if error["type"] == "missing" else repr(error["input"])
        found = found if len(found) <= 80 else found[:77] + "…"
        share = isinstance(error["input"], str) and error["input"].rstrip().endswith("%")
        found += " (10 % is 0.1)" if share else ""
        yield f"{place or 'the file'}: expected {' or '.join(expected[place])}; found {found}"


def _place(parts: Sequence[int | str]) -> str:
    """As YAML is read; pydantic's names of the kinds that are possible (``tuple[…]``) are no keys."""
    place = ""
    for part in parts:
        if isinstance(part, int):
            place += f"[{part}]"
        elif "[" not in part:
            place += f".{part}" if place else part
    return place
