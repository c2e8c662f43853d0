"""One OTLP/HTTP request."""

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from edgeobs.exporter.retry import Answer

LONGEST_ANSWER = 65536


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is no answer: followed, a POST would become a GET, and its 200 would be taken for ours."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Post:
    """Sends bodies to one address.

    Parameters
    ----------
    url
        Whole, with its path; a proxy of the environment is used.
    headers
        Sent along.
    token_file
        A bearer token, read for every request, so that it may be renewed; None: there is none.
    ca_file
        Who may sign the server's certificate; None: who the system trusts.

    """

    def __init__(
        self, url: str, headers: Mapping[str, str], token_file: Path | None, ca_file: Path | None
    ) -> None:
        self._url, self._headers, self._token_file = url, headers, token_file
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._opener = urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=context))

    def __call__(self, body: bytes, timeout_s: float) -> Answer:
        """Send one gzipped body; never raises for what a network or a server does."""
        try:
            request = urllib.request.Request(self._url, body, self._all_headers())  # noqa: S310  http(s), checked
            with self._opener.open(request, timeout=timeout_s) as answer:
                return _taken(answer.status, answer.read(LONGEST_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(200).decode("utf-8", "replace")
            return Answer(error.code, error.headers.get("Retry-After", ""), f"HTTP {error.code}: {text}")
        except (OSError, http.client.HTTPException, ValueError) as error:  # the last: no header, such a token
            return Answer(0, why=f"{type(error).__name__}: {error}")

    def _all_headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/x-protobuf", "Content-Encoding": "gzip",
            "User-Agent": "edgeobs-exporter", **self._headers,
        }  # fmt: skip
        if self._token_file is not None:
            headers["Authorization"] = f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}"
        return headers


def _taken(status: int, content: bytes) -> Answer:
    try:
        partial = ExportMetricsServiceResponse.FromString(content).partial_success
    except DecodeError:  # a server that answers 200 with a text of its own took it all the same
        return Answer(status)
    return Answer(status, why=partial.error_message, rejected=partial.rejected_data_points)
