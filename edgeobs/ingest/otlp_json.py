"""OTLP/JSON → the same message that protobuf gives.

OTLP specification, *JSON Protobuf Encoding*: protobuf's JSON mapping, but trace and span ids are hex, enums
are numbers, and unknown fields are ignored.
"""

import base64
import json
import re
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from edgeobs.ingest.errors import Malformed

_M = TypeVar("_M", bound=Message)
_DEPTH = 64  # messages within messages; a request needs 8, a nested attribute value 3 a level
_HEX_IDS = {
    "traceId": 16, "trace_id": 16, "spanId": 8, "span_id": 8,
    "parentSpanId": 8, "parent_span_id": 8,
}  # fmt: skip  # name → bytes
_ID = re.compile(rb"(?:trace|span)_?id", re.IGNORECASE)


def parse(body: bytes | bytearray, kind: type[_M]) -> _M:
    """Read an export request of one signal, as the message that it is in protobuf.

    Raises
    ------
    Malformed
        Not JSON, not an export request, or too deep; the message names the path in it.

    """
    tree = _tree(body)
    if not isinstance(tree, dict):
        raise Malformed("JSON: an export request is an object")
    try:
        return json_format.ParseDict(tree, kind(), ignore_unknown_fields=True, max_recursion_depth=_DEPTH)
    except json_format.Error as error:
        raise Malformed(f"JSON: {error}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        # What protobuf's reader lets through of a value of the wrong kind.
        raise Malformed(f"JSON: a value of the wrong kind: {error}") from None


def _tree(body: bytes | bytearray) -> Any:
    try:
        if _ID.search(body):
            return json.loads(body, object_hook=_hex_ids)
        return json.loads(body)
    except RecursionError:
        raise Malformed("JSON: nested too deep") from None
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"JSON: {error}") from None


def _hex_ids(found: dict[str, Any]) -> dict[str, Any]:
    """An object with its ids as protobuf's mapping has bytes: base64."""
    for name, size in _HEX_IDS.items():
        text = found.get(name)
        if text is None or text == "":
            continue
        try:
            raw = bytes.fromhex(text)
        except (ValueError, TypeError):
            raise Malformed(f"JSON: {name}: expected {2 * size} hex digits, found {text!r:.60}") from None
        if len(raw) != size:
            raise Malformed(f"JSON: {name}: expected {2 * size} hex digits, found {len(text)}")
        found[name] = base64.b64encode(raw).decode()
    return found
