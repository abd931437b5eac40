"""Many records of one user: quota answers slow it down, and nothing fails, or happens twice."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from google_apis.calendar.announcer import EventAnnouncer
from google_apis.classroom.announcer import CourseAnnouncer
from google_apis.classroom.courses import Courses
from google_apis.drive.destination import DriveDestination
from google_apis.drive.folders import Folders
from google_apis.http import Google as Client
from merger.delivery.announce import announcement_text
from merger.ports.announcer import Announcement, Link
from merger.ports.destination import Fence, Placement, Upload
from tests.fakes.google import Google
from tests.google_apis.sending import DAY, READERS, Line, Memory, videos

RECORDS = 60
ROOM, COURSE, BEGIN = "room@group.calendar.google.com", "123", datetime(2026, 11, 20, 7, tzinfo=UTC)


def slowed_down(google: Google) -> None:
    """From now on, every third call is told to come later."""
    original, calls = google.faults.next, itertools.count(1)

    def slower(asked: Any) -> Any:
        if next(calls) % 3 == 0:
            google.faults.add("", "403_rate")
        return original(asked)

    google.faults.next = slower  # type: ignore[method-assign]


def parcel_of(record: int, folder: Path) -> Upload:
    path = folder / f"{record}.mp4"
    path.write_bytes(f"lecture {record}".encode())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    placement = Placement("504", None, DAY, READERS[:1])
    size_bytes = path.stat().st_size
    return Upload(1, "merge", path.name, path, size_bytes, digest, placement, record)


def event_of(google: Google, record: int) -> str:
    start = BEGIN + timedelta(hours=record)
    return google.calendar.put(
        ROOM, summary=f"Lecture {record}", start={"dateTime": start.isoformat()},
        end={"dateTime": (start + timedelta(hours=1)).isoformat()},
    )  # fmt: skip


def test_many_records_of_one_user(google: Google, client: Client, tmp_path: Path) -> None:
    waits: list[float] = []
    patient = replace(client, pause=waits.append)
    google.calendar.add(ROOM)
    google.classroom.announcements[COURSE] = []
    to = DriveDestination(patient, Folders(patient, Memory()))
    courses = Courses(patient, {"alg-1": COURSE}.get, "")
    announcers = (
        EventAnnouncer(patient),
        CourseAnnouncer(patient, courses, partial(announcement_text, "en")),
    )
    parcels = {n: parcel_of(n, tmp_path) for n in range(1, RECORDS + 1)}
    events = {n: event_of(google, n) for n in parcels}
    slowed_down(google)
    for record, parcel in parcels.items():
        line = Line(to, parcel)
        news = Announcement(
            record, 1, f"Lecture {record}", "504", BEGIN, BEGIN + timedelta(hours=1),
            ZoneInfo("Europe/Moscow"), (Link("drive", "merge", line.send(), line.state["id"]),),
            ROOM, events[record], "alg-1",
        )  # fmt: skip
        for announcer in announcers:
            announcer.announce(news, {}, Fence(lambda state: None, lambda: None, lambda: None))
    assert waits and len(google.faults.happened) > RECORDS
    check_once(google, parcels, events)


def check_once(google: Google, parcels: dict[int, Upload], events: dict[int, str]) -> None:
    """Of each record there is one file, whole, one reader, one attachment, one announcement."""
    files = {one["name"]: one for one in videos(google)}
    assert len(files) == len(videos(google)) == RECORDS
    announced = Counter(
        material["driveFile"]["driveFile"]["id"]
        for one in google.classroom.announcements[COURSE]
        for material in one["materials"]
    )
    for record, parcel in parcels.items():
        file = files[parcel.name]
        md5 = hashlib.md5(parcel.path.read_bytes(), usedforsecurity=False).hexdigest()
        assert file["md5Checksum"] == md5
        assert [one["emailAddress"] for one in file["permissions"]] == list(READERS[:1])
        attached = google.calendar.events[ROOM][events[record]]["attachments"]
        assert [one["fileUrl"] for one in attached] == [file["webViewLink"]]
        assert announced[file["id"]] == 1
    done = Counter(" ".join(line.split()[:2]) for line in google.history if told(line))
    assert done == {"200 POST": 2 * RECORDS, "200 PATCH": RECORDS}
    begun = [line for line in google.history if "POST /upload/drive/v3/files" in line]
    assert len(begun) == RECORDS


def told(line: str) -> bool:
    """Return whether a line of the history is about what people see of a file."""
    places = ("/permissions", "/announcements", "/calendar/v3/")
    return any(place in line for place in places) and " GET " not in line
