"""The whole way through Google, by the service's own commands: an event in, everything out, once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import cycle, repeat
from pathlib import Path

import pytest

from merger.render.ffmpeg import Tool
from recorders.testing.clock import plain
from tests.conftest import SMALL
from tests.fakes.google import SUBJECT
from tests.fakes.google_trial import COURSE, LECTURER, ROOMS, Trial, trial
from tests.support import films
from tests.support.selection import rarely
from tests.support.site import CHEAP_MERGES, run_here


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Trial]:
    with trial(tmp_path, film_two_files, environ=CHEAP_MERGES) as found:
        yield QuickTrial(**vars(found))


class QuickTrial(Trial):
    """A service whose commands run in this process, but for those that work off the queue."""

    def app(self, *arguments: str) -> str:
        if arguments[0] == "daemon":
            return super().app(*arguments)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            done = run_here(self.environ, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


def film_two_files(library: Path, tool: Tool, begin: datetime) -> None:
    """Film a minute in two files of each source, of pictures so small that it takes no time."""
    library.mkdir()
    half = timedelta(seconds=30)
    for code, source in enumerate(("speaker", "screen", "board"), 1):
        for start in (begin, begin + half):
            path = library / f"{start:%Y-%m-%d_%H-%M-%S}_504_{source}.mp4"
            films.film(
                tool.path, path, start, half, ground=plain(*SMALL), source=code, rate=Fraction(5),
                pitch_hz=440.0 if source == "speaker" else None,
            )  # fmt: skip
            ended = (start + half).timestamp()
            os.utime(path, (ended, ended))


def put_event(one: Trial, calendar: str) -> str:
    """Put a part of the lecture into the calendar, across the end of a file."""
    start, end = ({"dateTime": (one.begin + timedelta(seconds=s)).isoformat()} for s in (26, 34))
    return one.put_event(calendar, start=start, end=end)


def check_once(one: Trial, calendar: str, event: str) -> None:
    """Of the record there are both files, an attachment of each, one announcement, one mail."""
    files = [f for f in one.google.drive.files.values() if f["mimeType"] == "video/mp4"]
    merged = sorted((one.folder / "data" / "merged").glob("*.mp4"))
    assert sorted(f["name"] for f in files) == [path.name for path in merged]
    for path in merged:
        [file] = [f for f in files if f["name"] == path.name]
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        assert file["md5Checksum"] == md5 and not file["trashed"]
        assert [p["emailAddress"] for p in file["permissions"]] == [LECTURER]
    urls = {file["webViewLink"] for file in files}
    attached = one.google.calendar.events[calendar][event]["attachments"]
    assert {a["fileUrl"] for a in attached} == urls and len(attached) == len(files) == 2
    [post] = one.google.classroom.announcements[COURSE]
    assert post["state"] == "PUBLISHED" and len(post["materials"]) == 2
    assert one.google.drive.mails == []
    [mail] = one.mails
    assert mail["To"] == LECTURER and "is ready" in mail["Subject"]


def test_an_event_comes_back_as_a_video(one: Trial) -> None:
    calendar = one.set_up()
    again = json.loads(one.app("rooms", "google-setup", "504", "--json"))
    assert again["calendar_id"] == calendar
    event = put_event(one, calendar)
    one.app("daemon", "--once")
    told = json.loads(one.app("show", "1", "--json"))
    assert told["status"] == "delivered" and told["course_code"] == "SQL-1"
    assert told["users"] == [LECTURER]
    check_once(one, calendar, event)
    made = len(one.google.history)
    one.app("daemon", "--once")  # nothing is due, and nothing is done again
    assert len(one.google.history) == made
    check_once(one, calendar, event)
    assert "Drive knows us as " + SUBJECT in one.app("check")


@pytest.mark.parametrize("has", ["drive_folder", "calendar_id"])
def test_what_a_room_has_already_it_keeps(one: Trial, has: str) -> None:
    text = ROOMS.format(library=one.folder).replace("chunk: 30s", f"{has}: OURS")
    (one.folder / "rooms.yaml").write_text(text)
    one.app("init-db")
    one.app("rooms", "import", "rooms.yaml")
    for _ in range(2):
        room = json.loads(one.app("rooms", "google-setup", "504", "--json"))
        assert room[has] == "OURS" and room["drive_folder"] and room["calendar_id"]
    made = [said for said in one.google.history if "POST" in said and "/token" not in said]
    assert len(made) == 1


WHY = "killed before and after each call of Google"
CALLS = (
    "POST /upload", "PUT /upload", "PATCH /drive", "/permissions", "PATCH /calendar",
    "/announcements",
)  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "after"),
    [
        (CALLS[1::2], cycle((True, False))),
        rarely(CALLS, repeat(False), why=WHY),
        rarely(CALLS, repeat(True), why=WHY),
    ],
    ids=["some in turn", "before", "after"],
)
def test_killed_at_each_call_of_google(
    tmp_path: Path, lines: Sequence[str], after: Iterator[bool]
) -> None:
    """Before it has its effect, or after, when nobody heard the answer: once all the same."""
    with trial(tmp_path, film_two_files, environ=CHEAP_MERGES) as one:
        calendar = one.set_up()
        event = put_event(one, calendar)
        for line in lines:
            one.killed_at(line, after=next(after))
        one.work_until(lambda: one.mails, signal.SIGTERM)
        check_once(one, calendar, event)


def test_an_event_to_come_and_its_end(one: Trial) -> None:
    calendar = one.set_up()
    tomorrow = {
        key: {"dateTime": (one.begin + timedelta(days=1, hours=n)).isoformat()}
        for n, key in enumerate(("start", "end"))
    }
    event = one.put_event(calendar, **tomorrow)

    def records() -> list[tuple[str, str]]:
        found = json.loads(one.app("records", "--json"))["records"]
        return [(record["name"], record["status"]) for record in found]

    one.app("daemon", "--once")
    assert records() == [("A queue in SQL", "queued")]
    one.google.calendar.put(calendar, id=event, summary="Two queues")
    one.google.calendar.put(calendar, id=event, status="cancelled")
    one.read_calendars_again()
    one.app("daemon", "--once")
    assert records() == [("A queue in SQL", "cancelled")]
    assert one.mails == []
