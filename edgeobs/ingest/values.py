"""An OTLP attribute's value as text, the way the OpenTelemetry Collector and Prometheus write it."""

import base64
import json
import math
from collections.abc import Iterable
from decimal import Decimal

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def pairs(attributes: Iterable[KeyValue]) -> list[tuple[str, str]]:
    """Keys and values as text, in the order sent."""
    return [(a.key, text(a.value)) for a in attributes]


def text(value: AnyValue) -> str:
    """Strings as they are, bytes in base64, all else as compact JSON; empty when there is no value."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value":
        return _number(value.double_value)
    return "" if kind in {None, "string_value_strindex"} else _json(value)


def _json(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return _number(value.double_value) if math.isfinite(value.double_value) else "null"
        case "array_value":
            return "[" + ",".join(_json(v) for v in value.array_value.values) + "]"
        case "kvlist_value":
            inside = sorted((kv.key, _json(kv.value)) for kv in value.kvlist_value.values)
            return "{" + ",".join(f"{_quoted(k)}:{v}" for k, v in inside) + "}"
    return _quoted(text(value)) if value.WhichOneof("value") in {"string_value", "bytes_value"} else "null"


def _quoted(plain: str) -> str:
    return json.dumps(plain, ensure_ascii=False)


def _number(value: float) -> str:
    """The shortest decimal that reads back the same, written as ECMAScript writes numbers."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        digits, _, power = repr(value).partition("e")
        return f"{digits.removesuffix('.0')}e{int(power):+d}"
    plain = format(Decimal(repr(value)), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
