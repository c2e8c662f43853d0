"""Speaks to a running core over its API: a person's words, and questions. For the command line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from edgeobs.config import Config
from edgeobs.explain.text import plain
from edgeobs.web.protect import MARK, is_loopback, read_token

TIMEOUT_S = 10.0
_MAX = 500  # characters of an answer that is none of ours


class Unheard(RuntimeError):
    """The core was not reached (status 0), or did not do what it was asked; the message says why."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Core:
    """Which core, and as whom.

    ``url`` is that of its page; ``token`` is empty where it has none, and then it takes no words.
    """

    url: str
    token: str
    name: str

    @property
    def open_wire(self) -> bool:
        """Whether the token would be sent unencrypted to another machine."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        return bool(self.token) and parts.scheme != "https" and not (host == "localhost" or is_loopback(host))

    def say(self, what: str, why: str, incident: str = "", verb: str = "") -> str:
        """Put a word in force; what else there is to know. Raises Unheard."""
        path = f"incidents/{quote(incident, safe='')}/{what}" if incident else f"remediation/{what}"
        body = {"why": why} | ({"verb": verb} if verb else {})
        return str(self._ask("POST", path, body)["note"])

    def explain(self, node: str, cluster: str) -> dict[str, Any]:
        """What would be done about a node. Raises Unheard."""
        query = f"?cluster={quote(cluster, safe='')}" if cluster else ""
        return self._ask("GET", f"nodes/{quote(node, safe='')}/explain{query}", None)

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None) -> dict[str, Any]:
        url = f"{self.url.rstrip('/')}/api/v1/{path}"
        auth = httpx.BasicAuth(self.name, self.token) if self.token else None
        try:
            with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as http:
                answer = http.request(method, url, json=body, headers={MARK: "1"}, auth=auth)
            found = answer.json() if answer.content else {}
        except httpx.TransportError as error:
            raise Unheard(f"{self.url}: no core answers there: {error}") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Unheard(f"{self.url}: expected http://host:port: {error}") from error
        except ValueError as error:
            raise Unheard(f"{url}: {answer.status_code}, and no JSON: is that edgeobs' page?") from error
        if answer.status_code != 200 or not isinstance(found, dict):
            detail = found.get("detail", found) if isinstance(found, dict) else found
            raise Unheard(plain(f"{answer.status_code}: {detail}"[:_MAX]), answer.status_code)
        return found


def core(config: Config, url: str, token_file: Path | None, name: str) -> Core:
    """The core of a configuration, or at a URL. Raises ValueError for a file without a token."""
    host = "127.0.0.1" if config.web.host in {"0.0.0.0", "::", ""} else config.web.host  # noqa: S104  any address
    host = f"[{host}]" if ":" in host else host
    file = token_file or config.web.token_file
    token = read_token(file) if file else ""
    return Core(url or f"http://{host}:{config.web.port}", token, name.replace(":", " "))


def explained(found: Mapping[str, Any], node: str) -> str:
    """What would be done about a node, as text: what is proposed with every rule's answer, then the rest."""
    facts = [f"  {name:<20}{text}" for name, text in found["facts"].items()]
    proposed = [line for decision in found["proposed"] for line in _whole(decision)]
    others = [line for decision in found["verbs"] for line in (_line(decision), *_besides(decision))]
    parts = [
        [f"node {node}", *facts],
        ["Proposed now", *(proposed or ["  nothing: no policy asks for anything"])],
        ["Every other action, were it proposed", *others],
    ]
    return plain("\n\n".join("\n".join(lines) for lines in parts) + "\n")


def as_json(found: Mapping[str, Any]) -> str:
    """The same, whole."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _line(decision: Mapping[str, Any]) -> str:
    verb, verdict = decision["action"]["verb"], decision["verdict"]
    if verdict == "allowed":
        return f"  {verb:<12}{_done(decision)}"
    return f"  {verb:<12}{verdict} by {decision['rule']}: {decision['reason']}"


def _besides(decision: Mapping[str, Any]) -> list[str]:
    """What other rules forbid as well."""
    said = [each for each in decision["checks"] if each["verdict"] != "allowed"]
    return [
        f"{'':<14}{each['verdict']} by {each['rule']}: {each['reason']}"
        for each in said
        if each["rule"] != decision["rule"]
    ]


def _done(decision: Mapping[str, Any]) -> str:
    return "would be allowed, and nothing done (dry-run)" if decision["dry_run"] else "would be done"


def _whole(decision: Mapping[str, Any]) -> list[str]:
    verb, reason = decision["action"]["verb"], decision["action"]["reason"]
    checks: Sequence[Mapping[str, str]] = decision["checks"]
    head = f"  {verb}, because {reason}"
    says = f"  → {_done(decision)}" if decision["verdict"] == "allowed" else f"  → {_line(decision)[14:]}"
    rules = [f"    {each['verdict']:<9}{each['rule']:<18}{each['reason']}" for each in checks]
    return [head, says, *rules]
