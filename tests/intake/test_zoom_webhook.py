"""What Zoom tells by itself becomes a record: signed calls, the daily look, and by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

import app
from merger.db.engine import reading, writing
from merger.errors import Refused, Temporary
from merger.intake import discovered, discovered_rows, reconciliation
from merger.records import actions
from merger.service import Service
from merger.timeline.clock import utc
from models import Offer, Record, Room, Source
from recorders.zoom.discovery import uuid_in
from recorders.zoom.webhook import challenge, is_signed, signature
from tests.conftest import START
from tests.fakes.zoom import NUMBER, UUID, ZoomServer, zoom_served
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

SECRET = "barbaz67890"
HOST = "prof@example.edu"


@dataclass
class Hooked:
    """A service that Zoom calls."""

    site: Site
    zoom: ZoomServer

    def __post_init__(self) -> None:
        self.site.environ |= {**self.zoom.variables, "MERGER_ZOOM_HOOK_SECRET": SECRET}
        made = app.create_service(self.site.settings, self.site.engine)
        self.service: Service = dataclasses.replace(made, now=lambda: self.site.clock)
        self.client = app.create_web(self.service).test_client()

    def add_room(self, name: str = "504", address: str = f"zoom:{NUMBER}") -> None:
        def add(session: Any) -> None:
            row = Room(name=name, zone="Europe/Moscow", chunk_s=1800)
            row.sources = [Source(name="zoom", role="speaker", kind="zoom", address=address)]
            session.add(row)

        writing(self.site.engine, add)

    def send(
        self, body: bytes, *, at: datetime | None = None, headers: dict[str, str] | None = None
    ) -> TestResponse:
        stamp = str(int((at or self.site.clock).timestamp()))
        signed = {
            "x-zm-request-timestamp": stamp, "x-zm-signature": signature(SECRET, stamp, body),
            "Content-Type": "application/json", **(headers or {}),
        }  # fmt: skip
        return self.client.post("/hooks/zoom", data=body, headers=signed)

    def tell(self, event: str = "recording.completed", uuid: str = UUID) -> TestResponse:
        told = {"event": event, "event_ts": 1, "payload": {"object": self.zoom.told(uuid)}}
        return self.send(json.dumps(told).encode())

    def record(self, hours: float = 1) -> None:
        """Have the meeting be recorded in two views."""
        for view in ("active_speaker", "shared_screen"):
            self.zoom.add_file(view, START, hours * 3600)

    def count(self, table: type) -> int:
        with reading(self.site.engine) as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def offers(self) -> list[dict[str, Any]]:
        return discovered_rows.list_discovered(self.site.engine)


@pytest.fixture
def hooked(site: Site) -> Iterator[Hooked]:
    with zoom_served() as zoom:
        zoom.add_meeting()
        yield Hooked(site, zoom)


def test_what_was_signed() -> None:
    assert challenge(SECRET, "foobar12345") == {
        "plainToken": "foobar12345",
        "encryptedToken": "aaca35ce2b1ee8e81c06c0e8c9841f4870bfa2b29b1812688459cf5d6cbdb5df",
    }


@pytest.mark.parametrize(
    ("late_s", "good"), [(0, True), (299, True), (301, False), (-299, True), (-301, False)]
)
def test_a_call_is_good_for_five_minutes(late_s: int, good: bool) -> None:
    stamp, now = str(int(START.timestamp())), START + timedelta(seconds=late_s)
    assert is_signed(SECRET, stamp, signature(SECRET, stamp, b"{}"), b"{}", now) is good


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": ""}, {"secret": "other"}, {"body": b"{} "}, {"given": ""}, {"given": "v0="},
        {"given": "\udcff"}, {"stamp": ""}, {"stamp": "now"}, {"stamp": "٣"}, {"stamp": "9" * 99},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_zooms(changes: dict[str, Any]) -> None:
    stamp = str(int(START.timestamp()))
    good = {
        "secret": SECRET,
        "stamp": stamp,
        "given": signature(SECRET, stamp, b"{}"),
        "body": b"{}",
    }
    said = {**good, **changes}
    assert not is_signed(said["secret"], said["stamp"], said["given"], said["body"], START)


@ON_SQLITE
def test_nobody_else_is_believed(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record()
    assert (
        hooked.client.post("/hooks/zoom", json={"event": "recording.completed"}).status_code == 401
    )
    assert hooked.send(b"{}", headers={"x-zm-signature": "v0=0"}).status_code == 401
    assert hooked.send(b"{}", at=hooked.site.clock - timedelta(minutes=6)).status_code == 401
    hooked.site.environ["MERGER_ZOOM_HOOK_SECRET"] = ""
    without = Hooked.__new__(Hooked)
    service = dataclasses.replace(hooked.service, settings=hooked.site.settings)
    without.client, without.site = app.create_web(service).test_client(), hooked.site
    assert without.send(b"{}").status_code == 401
    assert hooked.count(Record) == hooked.count(Offer) == 0


@ON_SQLITE
def test_zoom_asks_whether_we_know_the_secret(hooked: Hooked) -> None:
    told = {"event": "endpoint.url_validation", "payload": {"plainToken": "foobar12345"}}
    answer = hooked.send(json.dumps(told).encode())
    assert answer.status_code == 200 and answer.get_json() == challenge(SECRET, "foobar12345")


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (b"", "JSON"), (b"[]", "object"), (b"{}", "event"), (b'{"event": 3}', "event"),
        (b'{"event": "recording.completed"}', "payload"),
        (b'{"event": "recording.completed", "payload": {}}', "object"),
        (b'{"event": "recording.completed", "payload": {"object": {"id": 1}}}', "uuid, recording_files"),
        (b'{"event": "recording.completed", "payload": {"object": {"id": "x", "uuid": "u",'
         b' "recording_files": []}}}', "id is not a number"),
        (b'{"event": "recording.completed", "payload": {"object": {"id": 123456789, "uuid": "u",'
         b' "recording_files": [3]}}}', "recording_files"),
        (b'{"event": "endpoint.url_validation", "payload": {}}', "plainToken"),
        (b"[" * 100_000, "JSON"),
        (b'{"event": "endpoint.url_validation", "payload": {"plainToken": "\\ud800"}}', "half of a character"),
        (b'{"event": "recording.completed", "payload": {"object": {"id": 123456789, "uuid": "u",'
         b' "duration": Infinity, "recording_files": []}}}', "Infinity"),
        (b'{"event": "meeting.started", "payload": {"object": NaN}}', "NaN"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(hooked: Hooked, body: bytes, missing: str) -> None:
    answer = hooked.send(body)
    assert answer.status_code == 400 and missing in answer.get_json()["error"]


@ON_SQLITE
def test_other_events_are_none_of_ours(hooked: Hooked) -> None:
    assert hooked.tell("meeting.started").status_code == 204
    assert hooked.send(b'{"event": "recording.stopped"}').status_code == 204
    assert hooked.count(Offer) == 0


def test_one_record_however_often_it_is_told(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record()
    answers = [hooked.tell() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer.get_json()["record"] for answer in answers] == [1] * 3
    assert hooked.count(Record) == hooked.count(Offer) == 1
    told = hooked.site.details()
    assert (told["room"], told["name"], told["users"]) == ("504", "Algebra", [HOST])
    row = hooked.site.row()
    assert (row.start_at, row.end_at) == (utc(START), utc(START + timedelta(hours=1)))
    assert hooked.zoom.asked == []  # within three seconds: nobody was asked anything


@ON_SQLITE
def test_a_lecture_that_was_asked_for_already_is_fed(hooked: Hooked) -> None:
    hooked.add_room()
    record = hooked.site.ask(until_s=5400, from_s=-600)
    hooked.record()
    assert hooked.tell().get_json()["record"] == record
    assert hooked.count(Record) == 1 and "offered" in hooked.site.events(record)
    assert hooked.tell().get_json()["record"] == record
    assert hooked.site.events(record).count("offered") == 1


@ON_SQLITE
def test_a_record_of_a_small_part_is_another(hooked: Hooked) -> None:
    hooked.add_room()
    record = hooked.site.ask(until_s=600)
    hooked.record()
    assert hooked.tell().get_json()["record"] != record


@ON_SQLITE
def test_no_room_has_the_meeting(hooked: Hooked) -> None:
    hooked.add_room(address="zoom:999999999")
    hooked.record()
    assert hooked.tell().get_json() == {
        "record": None, "reason": f"no room has a source with the address zoom:{NUMBER}",
    }  # fmt: skip
    (offer,) = hooked.offers()
    assert (offer["state"], offer["owner"], offer["name"]) == (
        "unplaced",
        "Prof@Example.edu",
        "Algebra",
    )
    assert hooked.count(Record) == 0
    hooked.add_room("505", f"zoom:{NUMBER // 10**7} {NUMBER % 10**7:07}")
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    assert hooked.site.details()["room"] == "505" and hooked.offers()[0]["record"] == 1


@ON_SQLITE
def test_a_short_recording_is_ignored_unless_asked_for(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record(hours=100 / 3600)
    assert "too short (100 s)" in hooked.tell().get_json()["reason"]
    assert hooked.offers()[0]["state"] == "ignored"
    named = hooked.service.offering["zoom"].find_recording(UUID, hooked.site.clock)
    outcome = discovered.ensure_record(hooked.service, named, ["ann@example.org"], is_explicit=True)
    assert outcome == discovered.Outcome(1, is_new=True)
    assert hooked.site.details()["users"] == [HOST, "ann@example.org"]


@ON_SQLITE
def test_nothing_but_sound(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.zoom.add_file("audio_only", START, 3600, file_type="M4A")
    assert hooked.tell().get_json() == {
        "record": None,
        "reason": "it contains nothing that can be shown",
    }


@ON_SQLITE
def test_nothing_but_a_file_without_any_length(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.zoom.add_file("active_speaker", START, 0)
    assert hooked.tell().get_json() == {
        "record": None,
        "reason": "it contains nothing that can be shown",
    }
    assert hooked.offers()[0]["state"] == "ignored"


@ON_SQLITE
def test_what_zoom_still_works_on_is_taken_up_later(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record()
    hooked.zoom.meetings[UUID]["recording_files"][1]["status"] = "processing"
    assert hooked.tell().get_json()["reason"] == "it is not complete yet"
    hooked.zoom.meetings[UUID]["recording_files"][1]["status"] = "completed"
    assert hooked.tell().get_json()["record"] == 1


@ON_SQLITE
def test_a_host_without_an_address(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record()
    hooked.zoom.meetings[UUID]["host_email"] = ""
    hooked.zoom.meetings[UUID]["topic"] = "x" * 3000
    assert hooked.tell().get_json()["record"] == 1
    assert hooked.site.details()["users"] == []


@ON_SQLITE
def test_what_a_lost_call_missed_is_found_once_a_day(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record()
    hooked.zoom.add_meeting("unknown==", 999_999_999)
    hooked.zoom.add_file("active_speaker", START, 3600, uuid="unknown==")
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    assert hooked.count(Record) == 1 and hooked.count(Offer) == 2
    asked = hooked.zoom.count("/accounts/me/recordings")
    reconciliation.find_discovered(hooked.service, hooked.site.clock + timedelta(hours=23))
    assert hooked.zoom.count("/accounts/me/recordings") == asked
    hooked.site.clock += timedelta(hours=25)
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    assert hooked.zoom.count("/accounts/me/recordings") > asked
    assert hooked.count(Record) == 1


@ON_SQLITE
def test_a_record_that_was_removed_does_not_come_back(hooked: Hooked) -> None:
    from merger.records import actions

    hooked.add_room()
    hooked.record()
    assert hooked.tell().get_json()["record"] == 1
    actions.withdraw(hooked.site.engine, 1, hooked.site.clock)
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    assert hooked.tell().get_json() == {"record": None, "reason": "its recording was removed"}
    assert hooked.count(Record) == 0 and hooked.offers()[0]["record"] is None
    named = hooked.service.offering["zoom"].find_recording(UUID, hooked.site.clock)
    assert discovered.ensure_record(hooked.service, named, is_explicit=True).is_new


LONGEST = "a recording can be at most 24 hours long"


@ON_SQLITE
def test_a_meeting_that_is_longer_than_any_record(hooked: Hooked) -> None:
    """As where it was begun again the next day."""
    hooked.add_room()
    hooked.zoom.add_file("active_speaker", START, 3600)
    hooked.zoom.add_file("active_speaker", START + timedelta(hours=25), 3600)
    for _ in range(2):
        answer = hooked.tell()
        assert answer.status_code == 200
        assert answer.get_json()["record"] is None and LONGEST in answer.get_json()["reason"]
        reconciliation.find_discovered(hooked.service, hooked.site.clock)
    assert hooked.count(Record) == 0
    (offer,) = hooked.offers()
    assert offer["state"] == "ignored" and LONGEST in str(offer["reason"])
    named = hooked.service.offering["zoom"].find_recording(UUID, hooked.site.clock)
    with pytest.raises(Refused, match=LONGEST):  # who asks is told
        discovered.ensure_record(hooked.service, named, is_explicit=True)


@ON_SQLITE
@pytest.mark.parametrize("is_delivered", [False, True])
def test_more_of_a_meeting_than_a_record_can_have(hooked: Hooked, is_delivered: bool) -> None:
    """What there is of it stays as it is."""
    hooked.add_room()
    hooked.record()
    hooked.tell()
    if is_delivered:
        assert hooked.site.claim() is not None
        writing(hooked.site.engine, delivered)
    hooked.zoom.add_file("active_speaker", START + timedelta(hours=25), 3600)
    for _ in range(2):
        answer = hooked.tell()
        assert answer.status_code == 200 and answer.get_json()["record"] == 1
        reconciliation.find_discovered(hooked.service, hooked.site.clock)
    row = hooked.site.row()
    assert (row.status, row.version) == ("delivered" if is_delivered else "queued", 1)
    assert row.end_at == utc(START + timedelta(hours=1))
    (offer,) = hooked.offers()
    assert (offer["state"], offer["record"]) == ("record", 1) and LONGEST in str(offer["reason"])


def delivered(session: Any) -> None:
    row = session.get(Record, 1)
    row.status, row.delivered_version = "delivered", 1
    row.claimed_by = row.claimed_at = row.lease_until = None


@ON_SQLITE
def test_what_cannot_be_written_down_now_is_told_again(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zoom does so where it is not answered well; it reads no pages."""

    def away(*_: Any, **__: Any) -> None:
        raise Temporary("database", "the database is away")

    hooked.record()
    with monkeypatch.context() as patched:
        patched.setattr(discovered, "writing", away)
        answer = hooked.tell()
    assert (answer.status_code, answer.get_json()) == (503, {"error": "the database is away"})
    assert hooked.tell().status_code == 200


@ON_SQLITE
def test_more_of_a_meeting_makes_another_version(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record()
    hooked.tell()
    held = hooked.site.claim()
    assert held is not None

    def deliver(session: Any) -> None:
        row = session.get(Record, 1)
        row.status, row.delivered_version = "delivered", 1
        row.claimed_by = row.claimed_at = row.lease_until = None

    writing(hooked.site.engine, deliver)
    hooked.zoom.add_file("active_speaker", START + timedelta(minutes=70), 1200)
    assert hooked.tell().get_json()["record"] == 1
    row = hooked.site.row()
    assert (row.status, row.version) == ("queued", 2)
    assert row.end_at == utc(START + timedelta(minutes=90))


MORE_ENDS = utc(START + timedelta(minutes=90))


def test_more_of_a_meeting_before_its_record_was_begun(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record()
    hooked.tell()
    hooked.zoom.add_file("active_speaker", START + timedelta(minutes=70), 1200)
    assert hooked.tell().get_json()["record"] == 1
    row = hooked.site.row()
    assert (row.status, row.version) == ("queued", 1)
    assert (row.start_at, row.end_at) == (utc(START), MORE_ENDS) and row.run_after >= MORE_ENDS
    assert hooked.site.events().count("offered") == 1
    assert hooked.offers()[0]["end"] == MORE_ENDS.isoformat()
    assert hooked.tell().get_json()["record"] == 1
    assert hooked.site.events().count("offered") == 1  # nothing of it is new


@ON_SQLITE
@pytest.mark.parametrize("by_hand", [False, True])
def test_more_of_a_meeting_while_its_record_is_being_made(hooked: Hooked, by_hand: bool) -> None:
    """Nobody tells of it again: the next look finds it."""
    hooked.add_room()
    hooked.record()
    hooked.tell()
    held = hooked.site.claim()
    assert held is not None
    hooked.zoom.add_file("active_speaker", START + timedelta(minutes=70), 1200)
    if by_hand:
        named = hooked.service.offering["zoom"].find_recording(UUID, hooked.site.clock)
        assert discovered.ensure_record(hooked.service, named, is_explicit=True).record == 1
    else:
        assert hooked.tell().get_json()["record"] == 1
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    assert hooked.site.row().end_at == utc(START + timedelta(hours=1))

    def deliver(session: Any) -> None:
        row = session.get(Record, 1)
        row.status, row.stage, row.delivered_version = "delivered", "deliver", 1
        row.claimed_by = row.claimed_at = row.lease_until = None

    writing(hooked.site.engine, deliver)
    hooked.site.clock += timedelta(hours=25)
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    row = hooked.site.row()
    assert (row.status, row.version, row.end_at) == ("queued", 2, MORE_ENDS)
    writing(hooked.site.engine, deliver)
    hooked.site.clock += timedelta(hours=25)
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    assert hooked.site.row().status == "delivered"  # once


@ON_SQLITE
def test_a_record_that_somebody_made_shorter_stays_so(hooked: Hooked) -> None:
    hooked.add_room()
    hooked.record()
    hooked.tell()
    assert actions.cancel(hooked.site.engine, 1, hooked.site.clock) == "cancelled"
    begins = utc(START + timedelta(minutes=5))
    actions.remerge(hooked.site.engine, 1, hooked.site.clock, start=begins)
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    assert hooked.site.row().start_at == begins
    assert hooked.tell().get_json()["record"] == 1


@ON_SQLITE
@pytest.mark.parametrize("by", ["asking", "trying again"])
def test_what_a_person_has_cancelled_stays_so(hooked: Hooked, by: str) -> None:
    """However much more of the meeting is recorded; until somebody asks for it."""
    hooked.add_room()
    hooked.record()
    hooked.tell()
    actions.cancel(hooked.site.engine, 1, hooked.site.clock)
    hooked.zoom.add_file("active_speaker", START + timedelta(minutes=70), 1200)
    assert hooked.tell().get_json()["record"] == 1
    reconciliation.find_discovered(hooked.service, hooked.site.clock)
    row = hooked.site.row()
    assert (row.status, row.end_at) == ("cancelled", utc(START + timedelta(hours=1)))
    if by == "asking":
        named = hooked.service.offering["zoom"].find_recording(UUID, hooked.site.clock)
        assert (
            discovered.ensure_record(hooked.service, named, ("eve@x.org",), is_explicit=True).record
            == 1
        )
        assert "eve@x.org" in hooked.site.details()["users"]
    else:
        actions.retry(hooked.site.engine, 1, hooked.site.clock)
        reconciliation.find_discovered(hooked.service, hooked.site.clock + timedelta(hours=25))
    row = hooked.site.row()
    assert (row.status, row.end_at) == ("queued", MORE_ENDS)


LINK = "https://zoom.us/recording/management/detail?meeting_id="


@pytest.mark.parametrize(
    "text",
    [
        UUID, f"{LINK}{UUID}", f"{LINK}%2FajXp112Q%2BmuoKj4854875%3D%3D",
        f"{LINK}%252FajXp112Q%252BmuoKj4854875%253D%253D&x=1", f"{LINK}/ajXp112Q+muoKj4854875==#top",
        "%252FajXp112Q%252BmuoKj4854875%253D%253D",
    ],
)  # fmt: skip
def test_a_plus_in_a_link_stays_a_plus(text: str) -> None:
    assert uuid_in(text) == UUID


@pytest.mark.parametrize(
    "text", ["", "504", "https://zoom.us/rec/share/abc", f"{LINK}a b", "x" * 99]
)
def test_what_holds_no_uuid(text: str) -> None:
    assert uuid_in(text) is None


@ON_SQLITE
def test_a_link_to_watch_is_looked_for_in_the_list(hooked: Hooked) -> None:
    hooked.record()
    named = hooked.service.offering["zoom"].find_recording
    for link in (
        hooked.zoom.meetings[UUID]["share_url"],
        "https://x.zoom.us/rec/play/00000001-file?t=1",
    ):
        assert named(link, hooked.site.clock).origin == UUID
    for text in (
        "https://x.zoom.us/rec/share/unknown",
        "nothing",
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "http://[",
    ):
        with pytest.raises(Refused) as told:
            named(text, hooked.site.clock)
        assert told.value.code == "zoom"
