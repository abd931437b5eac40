"""Announcing in Calendar and Classroom: once, whatever happens, and beside what others put there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from google_apis.calendar.announcer import MOST_ATTACHMENTS, EventAnnouncer
from google_apis.classroom.announcer import CourseAnnouncer
from google_apis.classroom.courses import Courses
from google_apis.http import Google as Client
from merger.delivery.announce import announcement_text
from merger.errors import Broken, MergerError, Refused, Temporary
from merger.i18n import render
from merger.ports.announcer import Announcement, Announcer, Link
from merger.ports.destination import Fence
from tests.fakes.google import SUBJECT, Google
from tests.fakes.google_answers import KINDS

ROOM = "room@group.calendar.google.com"
COURSE = "123456789012"
LECTURER = "lecturer@example.edu"


@dataclass
class Line:
    """A ledger's line of an announcement."""

    to: Announcer
    state: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def announce(self, news: Announcement) -> str:
        def keep(state: Mapping[str, Any]) -> None:
            self.state = dict(state)

        assert self.to.concerns(news)
        fence = Fence(keep, lambda: None, lambda: None, note=self.notes.append)
        return self.to.announce(news, self.state, fence)

    def until_done(self, news: Announcement) -> str:
        for _ in range(5):
            try:
                return self.announce(news)
            except Temporary:
                continue
        raise AssertionError("it is never announced")


@pytest.fixture
def news(google: Google) -> Announcement:
    """Of a record whose files are in Drive, and which was made for an event."""
    root = google.drive.root(SUBJECT)
    links = []
    for kind in ("merge", "backup"):
        known = google.drive.put(f"{kind}.mp4", b"video", root, SUBJECT)
        links.append(Link("drive", kind, google.drive.files[known]["webViewLink"], known))
    folder = Link("folder", "merge", "/srv/merged/Algebra.mp4")
    google.calendar.add(ROOM)
    event = google.calendar.put(
        ROOM, summary="Algebra", start={"dateTime": "2026-11-20T10:00:00+03:00"},
        end={"dateTime": "2026-11-20T11:20:00+03:00"},
    )  # fmt: skip
    google.classroom.announcements[COURSE] = []
    google.sheets.values["sheet", "A2:B"] = [["ALG-1", COURSE], ["GONE", "999"]]
    return Announcement(
        7, 1, "Algebra", "504", datetime(2026, 11, 20, 7, tzinfo=UTC),
        datetime(2026, 11, 20, 8, 20, tzinfo=UTC), ZoneInfo("Europe/Moscow"),
        (folder, *links), ROOM, event, "alg-1",
    )  # fmt: skip


@pytest.fixture
def event(client: Client) -> EventAnnouncer:
    return EventAnnouncer(client)


@pytest.fixture
def course(client: Client) -> CourseAnnouncer:
    courses = Courses(client, lambda code: None, "sheet")
    return CourseAnnouncer(client, courses, partial(announcement_text, "en"))


def made_anew(google: Google, news: Announcement) -> Announcement:
    """Somebody deleted the video for ever, and it was made again; there is no backup any more."""
    folder, merge, backup = news.links
    del google.drive.files[merge.file or ""]
    known = google.drive.put("merge.mp4", b"video", google.drive.root(SUBJECT), SUBJECT)
    other = replace(merge, url=google.drive.files[known]["webViewLink"], file=known)
    assert backup.kind == "backup"
    return replace(news, version=2, links=(folder, other))


def attached(google: Google, news: Announcement) -> list[str]:
    [event] = google.calendar.events[ROOM].values()
    return [one["title"] for one in event["attachments"]]


# --- Calendar -------------------------------------------------------------------------------------


def test_files_are_attached_to_the_event(
    google: Google, event: EventAnnouncer, news: Announcement
) -> None:
    line = Line(event)
    assert line.announce(news).startswith("https://calendar.google.com/")
    assert attached(google, news) == ["Algebra", "Algebra (backup)"]
    line.announce(replace(news, version=2))
    Line(event).announce(news)  # with nothing kept
    assert attached(google, news) == ["Algebra", "Algebra (backup)"]


def test_what_others_attach_meanwhile_stays(
    google: Google, event: EventAnnouncer, news: Announcement
) -> None:
    slides = {"fileUrl": "https://drive.google.com/file/d/slides/view", "title": "Slides"}
    original = google.calendar.answer

    def attach_between(asked: Any) -> Any:
        if asked.method == "PATCH" and not attached(google, news):
            google.calendar.put(ROOM, id=news.event_id, attachments=[slides])
        return original(asked)

    google.calendar.answer = attach_between  # type: ignore[method-assign]
    Line(event).announce(news)
    assert attached(google, news) == ["Slides", "Algebra", "Algebra (backup)"]


def test_a_full_event_gets_a_line(
    google: Google, event: EventAnnouncer, news: Announcement
) -> None:
    many = [
        {"fileUrl": f"https://drive.google.com/file/d/{n}/view", "title": str(n)}
        for n in range(MOST_ATTACHMENTS)
    ]
    google.calendar.put(ROOM, id=news.event_id, attachments=many, description="Bring paper.")
    for _ in range(2):
        Line(event).announce(news)
    [one] = google.calendar.events[ROOM].values()
    assert one["attachments"] == many
    assert one["description"].splitlines()[0] == "Bring paper."
    assert [line.split(":")[0] for line in one["description"].splitlines()[1:]] == [
        "Algebra", "Algebra (backup)",
    ]  # fmt: skip


@pytest.mark.parametrize("has_room", [True, False])
def test_a_file_that_is_gone_is_taken_out(
    google: Google, event: EventAnnouncer, news: Announcement, has_room: bool
) -> None:
    line = Line(event)
    others = [
        {"fileUrl": f"https://drive.google.com/file/d/{n}/view", "title": str(n)}
        for n in range(1 if has_room else MOST_ATTACHMENTS)
    ]
    google.calendar.put(ROOM, id=news.event_id, attachments=others, description="Bring paper.")
    line.announce(news)
    anew = made_anew(google, news)
    for _ in range(2):
        line.announce(anew)
    [one] = google.calendar.events[ROOM].values()
    url = anew.links[1].url
    if has_room:
        assert [file["fileUrl"] for file in one["attachments"]] == [others[0]["fileUrl"], url]
        assert one["description"] == "Bring paper."
    else:
        assert one["attachments"] == others
        assert one["description"] == f"Bring paper.\nAlgebra: {url}"


def test_one_of_a_series_is_attached_to(
    google: Google, event: EventAnnouncer, news: Announcement
) -> None:
    google.calendar.put(ROOM, id=news.event_id, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    second = f"{news.event_id}_20261127T070000Z"
    Line(event).announce(replace(news, event_id=second))
    events = google.calendar.events[ROOM]
    assert (
        len(events[second]["attachments"]) == 2 and not events[news.event_id or ""]["attachments"]
    )


@pytest.fixture
def invited(google: Google, news: Announcement) -> Announcement:
    """Of a record for an event of the lecturer's, to which the room is invited."""
    google.calendar.add(LECTURER)
    known = google.calendar.put(
        LECTURER, organizer={"email": LECTURER, "self": True},
        **{key: google.calendar.events[ROOM][news.event_id or ""][key] for key in ("start", "end")},
    )  # fmt: skip
    google.calendar.events[ROOM].clear()
    google.calendar.invite(LECTURER, known, ROOM)
    return replace(news, event_id=known)


@pytest.mark.parametrize("how", ["the organiser's calendar is ours", "guests modify"])
def test_a_room_that_is_invited(
    google: Google, event: EventAnnouncer, invited: Announcement, how: str
) -> None:
    if how == "guests modify":
        google.calendar.put(ROOM, id=invited.event_id, guestsCanModify=True)
        google.calendar.read_only.add(LECTURER)
    for _ in range(2):
        Line(event).announce(invited)
    assert attached(google, invited) == ["Algebra", "Algebra (backup)"]


@pytest.mark.parametrize(
    "how", ["no calendar", "no event", "cancelled", "another's event", "for reading"]
)
def test_a_room_that_is_invited_by_somebody_whose_calendar_is_not_ours(
    google: Google, event: EventAnnouncer, invited: Announcement, how: str
) -> None:
    if how == "no calendar":
        del google.calendar.calendars[LECTURER]
    elif how == "no event":
        google.calendar.events[LECTURER].clear()
    elif how == "cancelled":
        google.calendar.put(LECTURER, id=invited.event_id, status="cancelled")
    elif how == "for reading":
        google.calendar.read_only.add(LECTURER)
    else:
        google.calendar.put(LECTURER, id=invited.event_id, organizer={"email": "x@example.edu"})
    with pytest.raises(Broken, match=f"let {SUBJECT} change events in the organiser's calendar"):
        Line(event).announce(invited)
    assert attached(google, invited) == []


def test_files_get_the_new_title_once(
    google: Google, event: EventAnnouncer, news: Announcement
) -> None:
    line = Line(event)
    line.announce(news)
    [shown] = google.calendar.events[ROOM].values()
    slides = {"fileUrl": "https://drive.google.com/file/d/slides/view", "title": "Slides"}
    google.calendar.put(ROOM, id=news.event_id, attachments=[slides, *shown["attachments"]])
    renamed = replace(news, name="Matrices")
    line.announce(renamed)
    assert attached(google, news) == ["Slides", "Matrices", "Matrices (backup)"]
    # What people call it from then on stays, as long as the recording's name does.
    [shown] = google.calendar.events[ROOM].values()
    shown["attachments"][1]["title"] = "Watch this"
    line.announce(replace(renamed, version=2))
    assert attached(google, news) == ["Slides", "Watch this", "Matrices (backup)"]


@pytest.mark.parametrize("how", ["deleted", "cancelled", "no calendar", "nothing in Drive"])
def test_what_people_must_look_at(
    google: Google, event: EventAnnouncer, news: Announcement, how: str
) -> None:
    if how == "deleted":
        google.calendar.events[ROOM].clear()
    elif how == "cancelled":
        google.calendar.put(ROOM, id=news.event_id, status="cancelled")
    elif how == "no calendar":
        news = replace(news, calendar_id="other@group.calendar.google.com")
    else:
        news = replace(news, links=news.links[:1])
    with pytest.raises(Refused):
        Line(event).announce(news)


def test_whom_it_concerns(
    event: EventAnnouncer, course: CourseAnnouncer, news: Announcement
) -> None:
    assert not event.concerns(replace(news, event_id=None))
    assert not course.concerns(replace(news, course_code=None))


# --- Classroom ------------------------------------------------------------------------------------


def test_files_are_announced_in_the_course(
    google: Google, course: CourseAnnouncer, news: Announcement
) -> None:
    line = Line(course)
    link = line.announce(news)
    [one] = google.classroom.announcements[COURSE]
    assert one["state"] == "PUBLISHED" and link == one["alternateLink"]
    assert one["text"] == "Lecture recording: Algebra, 2026-11-20, 10:00-11:20, 504"
    files = [material["driveFile"]["driveFile"]["id"] for material in one["materials"]]
    assert files == [link.file for link in news.links if link.file]
    assert line.announce(replace(news, version=2)) == link
    assert len(google.classroom.announcements[COURSE]) == 1


@pytest.mark.parametrize("knows_id", [True, False], ids=["now", "announced before ids were kept"])
def test_the_text_of_an_announcement_follows(
    google: Google, course: CourseAnnouncer, news: Announcement, knows_id: bool
) -> None:
    line = Line(course)
    link = line.announce(news)
    if not knows_id:
        line.state = {key: line.state[key] for key in ("asked", "link", "files")}
    changed = replace(news, name="Matrices", description="Chapter 2.\nBring paper.")
    assert line.announce(changed) == link
    [one] = google.classroom.announcements[COURSE]
    words = "Lecture recording: Matrices, 2026-11-20, 10:00-11:20, 504"
    assert one["text"] == f"{words}\n\nChapter 2.\nBring paper."
    one["text"] = "What the lecturer has written"
    assert line.announce(replace(changed, version=2)) == link
    assert one["text"] == "What the lecturer has written"


def test_a_deleted_announcement_is_not_made_again(
    google: Google, course: CourseAnnouncer, news: Announcement
) -> None:
    line = Line(course)
    link = line.announce(news)
    google.classroom.announcements[COURSE].clear()
    assert line.announce(replace(news, name="Matrices")) == link
    assert google.classroom.announcements[COURSE] == []


def test_another_course_gets_an_announcement_of_its_own(
    google: Google, course: CourseAnnouncer, news: Announcement
) -> None:
    google.classroom.announcements["42"] = []
    google.sheets.values["sheet", "A2:B"].append(["ALG-2", "42"])
    line = Line(course)
    link = line.announce(news)
    other = line.announce(replace(news, course_code="alg-2"))
    assert other != link and len(google.classroom.announcements["42"]) == 1
    [note] = line.notes
    assert note.params == {"course": "alg-1", "link": link}
    assert line.announce(replace(news, course_code="alg-2")) == other
    assert len(google.classroom.announcements[COURSE]) == 1 and len(line.notes) == 1


def test_an_announced_file_that_is_gone_is_said(
    google: Google, course: CourseAnnouncer, news: Announcement
) -> None:
    line = Line(course)
    link = line.announce(news)
    line.announce(replace(news, version=2))
    assert line.notes == []
    assert line.announce(made_anew(google, news)) == link
    assert len(google.classroom.announcements[COURSE]) == 1
    [note] = line.notes
    assert note.key == "google.announced_gone"
    assert note.params == {"course": "alg-1", "link": link}
    assert "объявите новый вручную" in render("ru", note)


@pytest.mark.parametrize("code", ["NONE", "gone"])
def test_a_course_that_is_not_there(course: CourseAnnouncer, news: Announcement, code: str) -> None:
    with pytest.raises(Refused, match="course"):
        Line(course).announce(replace(news, course_code=code))


def test_the_own_table_comes_first(google: Google, client: Client, news: Announcement) -> None:
    google.classroom.announcements["42"] = []
    courses = Courses(client, {"alg-1": "42"}.get, "sheet")
    Line(CourseAnnouncer(client, courses, partial(announcement_text, "ru"))).announce(news)
    [one] = google.classroom.announcements["42"]
    assert one["text"].startswith("Запись лекции")


def test_an_old_announcement_of_another_page_is_found(
    google: Google, course: CourseAnnouncer, news: Announcement
) -> None:
    line = Line(course)
    line.announce(news)
    posts = google.classroom.announcements[COURSE]
    posts += [{"id": str(n), "materials": [], "state": "PUBLISHED"} for n in range(150)]
    again = Line(course, {"asked": True})  # the answer was lost, and the program ended
    assert again.announce(news) == posts[0]["alternateLink"]
    assert len(posts) == 151


# --- when things go wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("empty_200", "partial", "expire")])
@pytest.mark.parametrize("match", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("which", ["event", "course"])
def test_each_call_goes_wrong_in_each_way(
    google: Google,
    request: pytest.FixtureRequest,
    news: Announcement,
    kind: str,
    match: str,
    which: str,
) -> None:
    line = Line(request.getfixturevalue(which))
    google.faults.add(match, kind)
    line.until_done(news)
    line.until_done(news)
    if which == "event":
        assert attached(google, news) == ["Algebra", "Algebra (backup)"]
    else:
        assert len(google.classroom.announcements[COURSE]) == 1


@pytest.mark.parametrize("which", ["event", "course"])
def test_a_crash_at_every_step(
    google: Google, request: pytest.FixtureRequest, news: Announcement, which: str
) -> None:
    class Crash(Exception):
        pass

    announcer: Announcer = request.getfixturevalue(which)
    for at in range(10):
        steps = 0
        state: dict[str, Any] = {}

        def step(name: str, at: int = at) -> None:
            nonlocal steps
            steps += 1
            if steps - 1 == at:
                raise Crash(name)

        def keep(
            kept: Mapping[str, Any],
            do: Callable[[str], None] = step,
            row: dict[str, Any] = state,
        ) -> None:
            do("before keep")
            row.update(kept)
            do("after keep")

        try:
            fence = Fence(keep, lambda: None, lambda do=step: do("confirm"))  # type: ignore[misc]
            announcer.announce(news, {}, fence)
        except Crash:
            Line(announcer, dict(state)).announce(news)
        if which == "event":
            assert attached(google, news) == ["Algebra", "Algebra (backup)"]
            google.calendar.put(ROOM, id=news.event_id, attachments=[])
        else:
            assert len(google.classroom.announcements[COURSE]) == 1
            google.classroom.announcements[COURSE].clear()
    assert steps < 10


def test_errors_are_of_ours(google: Google, course: CourseAnnouncer, news: Announcement) -> None:
    google.faults.add("POST", "503", times=100)
    with pytest.raises(MergerError) as told:
        Line(course).announce(news)
    assert isinstance(told.value, Temporary)
