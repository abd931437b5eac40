"""What the service needs of Google, seen from outside: from the stand-in, or from Google itself.

`python -m pytest tests/google_apis/test_google_itself.py --live` asks Google, with MERGER_GOOGLE_CREDENTIALS and
MERGER_GOOGLE_SUBJECT; it makes a folder and a calendar, and removes both.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from google_apis.account import Account
from google_apis.calendar.announcer import EventAnnouncer, events_api
from google_apis.calendar.reader import Calendars
from google_apis.drive import files, upload
from google_apis.drive.checksum import md5_of
from google_apis.drive.destination import DriveDestination
from google_apis.drive.download import download
from google_apis.drive.folders import Folders
from google_apis.errors import AlreadyThere
from google_apis.http import Google as Client
from google_apis.setup import ensure_calendar
from merger.ports.announcer import Announcement, Link
from merger.ports.destination import Fence, Placement, Upload
from merger.timeline.clock import Span
from tests.fakes.google import SUBJECT, google_served
from tests.google_apis.sending import Memory

SIZE = 600_000


@pytest.fixture
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """Google, or the stand-in."""
    if request.config.getoption("--live"):
        path = Path(os.environ["MERGER_GOOGLE_CREDENTIALS"])
        yield Account(path, os.environ.get("MERGER_GOOGLE_SUBJECT", "")).google()
        return
    with google_served() as google:
        yield Account(google.credentials_file(tmp_path), SUBJECT, google.address).google()


@pytest.fixture
def folder(there: Client) -> Iterator[str]:
    known = files.reserve_id(there)
    files.make_folder(there, known, f"lecture-merger test {known}", "root")
    yield known
    files.move_to_bin(there, known)


@pytest.fixture
def parcel(tmp_path: Path) -> Callable[..., Upload]:
    def one(version: int = 1) -> Upload:
        path = tmp_path / f"{version}.mp4"
        path.write_bytes(os.urandom(SIZE))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        placement = Placement("O'Neill's room", None, date(2026, 11, 20))
        return Upload(version, "merge", "It's a lecture.mp4", path, SIZE, digest, placement)

    return one


def test_a_file_and_its_next_version(
    there: Client,
    folder: str,
    parcel: Callable[..., Upload],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload, "PART", upload.UNIT)
    to = DriveDestination(there, Folders(there, Memory()), folder)
    state: dict[str, Any] = {}
    fence = Fence(state.update, lambda: None, lambda: None)
    links = set()
    for version in (1, 2):
        sent = parcel(version)
        links.add(to.send(sent, dict(state), fence))
        back = tmp_path / f"back-{version}"
        assert download(there, state["id"], back, lambda: None) == md5_of(sent.path, lambda: None)
    assert len(links) == 1
    day = to.folder(sent.placement or Placement("", None, date.min))
    found = list(files.find_files(there, f"{files.quote(day)} in parents"))
    assert [one["name"] for one in found] == ["It's a lecture.mp4"]
    to.remove("It's a lecture.mp4", state)
    assert list(files.find_files(there, f"{files.quote(day)} in parents")) == []


def test_an_id_is_used_once(there: Client, folder: str) -> None:
    known = files.reserve_id(there)
    files.make_folder(there, known, "once", folder)
    body = {"id": known, "name": "twice", "mimeType": files.FOLDER, "parents": [folder]}
    with pytest.raises(AlreadyThere):
        there.call(files.files_api(there).create(body=body, supportsAllDrives=True))


def test_an_upload_that_was_cancelled(
    there: Client, folder: str, parcel: Callable[..., Upload]
) -> None:
    body = {"id": files.reserve_id(there), "name": "never", "parents": [folder]}
    session = files.begin_upload(there, body, SIZE, None)
    upload.cancel(there, session)
    with pytest.raises(upload.SessionLost):
        upload.send(
            there, session, parcel().path, SIZE, is_new=True, check=lambda: None,
            before_last=lambda: None,
        )  # fmt: skip


def test_an_event_and_its_attachment(there: Client, folder: str) -> None:
    made = ensure_calendar(there, f"room {folder}", "Europe/Moscow")
    calendar = there.collection("calendar", "v3", "calendars")
    try:
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        body = {
            "summary": "Algebra", "start": {"dateTime": start.isoformat()},
            "end": {"dateTime": (start + timedelta(hours=1)).isoformat()},
        }  # fmt: skip
        event = there.call(events_api(there).insert(calendarId=made, body=body))
        reader, zone = Calendars(there), ZoneInfo("Europe/Moscow")
        window = Span(start - timedelta(days=2), start + timedelta(days=30))
        whole = reader.changes(made, None, window, zone)
        assert [one.name for one in whole.events] == ["Algebra"]
        one = files.get_file(there, folder)
        assert one is not None
        news = Announcement(
            1, 1, "Algebra", "504", start, start + timedelta(hours=1), zone,
            (Link("drive", "merge", one["webViewLink"], folder),), made, event["id"],
        )  # fmt: skip
        fence = Fence(lambda state: None, lambda: None, lambda: None)
        for _ in range(2):
            EventAnnouncer(there).announce(news, {}, fence)
        said = there.call(events_api(there).get(calendarId=made, eventId=event["id"]))
        assert len(said["attachments"]) == 1
        since = reader.changes(made, whole.token, window, zone)
        assert [one.event for one in since.events] == [event["id"]]
    finally:
        there.call(calendar.delete(calendarId=made))
