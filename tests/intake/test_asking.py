"""Meetings of others: who gets them, who does not, and how it cannot be got around."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

import app
from merger.accounts import users
from merger.db.engine import reading, writing
from merger.intake import discovered
from merger.records import requests
from merger.records.processing import queue
from merger.records.processing.jobs import job_from_row
from merger.service import Service
from merger.timeline.clock import utc
from merger.worker.run import run_record
from merger.worker.task import resolve_task
from models import Offer, Record, Room, Segment, Source
from tests.conftest import START
from tests.fakes.zoom import NUMBER, UUID, ZoomServer, zoom_served
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.web.conftest import SCOPES, Web, problem, told

pytestmark = ON_SQLITE
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LATER = timedelta(days=1)
PEOPLE = {"ann": "user", "bob": "user", "kim": "user", "eve": "editor"}


@dataclass
class Meetings:
    """A room whose only source is a meeting; Ann is its host."""

    web: Web
    zoom: ZoomServer
    service: Service

    @property
    def site(self) -> Site:
        return self.web.site

    def meet(self, host: str = "ann", at: datetime = START, uuid: str = UUID) -> None:
        """Have an hour's meeting be recorded."""
        self.zoom.add_meeting(uuid, host_email=f"{host.title()}@Example.org")
        self.zoom.add_file("active_speaker", at, 3600, uuid=uuid)
        self.zoom.add_file("chat_file", at, 3600, b"secret", uuid=uuid, file_type="CHAT")

    def tell(self, uuid: str = UUID) -> int | None:
        """Have Zoom tell of a meeting; return its record."""
        named = self.service.offering["zoom"].find_recording(uuid, self.site.clock)
        return discovered.ensure_record(self.service, named).record

    def ask(self, who: str, start: datetime = START, length: timedelta = HOUR, **more: Any) -> Any:
        body = {
            "room": "Z",
            "start": start.isoformat(),
            "end": (start + length).isoformat(),
            **more,
        }
        return self.web.api(who, "POST", "/records", json=body)

    def ask_trusted(self, owner: str, length: timedelta = HOUR) -> int:
        """Ask as the operator does, or a calendar, for somebody."""
        request = requests.Request("Z", START, START + length, users=(f"{owner}@example.org",))
        return requests.request_record(self.site.engine, request, self.site.clock)[0]

    def collected(self, record: int) -> list[str]:
        """Return the meetings that a record would be made of now."""
        with reading(self.site.engine) as session:
            job = job_from_row(session, session.get_one(Record, record))
        task = resolve_task(self.service, job)
        found = [
            recorder.find(port, task.request.span, self.site.clock)
            for _, port, recorder in task.sources
        ]
        return sorted({item.origin.split(" ")[0] for there in found for item in there.items})

    def work(self) -> str | None:
        held = queue.claim_next(
            self.site.engine, "tests", self.site.clock, self.site.settings.lease
        )
        return None if held is None else run_record(self.service, held, lambda: False)

    def put(self, record: int, **values: Any) -> None:
        def put(session: Any) -> None:
            row = session.get(Record, record)
            for name, value in values.items():
                setattr(row, name, value)

        writing(self.site.engine, put)

    def deliver(self, record: int) -> None:
        self.put(record, status="delivered", stage="deliver", delivered_version=1)

    def users(self, record: int) -> list[str]:
        return [email.partition("@")[0] for email in self.site.details(record)["users"]]


@pytest.fixture
def meetings(site: Site) -> Iterator[Meetings]:
    with zoom_served() as zoom:
        site.environ |= zoom.variables
        web = Web(site)
        for name, role in PEOPLE.items():
            user, _ = users.invite_user(site.engine, f"{name}@example.org", None, role)
            scopes = [scope for scope in SCOPES if scope in ("read", "write")]
            web.keys[name] = users.create_key(site.engine, user["id"], "tests", scopes, site.clock)[
                1
            ]
        made = app.create_service(site.settings, site.engine)
        service = dataclasses.replace(made, now=lambda: site.clock)
        web.app = app.create_web(service)

        def add(session: Any) -> None:
            source = Source(name="zoom", role="speaker", kind="zoom", address=f"zoom:{NUMBER}")
            session.add(Room(name="Z", zone="Europe/Moscow", chunk_s=1800, sources=[source]))

        writing(site.engine, add)
        yield Meetings(web, zoom, service)


# --- what is known --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (START, HOUR), (START - MINUTE, HOUR), (START + 30 * MINUTE, MINUTE), (START - 6 * HOUR, 24 * HOUR),
        (START + 50 * MINUTE, HOUR),
    ],
)  # fmt: skip
def test_a_span_around_a_meeting_of_another_is_refused(
    meetings: Meetings, start: datetime, length: timedelta
) -> None:
    meetings.meet()
    assert meetings.tell() == 1
    said = problem(meetings.ask("bob", start, length), 403)
    assert said["code"] == "meeting" and "an editor" in said["detail"]
    problem(meetings.ask("bob", start, length, layout="speaker_only", profile="540p"), 403)
    assert len(told(meetings.web.api("eve", "GET", "/records"))["records"]) == 1


def test_neither_a_repeated_key_nor_a_later_answer_opens_it(meetings: Meetings) -> None:
    meetings.meet()
    meetings.tell()
    for _ in range(2):
        headers = {"Idempotency-Key": "once"}
        body = {"room": "Z", "start": START.isoformat(), "end": (START + HOUR).isoformat()}
        got = meetings.web.api("bob", "POST", "/records", json=body, headers=headers)
        problem(got, 403)
    told(meetings.ask("ann", users=["bob@example.org"]))
    assert told(meetings.web.api("bob", "POST", "/records", json=body, headers=headers))["id"] == 1


def test_its_owner_or_an_editor_adds_people(meetings: Meetings) -> None:
    meetings.meet()
    meetings.tell()
    assert told(meetings.ask("ann", users=["bob@example.org"]))["users"][-1] == "bob@example.org"
    said = problem(meetings.ask("bob", users=["kim@example.org"]), 403)
    assert "only its owner or an editor" in said["detail"]
    assert meetings.users(1) == ["ann", "bob"]
    told(meetings.ask("eve", users=["kim@example.org"]))
    assert meetings.users(1) == ["ann", "bob", "eve", "kim"]
    told(meetings.ask("bob"))  # again, for himself
    other = told(meetings.ask("kim", layout="speaker_only"), 201)
    assert meetings.collected(other["id"]) == [UUID]  # what was shared with them is theirs


def test_the_edge_of_a_meeting_keeps_nobody_from_the_next_lecture(meetings: Meetings) -> None:
    meetings.meet()
    meetings.tell()
    next_one = told(meetings.ask("bob", START + 59 * MINUTE), 201)["id"]
    assert meetings.collected(next_one) == []


def test_a_meeting_without_a_host_is_for_editors(meetings: Meetings) -> None:
    meetings.meet()
    meetings.zoom.meetings[UUID]["host_email"] = ""
    meetings.tell()
    problem(meetings.ask("ann", START - MINUTE), 403)
    assert meetings.collected(told(meetings.ask("eve", START - MINUTE), 201)["id"]) == [UUID]


# --- what is not known yet ------------------------------------------------------------------------


def test_a_meeting_that_nobody_told_of_is_left_out(meetings: Meetings) -> None:
    meetings.meet()
    assert told(meetings.ask("bob"), 201)["id"] == 1
    meetings.work()
    failed = told(meetings.web.api("bob", "GET", "/records/1"))
    assert "a meeting of somebody else is left out" in failed["error"]["message"]
    assert failed["papers"] == []
    assert "/rec/download" not in " ".join(meetings.zoom.asked)
    told(meetings.web.api("bob", "POST", "/records/1/retry"))
    assert meetings.collected(1) == []
    meetings.put(1, status="failed")
    told(meetings.web.api("eve", "POST", "/records/1/retry"))  # an editor gives leave
    assert meetings.collected(1) == [UUID]
    assert "allowed" in meetings.site.events(1)


def test_the_host_gets_their_own_meeting(meetings: Meetings) -> None:
    meetings.meet()
    assert meetings.collected(told(meetings.ask("ann"), 201)["id"]) == [UUID]


def test_who_asks_ahead_does_not_get_what_others_will_say(meetings: Meetings) -> None:
    waits = told(meetings.ask("bob", START - HOUR, 12 * HOUR), 201)["id"]
    meetings.meet()
    hers = meetings.tell()
    assert hers != waits and meetings.users(2) == ["ann"] and meetings.users(waits) == ["bob"]
    assert meetings.collected(waits) == [] and meetings.collected(2) == [UUID]
    assert problem(meetings.ask("kim", START - HOUR, 12 * HOUR), 403)  # to be joined to his


def test_the_very_second_does_not_help(meetings: Meetings) -> None:
    waits = told(meetings.ask("bob"), 201)["id"]
    meetings.meet()
    assert meetings.tell() != waits
    assert meetings.users(waits) == ["bob"]


@pytest.mark.parametrize("by", ["ann", "eve", "operator"])
def test_what_was_asked_ahead_with_leave_gets_the_meeting(meetings: Meetings, by: str) -> None:
    waits = meetings.ask_trusted("bob") if by == "operator" else told(meetings.ask(by), 201)["id"]
    meetings.meet()
    assert meetings.tell() == waits
    assert meetings.collected(waits) == [UUID]


def test_what_was_asked_before_the_update_gets_it_as_then(meetings: Meetings) -> None:
    told(meetings.ask("bob"), 201)
    meetings.put(1, media=None)
    meetings.meet()
    assert meetings.tell() == 1 and meetings.collected(1) == [UUID]


def test_the_room_s_own_cameras_are_joined_as_ever(meetings: Meetings) -> None:
    meetings.site.add_room("504")
    told(meetings.ask("bob", room="504"), 201)
    assert told(meetings.ask("kim", room="504"), 200)["users"][-1] == "kim@example.org"


# --- by its own name ------------------------------------------------------------------------------


def test_a_host_does_not_get_into_what_else_an_editor_s_record_shows(meetings: Meetings) -> None:
    meetings.meet()
    meetings.meet("kim", START + 2 * HOUR, "second meeting ==".replace(" ", "-"))
    told(meetings.ask("eve", START, 4 * HOUR), 201)
    assert meetings.tell() == 1 == meetings.tell("second-meeting-==")
    own = told(meetings.web.api("ann", "POST", "/records", json={"zoom": UUID}), 201)["id"]
    assert own != 1 and meetings.users(1) == ["eve"] and meetings.collected(own) == [UUID]
    assert told(meetings.web.api("ann", "POST", "/records", json={"zoom": UUID}), 200)["id"] == own


# --- merging again --------------------------------------------------------------------------------


def remerge(meetings: Meetings, who: str, **body: Any) -> Any:
    return meetings.web.api(who, "POST", "/records/1/remerge", json=body)


def test_more_of_a_meeting_that_is_known_is_refused(meetings: Meetings) -> None:
    meetings.ask_trusted("bob", MINUTE)
    meetings.deliver(1)
    meetings.meet()
    assert meetings.tell() == 2
    end = (START + HOUR).isoformat()
    problem(remerge(meetings, "bob", end=end), 403)
    assert meetings.site.row().version == 1
    told(remerge(meetings, "bob", layout="speaker_only"))
    meetings.deliver(1)
    told(remerge(meetings, "eve", end=end))
    assert meetings.collected(1) == [UUID]


def of_the_meeting(meetings: Meetings) -> None:
    """The first record holds a file of the whole meeting, though it shows a minute of it."""
    origin = f"{UUID} active_speaker 1.mp4"
    with_file = {"items": {"zoom": [[origin, "mark", "segments/1/1.mp4", utc(START).isoformat()]]}}
    row = Segment(
        source_id=1, origin=origin, fingerprint="mark", start_at=utc(START), end_at=utc(START + HOUR),
        path="segments/1/1.mp4", size_bytes=1, collected_at=utc(START),
    )  # fmt: skip
    writing(meetings.site.engine, lambda session: session.add(row))
    meetings.put(1, media=with_file)


def test_a_record_that_its_owner_made_longer_shows_no_more_of_others(meetings: Meetings) -> None:
    meetings.ask_trusted("bob", MINUTE)
    meetings.deliver(1)
    meetings.meet()
    of_the_meeting(meetings)
    told(remerge(meetings, "bob", end=(START + HOUR).isoformat()))
    assert meetings.collected(1) == []
    assert (meetings.site.row().media or {}).get("items") == {"zoom": []}
    # It comes to nothing, and what it was to be is tried again.
    told(meetings.web.api("bob", "POST", "/records/1/cancel"))
    assert meetings.site.row().end_at == utc(START + MINUTE)
    told(meetings.web.api("bob", "POST", "/records/1/retry"))
    assert meetings.site.row().end_at == utc(START + HOUR) and meetings.collected(1) == []


def test_a_lecture_that_ran_over_is_made_longer(meetings: Meetings) -> None:
    """The calendar asked for it, and the meeting is that of the room's own account."""
    meetings.ask_trusted("bob", 50 * MINUTE)
    meetings.deliver(1)
    meetings.meet("room")
    told(remerge(meetings, "bob", end=(START + HOUR).isoformat()))
    assert meetings.collected(1) == [UUID]


# --- where it is said -----------------------------------------------------------------------------


def test_spans_of_what_waits_are_those_of_its_record(meetings: Meetings) -> None:
    meetings.meet()
    meetings.tell()

    def forget(session: Any) -> None:
        row = session.get(Offer, 1)
        row.start_at = row.end_at = None

    writing(meetings.site.engine, forget)
    problem(meetings.ask("bob", START + MINUTE), 403)
    told(meetings.ask("bob", START + LATER), 201)


def test_the_form_says_what_to_do(meetings: Meetings) -> None:
    meetings.meet()
    meetings.tell()
    meetings.web.app.config["WTF_CSRF_ENABLED"] = False
    local = START + 10 * MINUTE
    form = {
        "room": "Z", "date": f"{local:%Y-%m-%d}", "start": f"{local:%H:%M}", "end": f"{local + HOUR:%H:%M}",
        "name": "x", "layout": "side_by_side", "profile": "720p",
    }  # fmt: skip
    page = meetings.web.call("bob", "POST", "/request", data=form)
    assert page.status_code == 422 and "ask its host or an editor" in page.text


def test_where_leave_is_asked_for_the_host_can_allow_it(meetings: Meetings) -> None:
    meetings.site.environ["MERGER_ACCESS"] = "ask"
    service = dataclasses.replace(meetings.service, settings=meetings.site.settings)
    meetings.web.app = app.create_web(service)
    meetings.meet()
    assert meetings.tell() == 1
    waits = told(meetings.ask("bob", START - MINUTE), 202)
    assert waits["asks"] == ["ann@example.org"]
    done = told(meetings.web.api("ann", "POST", "/access/1", json={"allow": True}))
    assert (done["access"], done["record"], meetings.users(2)) == ("granted", 2, ["bob"])
    assert meetings.collected(2) == meetings.collected(1) != []  # what she may have herself
