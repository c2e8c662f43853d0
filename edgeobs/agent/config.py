"""The agent's one file: a core's, and a section ``agent`` beside."""

from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from edgeobs import config as core
from edgeobs.agent.alone.settings import problems as alone_problems
from edgeobs.agent.settings import AgentSettings
from edgeobs.config import Config, ConfigError

_KEY = "agent"
_MAX_BYTES = 1 << 20


def load(path: Path) -> tuple[Config, AgentSettings]:
    """The settings in a file. Raises OSError, and ConfigError naming every wrong key."""
    if path.stat().st_size > _MAX_BYTES:
        raise ConfigError(str(path), [f"larger than {_MAX_BYTES} bytes"])
    return parse(path.read_text(encoding="utf-8", errors="replace"), str(path))


def parse(text: str, file: str = "config") -> tuple[Config, AgentSettings]:
    """The settings in a YAML text; ``file`` names it in errors. Raises ConfigError."""
    own, rest = _apart(text, file)
    config = core.parse(rest, file)
    try:
        found = TypeAdapter(AgentSettings).validate_python(own, extra="forbid")
    except ValidationError as error:
        problems = [
            f"{_place(each['loc'])}: {each['msg']}; found {each['input']!r:.80}"
            for each in error.errors(include_url=False)
        ]
        raise ConfigError(file, problems) from error
    problems = list(_unfit(config, found))
    if problems:
        raise ConfigError(file, problems)
    return config, found


def given(path: Path) -> bool:
    """Whether a file has a section ``agent``; False where it cannot be told. Raises OSError."""
    if path.stat().st_size > _MAX_BYTES:
        return False
    try:
        root = yaml.compose(path.read_text(encoding="utf-8", errors="replace"), yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return False
    return isinstance(root, yaml.MappingNode) and any(key.value == _KEY for key, _ in root.value)


def _apart(text: str, file: str) -> tuple[object, str]:
    """What stands under ``agent``, and the text of all else: a core's file, for the core's reader."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            return {}, text
        own = [value for key, value in root.value if key.value == _KEY]
        if len(own) > 1:
            raise ConfigError(file, [f"{_KEY}: is given twice"])
        root.value = [pair for pair in root.value if pair[0].value != _KEY]
        rest = yaml.serialize(root) if root.value else ""
        return (yaml.safe_load(yaml.serialize(own[0])) if own else {}) or {}, rest
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(file, [" ".join(str(error).split())]) from error


def _unfit(config: Config, agent: AgentSettings) -> list[str]:
    problems = [
        f"{_KEY}.targets[{number}].url: expected http:// or https://, found {target.url!r:.80}"
        for number, target in enumerate(agent.targets)
        if not target.url.startswith(("http://", "https://"))
    ]
    urls = [target.url for target in agent.targets]
    twice = sorted({url for url in urls if urls.count(url) > 1})
    problems += [f"{_KEY}.targets: {url} is given twice" for url in twice]
    up = agent.uplink.url
    if up and not up.startswith(("http://", "https://")):
        problems.append(f"{_KEY}.uplink.url: expected http:// or https://, found {up!r:.80}")
    wrong = alone_problems(agent.alone, up, agent.interval_s)
    problems += [f"{_KEY}.alone.{each}" for each in wrong]
    if config.server.tls.cert_file:
        problems.append("server.tls: an agent's port has no TLS; leave it out, and listen on the node alone")
    return problems


def _place(parts: tuple[int | str, ...]) -> str:
    return _KEY + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
