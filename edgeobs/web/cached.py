"""Answers that are sent only when they differ from what the client has."""

from hashlib import blake2b
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, TypeAdapter

_LIST = TypeAdapter(list[Any])


def as_json(request: Request, answer: BaseModel | list[Any]) -> Response:
    """JSON."""
    body = answer.model_dump_json().encode() if isinstance(answer, BaseModel) else _LIST.dump_json(answer)
    return cached(request, body, "application/json")


def cached(request: Request, body: bytes, media_type: str) -> Response:
    """The body, or 304 when the client has it already: asked again each time, sent only when it differs."""
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)
