"""A stand-in for Google, and a client of it that waits for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from google_apis.auth import credentials_from
from google_apis.http import Google as Client
from tests.fakes.google import SUBJECT, Google, google_served


@pytest.fixture
def google() -> Iterator[Google]:
    with google_served() as served:
        yield served


@pytest.fixture
def client(google: Google, tmp_path: Path) -> Client:
    credentials = credentials_from(google.credentials_file(tmp_path), SUBJECT)
    return Client(credentials, google.address, pause=lambda seconds: None)
