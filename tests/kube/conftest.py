"""A fake API server for each test."""

from collections.abc import Iterator

import pytest

from tests.kube.fake_api import FakeApi


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    """One that answers as it should until it is told otherwise."""
    api = FakeApi()
    yield api
    api.close()
