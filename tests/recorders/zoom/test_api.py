"""Zoom's API over real HTTP: tokens, pages, patience, and what it means when it says no."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from merger.errors import Broken, MergerError, Temporary
from recorders.zoom.api import Client, path_of, retry_after_s
from tests.fakes.zoom import CREDENTIALS, UUID, Fault, ZoomServer, zoom_served
from tests.recorders.conftest import TEN

DAY = date(2026, 11, 20)


@pytest.fixture
def zoom() -> Iterator[ZoomServer]:
    with zoom_served() as server:
        server.add_meeting()
        server.add_file("active_speaker", TEN, 600)
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(zoom: ZoomServer, waits: list[float]) -> Client:
    return Client(zoom.account, waits.append)


@pytest.mark.parametrize(
    ("uuid", "path"),
    [
        ("/ajXp112Q+muoKj4854875==", "%252FajXp112Q%252BmuoKj4854875%253D%253D"),
        ("aj//12Q+muoKj4854875==", "aj%252F%252F12Q%252BmuoKj4854875%253D%253D"),
        ("a/Xp112Q+muoKj4854875==", "a%2FXp112Q%2BmuoKj4854875%3D%3D"),
        ("12345678901", "12345678901"),
    ],
)
def test_a_uuid_in_a_path(uuid: str, path: str) -> None:
    assert path_of(uuid) == path


def test_a_meeting_whose_uuid_begins_with_a_slash(client: Client, zoom: ZoomServer) -> None:
    said = client.meeting(UUID)
    assert said is not None and said["uuid"] == UUID
    assert zoom.count(path_of(UUID)) == 1
    assert client.meeting("another") is None


def test_one_token_serves_for_an_hour(client: Client, zoom: ZoomServer) -> None:
    for _ in range(3):
        client.meeting(UUID)
    assert zoom.count("/oauth/token") == 1


def test_a_token_that_ended_early_is_asked_for_again_once(client: Client, zoom: ZoomServer) -> None:
    client.meeting(UUID)
    zoom.faults.append(Fault("/v2/", "wrong_token"))
    assert client.meeting(UUID) is not None
    assert zoom.count("/oauth/token") == 2
    zoom.faults.append(Fault("/v2/", "wrong_token", times=9))
    with pytest.raises(Broken):
        client.meeting(UUID)
    assert zoom.count("/oauth/token") == 3


def test_pages(client: Client, zoom: ZoomServer) -> None:
    for n in range(6):
        zoom.add_meeting(f"{n}==")
        zoom.add_file("gallery_view", TEN, 60, uuid=f"{n}==")
    zoom.page_size = 2
    found = [said["uuid"] for said in client.recordings(DAY, DAY)]
    assert found == [UUID, *(f"{n}==" for n in range(6))]
    assert zoom.count("/accounts/me/recordings") == 4


def test_a_list_of_months_is_asked_for_month_by_month(client: Client, zoom: ZoomServer) -> None:
    found = list(client.recordings(date(2026, 9, 1), date(2026, 12, 1)))
    assert [said["uuid"] for said in found] == [UUID]
    assert zoom.count("/accounts/me/recordings") == 3


@pytest.mark.parametrize("on", ["/oauth/", "/v2/"])
def test_patience(client: Client, zoom: ZoomServer, waits: list[float], on: str) -> None:
    zoom.faults.append(Fault(on, "retry", 3))
    zoom.faults.append(Fault(on, "status", 503))
    assert client.meeting(UUID) is not None
    assert waits[0] == 3.0 and len(waits) == 2


@pytest.mark.parametrize("seconds", [600, "2026-11-21T00:00:00Z"])
def test_no_patience_for_long(client: Client, zoom: ZoomServer, seconds: object) -> None:
    zoom.faults.append(Fault("/v2/", "retry", seconds, times=99))
    if isinstance(seconds, str):
        assert retry_after_s(seconds, datetime(2026, 11, 20, tzinfo=UTC)) == 86_400
    else:
        with pytest.raises(Temporary, match="600 s"):
            client.meeting(UUID)


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("", None), ("soon", None), ("-3", 0)])
def test_a_retry_after_that_is_none(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, datetime(2026, 11, 20, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (Fault("/v2/", "drop", times=9), Temporary, "source_away"),
        (Fault("/v2/", "page", times=9), Temporary, "source_away"),
        (Fault("/v2/", "status", 500, times=9), Temporary, "source_away"),
        (Fault("/v2/", "status", 429, times=9), Temporary, "source_away"),
        (Fault("/v2/", "status", 400, times=9), Broken, "source"),
        (Fault("/v2/", "redirect", "http://10.0.0.1/", times=9), Broken, "source"),
        (Fault("/oauth/", "drop", times=9), Temporary, "source_away"),
        (Fault("/oauth/", "page", times=9), Temporary, "source_away"),
        (Fault("/oauth/", "status", 400, times=9), Broken, "credentials"),
    ],
    ids=lambda value: value.what if isinstance(value, Fault) else "",
)
def test_what_a_failure_means(
    client: Client, zoom: ZoomServer, fault: Fault, error: type[MergerError], code: str
) -> None:
    zoom.faults.append(fault)
    with pytest.raises(error) as told:
        client.meeting(UUID)
    assert told.value.code == code
    assert not any(secret in str(told.value) for secret in (*CREDENTIALS.split(":")[1:], "good"))


def test_wrong_credentials(zoom: ZoomServer) -> None:
    wrong = replace(zoom.account, credentials="account:client:hunter2")
    with pytest.raises(Broken, match="Invalid client_id or client_secret") as told:
        Client(wrong).meeting(UUID)
    assert told.value.code == "credentials" and "hunter2" not in str(told.value)
    assert "hunter2" not in repr(wrong)


def test_nobody_is_there(zoom: ZoomServer) -> None:
    gone = replace(zoom.account, oauth="http://127.0.0.1:9/oauth/token")
    with pytest.raises(Temporary, match="cannot be reached"):
        Client(gone).meeting(UUID)
