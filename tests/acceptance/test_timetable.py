"""The whole way from a sheet of lectures to their announcements, by the service's own commands.

The sheet is Google's, and so are the courses and the folders; one lecture is filmed in a room, one
recorded by Zoom. All of that are stand-ins, spoken to as in earnest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_google import film_two_files
from tests.fakes.google import SUBJECT, Google, google_served
from tests.fakes.timetable_trial import ONLINE_S, Trial, show, trial
from tests.fakes.zoom import UUID, instant
from tests.support.site import CHEAP_MERGES, run_here

COURSES = {"SQL-1": "101", "ART-7": "102", "ART-8": "103", "BIO-2": "104"}
CHAT_S, LATE_S = 30, 10  # a line of the chat, and the recording, after the meeting has begun


@dataclass
class GoogleTrial(Trial):
    """A service whose timetable is a Google sheet, and whose commands run here, if they can."""

    google: Google = field(default_factory=Google)
    folder_of_course: str = ""

    def app(self, *arguments: str) -> str:
        if arguments[0] == "daemon":
            return super().app(*arguments)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            done = run_here(self.environ, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def set_up(self) -> None:
        super().set_up()
        rows = [[code, course] for code, course in COURSES.items()]
        self.google.sheets.values["courses", "A2:B"] = rows
        self.google.classroom.announcements |= {course: [] for course in COURSES.values()}
        self.folder_of_course = self.google.drive.make_folder("SQL", "root", SUBJECT)
        self.zoom.meetings[UUID]["start_time"] = instant(self.begin - timedelta(seconds=LATE_S))
        chat = f"00:00:{CHAT_S}\tAnn:\tis it on?\n".encode()
        self.zoom.add_file("chat_file", self.begin, ONLINE_S, chat, file_type="CHAT")

    def write_sheet(self) -> str:
        head, sql, *others = super().write_sheet().splitlines()
        link = f"https://drive.google.com/drive/folders/{self.folder_of_course}"
        lines = (f"{head},folder", f"{sql},{link}", *others)
        self.google.sheets.put_tab("term", "Autumn", *lines)
        return "\n".join(lines)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[GoogleTrial]:
    with google_served() as google:
        variables = {
            "MERGER_GOOGLE_CREDENTIALS": str(google.credentials_file(tmp_path)),
            "MERGER_GOOGLE_SUBJECT": SUBJECT, "MERGER_GOOGLE_ADDRESS": google.address,
            "MERGER_COURSES_SHEET": "courses", "MERGER_TIMETABLE_SHEET": "term", **CHEAP_MERGES,
        }  # fmt: skip
        said: list[str] = []
        with trial(tmp_path, film_two_files, said.append, variables) as found:
            more: dict[str, Any] = {**vars(found), "reading": ("refresh",)}
            yield GoogleTrial(**more, google=google)


def announced(one: GoogleTrial, code: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the files in Drive of the one announcement in a course, which are a record's."""
    [post] = one.google.classroom.announcements[COURSES[code]]
    found = [
        one.google.drive.files[material["driveFile"]["driveFile"]["id"]]
        for material in post["materials"]
    ]
    assert found and all(file["name"].startswith(f"{code}") for file in found)
    assert f"{code}" in post["text"] and record["name"].startswith(code)
    return found


def test_a_sheet_comes_back_as_announced_videos(one: GoogleTrial) -> None:
    show(one)
    records = {
        (record["room"], record["status"]): record
        for record in json.loads(one.app("records", "--json"))["records"]
    }
    filmed, online = records["504", "delivered"], records["Zoom 123 4567 8901", "delivered"]
    assert (filmed["name"], filmed["course_code"]) == ("SQL-1: Lecture", "SQL-1")
    assert (online["name"], online["course_code"]) == ("ART-7: Seminar", "ART-7")
    assert records["504", "cancelled"]["name"] == "BIO-2: Lecture"  # which somebody has skipped

    files = one.google.drive.files
    [merge, _] = announced(one, "SQL-1", filmed)
    [day] = merge["parents"]
    assert files[day]["parents"] == [one.folder_of_course]
    announced(one, "ART-7", online)
    assert not one.google.classroom.announcements[COURSES["ART-8"]]
    assert not one.google.classroom.announcements[COURSES["BIO-2"]]

    folder = one.folder / "data" / "records" / str(online["id"])
    [chat] = folder.glob("*/chat.vtt")
    assert "00:00:20.000" in chat.read_text() and "is it on?" in chat.read_text()

    again = json.loads(one.app("timetable", "refresh", "--json"))
    assert again["unchanged"] == 4 and not again["added"]
