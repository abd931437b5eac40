"""A stand-in for Google, and a client of it that waits for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from google_apis.auth import credentials_from
from google_apis.drive import upload
from google_apis.drive.destination import DriveDestination
from google_apis.drive.folders import Folders
from google_apis.http import Google as Client
from tests.fakes.google import SUBJECT, Google, google_served
from tests.fakes.google_drive import UNIT
from tests.google_apis.sending import Memory, Parcels, maker


@pytest.fixture
def google() -> Iterator[Google]:
    with google_served() as served:
        yield served


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(google: Google, tmp_path: Path, pauses: list[float]) -> Client:
    """A client that notes for how long it would wait, without anything by chance."""
    credentials = credentials_from(google.credentials_file(tmp_path), SUBJECT)
    return Client(credentials, google.address, pause=pauses.append, chance=lambda: 0.0)


@pytest.fixture
def parcels(tmp_path: Path) -> Parcels:
    return maker(tmp_path)


@pytest.fixture
def to(client: Client, monkeypatch: pytest.MonkeyPatch) -> DriveDestination:
    monkeypatch.setattr(upload, "PART", UNIT)
    return DriveDestination(client, Folders(client, Memory()))


def about(client: Client) -> str:
    said = client.call(client.collection("drive", "v3", "about").get(fields="user"))
    return str(said["user"]["emailAddress"])


def make_folder(client: Client, **how: bool) -> dict[str, Any]:
    body = {"name": "504", "mimeType": "application/vnd.google-apps.folder"}
    return client.call(client.collection("drive", "v3", "files").create(body=body), **how)


def asked(google: Google, part: str) -> int:
    return sum(part in line for line in google.history)
