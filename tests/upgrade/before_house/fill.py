"""Fills a database and a folder with what an installation of `before-house` can have in it.

`script/make-upgrade-fixture` runs it in a copy of that version, and every module that is imported
here is one of that version: its names stay as they were, whatever they are called today.

Everything is done by the functions of that version, as its tests do it; the clock is a test's.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
from merger.database import reading, writing
from merger.media_signs import Sign
from merger.profiles import Profile
from merger.queue import Claim
from merger.raw_destination import RawFolder
from merger.task import Service
from merger.work import work
from recorders.clock import plain
from tests.calendared import CALENDAR, DAY, HOUR, MINUTE, Calendared
from tests.recorders.zoom_server import CREDENTIALS, NUMBER, zoom_served
from tests.site import Site

import app
from merger import (
    bookings,
    courses,
    failpoints,
    late,
    media_signs,
    offers,
    posting,
    profiles,
    queue,
    raw_uploads,
    records,
    schema,
    signs,
    tidy,
)
from merger.errors import Broken, Temporary
from merger.timeline import Span, utc
from models import Record
from tests.conftest import START, seconds
from tests.fakes.google import SUBJECT, google_served
from tests.fakes.mail_server import MailServer, mail_served
from tests.web.browsing import Browser
from tests.web.conftest import PASSWORD, Web

ANN, BOB = "ann@example.org", "bob@example.org"
SLICE_S = 2.0  # how long each lecture is
HALL = "Зал «Север» 7"


@dataclass
class Installation:
    """What is being filled. names: of records, with their ids; kept: what tests are to know."""

    site: Site
    names: dict[str, int] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    _slices: int = 0

    def __post_init__(self) -> None:
        self.web = Web(self.site)

    def api(self, who: str, method: str, path: str, status: int = 200, **options: Any) -> Any:
        answer = self.web.api(who, method, path, **options)
        assert answer.status_code == status, answer.text
        return answer.get_json()

    def slice(self) -> tuple[datetime, datetime]:
        """Return the next stretch of time of room 504 that no record has yet."""
        begin = START + seconds(self._slices * SLICE_S)
        self._slices += 1
        return begin, begin + seconds(SLICE_S)

    def ask(self, name: str, who: str = "ann", **more: Any) -> int:
        """Ask over the API for a lecture in room 504 of its own time."""
        start, end = self.slice()
        headers = more.pop("headers", {})
        body = {
            "room": "504", "start": start.isoformat(), "end": end.isoformat(),
            "event_name": name, "profile": "tiny", **more,
        }  # fmt: skip
        self.asked.append(body)
        said = self.api(who, "POST", "/records", 201, json=body, headers=headers)
        self.names[name] = said["id"]
        return int(said["id"])

    def claim(self, record: int) -> Claim:
        """Claim this record, whatever else is due."""
        site = self.site
        held = Claim(record, site.row(record).attempt + 1, "host-1-4711")
        take = partial(queue._take, held=held, now=site.clock, lease=site.settings.lease)
        assert writing(site.engine, take)
        return held

    def work(
        self,
        record: int,
        outcome: str = "delivered",
        *,
        service: Service | None = None,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Claim a record and work on it, until somebody asks to stop."""
        became = work(service or self.site.service, self.claim(record), until)
        assert became == outcome, (record, became, self.site.details(record)["events"])

    def delivered(self, name: str, **more: Any) -> int:
        record = self.ask(name, **more)
        self.work(record)
        return record

    def remerge(self, record: int, layout: str = "speaker_only") -> None:
        self.api("eve", "POST", f"/records/{record}/remerge", json={"layout": layout})


@contextmanager
def stumbling(place: str, error: BaseException, times: int = 1) -> Iterator[None]:
    """Have something go wrong when a place of the program is reached for the nth time."""
    seen = 0

    def stumble(reached: str) -> None:
        nonlocal seen
        seen += reached == place
        if reached == place and seen >= times:
            raise error

    failpoints.hook = stumble
    try:
        yield
    finally:
        failpoints.hook = lambda name: None


class Crash(BaseException):
    """The process ends here."""


# --- people and rooms -----------------------------------------------------------------------------


def people(here: Installation) -> None:
    """An administrator, an editor, two users, one who was never invited, keys and a session."""
    web, site = here.web, here.site
    for name, role in (("ann", "user"), ("bob", "user"), ("eve", "editor"), ("ada", "admin")):
        web.add(name, role)
    here.api("ada", "POST", "/users", 201, json={"email": "Guest@Example.net", "name": "Gäst"})
    revoked = here.api("ann", "POST", "/api-keys", 201, json={"name": "old", "scopes": ["read"]})
    here.api("ann", "DELETE", f"/api-keys/{revoked['id']}", 204)
    browser = Browser(site)
    browser.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "ru"
    at_s = int(site.clock.timestamp())
    with patch("itsdangerous.TimestampSigner.get_timestamp", lambda self: at_s):
        assert browser.sign_in(ANN, PASSWORD).status_code == 303
    here.kept |= {
        "keys": {**web.keys}, "revoked": revoked["key"], "password": PASSWORD,
        "cookie": browser.cookie,
    }  # fmt: skip


def rooms(here: Installation) -> None:
    """Rooms with sources of every kind, with credentials and without."""
    site = here.site
    site.add_room("504", drive_folder="folder504")
    site.add_room("505", calendar_id=CALENDAR)
    site.add_room("506", chunk_s=1800)
    site.add_room("No speaker", roles=("screen",))
    site.add_room("Old hall")
    meeting = {
        "name": "zoom", "role": "speaker", "kind": "zoom", "address": f"zoom:{NUMBER}",
        "credentials": CREDENTIALS,
    }  # fmt: skip
    body = {"name": "Zoom", "zone": "Europe/Berlin", "sources": [meeting]}
    here.api("eve", "POST", "/rooms", 201, json=body)
    sources = [
        {"name": "camera", "role": "speaker", "kind": "rtsp",
         "address": "rtsp://192.0.2.10:554/stream1?early=5m", "credentials": "viewer:s3cr€t"},
        {"name": "zoom", "role": "screen", "kind": "zoom", "address": f"zoom:{NUMBER}",
         "credentials": CREDENTIALS},
        {"name": "board", "role": "board", "kind": "drive", "address": "drive:1AbC-dEfG#7_board"},
        {"name": "mic", "role": "audio", "kind": "testpattern",
         "address": "testpattern:?size=64x36&pitch=880"},
    ]  # fmt: skip
    body = {
        "name": HALL, "zone": "Asia/Yekaterinburg", "chunk": "15m", "early": "5m", "late": "10m",
        "sound_source": "mic", "drive_folder": "1xyz", "mails": False, "uploads_raw": True,
        "sources": sources,
    }  # fmt: skip
    here.api("eve", "POST", "/rooms", 201, json=body)
    courses.set_courses(site.engine, {"MATH-101": "123456789012", "Физика": "42"})


def film(
    here: Installation, source: str, at_s: float, length_s: float, room: str, *, sound: bool = False
) -> Path:
    """Film what does not move, so that it is small."""
    ground = plain(128, 72, 200 if source == "screen" else 90)
    if source == "screen":
        for n, line in enumerate(("Concurrency", "A queue in SQL", "A lease")):
            cv2.putText(ground, line, (4, 20 + 20 * n), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20))
    return here.site.film(
        source, at_s, length_s, room=room, ground=ground, clock=False, sound=sound
    )


def library(here: Installation) -> None:
    """All that the cameras of most rooms have, and half of what those of 506 have."""
    for source in ("speaker", "screen"):
        film(here, source, 0.0, 60.0, "504")
        for room in ("505", "Old hall"):
            film(here, source, 0.0, 2.0, room, sound=room == "505" and source == "speaker")
    film(here, "speaker", 0.0, 8.0, "506")
    film(here, "screen", 0.0, 2.0, "506")


# --- records, by what became of them --------------------------------------------------------------


def versions(here: Installation) -> None:
    """Records of which people have a video, and of some a second one, or nearly."""
    once = {"Idempotency-Key": "delivered-once"}
    here.delivered("Delivered", users=[BOB], headers=once)
    here.kept["asked_once"] = {"headers": once, "json": here.asked[-1]}
    again = here.delivered("Delivered twice", course_code="MATH-101")
    here.remerge(again)
    here.work(again)
    waits = here.delivered("Another version waits")
    here.remerge(waits)
    failed = here.delivered("Another version failed")
    here.remerge(failed, "screen_large")
    with stumbling("encode.part", Broken("encoder", "no encoder works any more")):
        here.work(failed, "failed")
    for name in ("Put back", "To be put back"):
        half = here.delivered(name)
        here.remerge(half, "screen_large")
        broken = Broken("destination", "nobody may write there any more")
        with stumbling("deliver.written", broken):  # of two files, one is replaced
            here.work(half, "failed")
        assert here.site.row(half).status == "queued"
    here.work(here.names["Put back"])
    assert "put_back" in here.site.events(here.names["Put back"])
    cancelled = here.delivered("Another version was cancelled")
    here.remerge(cancelled)
    here.api("eve", "POST", f"/records/{cancelled}/cancel")


def stages(here: Installation) -> None:
    """Records that wait in the queue, each at another stage."""
    site = here.site
    here.ask("Queued", users=[BOB])
    left = here.ask("Left", users=[BOB])
    here.api("bob", "DELETE", f"/records/{left}", 204)
    for name, place in (
        ("Handed back at analyse", "analyse.entered"),
        ("Handed back at plan", "plan.entered"),
        ("Handed back at encode", "encode.entered"),
    ):
        record = here.ask(name)
        stop: list[str] = []
        failpoints.hook = lambda reached, at=place, said=stop: (
            said.append(at) if reached == at else None
        )  # type: ignore[misc]
        here.work(record, "handed back", until=lambda said=stop: bool(said))  # type: ignore[misc]
        failpoints.hook = lambda name: None
    away = here.ask("The share for videos is away")
    site.environ["MERGER_OUTPUT"] = str(site.folder / "not mounted")
    here.work(away, "put off")
    del site.environ["MERGER_OUTPUT"]
    full = here.ask("The disk is full")
    with stumbling("collect.brought", Temporary("disk_full", "1 MB is free, 2 MB are needed")):
        here.work(full, "put off")
    waiting = site.ask(12, 8, room="506", name="Waiting")
    here.names["Waiting"] = waiting
    clock, site.clock = site.clock, utc(START + seconds(13))
    here.work(waiting, "waiting")
    site.clock = clock


def ends(here: Installation) -> None:
    """Records that came to nothing, or lost their workers."""
    site = here.site
    none = here.ask("No media", start="2026-11-20T08:00:00+03:00", end="2026-11-20T09:00:00+03:00")
    clock, site.clock = site.clock, site.clock + 5 * DAY
    here.work(none, "failed")
    site.clock = clock
    refused = site.ask(room="No speaker", name="No speaker")
    here.names["No speaker"] = refused
    here.work(refused, "failed")
    died = here.ask("Its workers died")
    for _ in range(3):
        queue.crashed(site.engine, here.claim(died), site.clock, "its process was ended by SIGKILL")
        writing(site.engine, lambda s: setattr(s.get_one(Record, died), "run_after", site.clock))
    assert site.row(died).status == "failed"
    lost = here.ask("Lost")
    here.claim(lost)
    site.clock += 2 * MINUTE
    assert queue.take_back_lost(site.engine, site.clock) == [lost]
    early = here.ask("Cancelled before it was begun")
    here.api("ann", "POST", f"/records/{early}/cancel")
    begun = here.ask("Cancelled while it was worked on")
    held = here.claim(begun)
    here.api("ann", "POST", f"/records/{begun}/cancel")
    assert work(site.service, held, lambda: False) == "cancelled"
    again = here.ask("Tried again")
    here.api("ann", "POST", f"/records/{again}/cancel")
    here.api("ann", "POST", f"/records/{again}/retry")
    # The last two still say `running` when the service is stopped for the upgrade.
    here.claim(here.ask("Running"))
    stopping = here.ask("Running, and to be cancelled")
    here.claim(stopping)
    here.api("ann", "POST", f"/records/{stopping}/cancel")


def gone_rooms(here: Installation) -> None:
    """A delivered record whose room is no more."""
    record = here.site.ask(2, room="Old hall", name="In a room that is gone", users=(ANN,))
    here.names["In a room that is gone"] = record
    here.work(record)
    with reading(here.site.engine) as session:
        room = session.get_one(Record, record).room_id
    here.api("eve", "DELETE", f"/rooms/{room}", 204)


def late_media(here: Installation) -> None:
    """A record that was made again for media that came late, and one that still waits for it."""
    site = here.site
    for name, from_s in (("Made again for late media", 0.0), ("A gap", 4.0)):
        here.names[name] = site.ask(from_s + 4, from_s, room="506", name=name, users=(ANN,))
        here.work(here.names[name])
    film(here, "screen", 2.0, 2.0, "506")
    again = here.names["Made again for late media"]
    assert late.look_for_late(site.service, site.clock + HOUR) == [again]
    clock, site.clock = site.clock, site.clock + HOUR
    here.work(again)
    site.clock = clock


def told_by_the_recorder(here: Installation) -> None:
    tell = partial(bookings.tell_records, here.site.engine, [here.names["Queued"]], here.site.clock)
    tell("silent", "camera is silent, and a lecture begins soon: nobody answers")
    tell("outage", "camera: no media from 10:00:01 to 10:00:09 (8 s): the connection was lost")
    tell("outage", "camera comes and goes: more of it is in the log alone")
    tell("disk_full", "camera is not recorded for now: 1 MB is free, 2 MB are needed")


# --- what comes from elsewhere, and goes there ----------------------------------------------------


def zoom(here: Installation) -> None:
    """Meetings that Zoom has recorded: taken up, too short, of no room, not complete; with a chat."""
    site = here.site
    with zoom_served() as server:
        site.environ |= server.variables
        service = replace(
            app.create_service(site.settings, site.engine), now=lambda: site.clock,
            destinations=site.service.destinations,
        )  # fmt: skip
        media = film(here, "speaker", 0.0, 2.0, "meeting").read_bytes()
        for name, number, before, length_s, status in (
            ("delivered", NUMBER, timedelta(), 2, "completed"),
            ("short", NUMBER, DAY, 60, "completed"),
            ("nowhere", 999_999_999, timedelta(), 3600, "completed"),
            ("working", NUMBER, 2 * DAY, 3600, "processing"),
            ("hour", NUMBER, 5 * HOUR, 3600, "completed"),
            ("asked for", NUMBER, 8 * HOUR, 3600, "completed"),
        ):
            uuid = f"{name.replace(' ', '+'):A<22}=="
            if name == "asked for":
                here.names["Asked for before"] = site.ask(
                    -7 * 3600, -8 * 3600, room="Zoom", name="Asked for before"
                )
            server.add_meeting(uuid, number, topic=f"Meeting: {name}")
            server.add_file(
                "active_speaker", START - before, length_s, media, uuid=uuid, status=status
            )
            if name == "delivered":
                server.add_file("", START, 2, b"10:00 Hi!\n", uuid=uuid, file_type="CHAT")
            offer = service.offering["zoom"].offer_named(uuid, site.clock)
            taken = offers.take_up(service, offer, is_asked=name == "delivered")
            if taken.record is not None:
                here.names[f"Meeting: {name}"] = taken.record
        here.work(here.names["Meeting: delivered"], service=service)
        assert site.details(here.names["Meeting: delivered"])["papers"]
        assert site.events(here.names["Asked for before"]) == ["asked", "offered"]
        uuid = f"{'hour':A<22}=="
        server.meetings[uuid]["recording_files"][0]["recording_end"] = (
            f"{utc(START - HOUR * 3.5):%Y-%m-%dT%H:%M:%SZ}"
        )
        longer = service.offering["zoom"].offer_named(uuid, site.clock)
        offers.take_up(service, longer)
        assert site.events(here.names["Meeting: hour"])[-1] == "offered"
        offers.reconcile(service, site.clock)
        for name in server.variables:
            site.environ.pop(name)


def google(here: Installation) -> None:
    """A lecture that was delivered to Drive, attached to its event, and announced in its course."""
    site = here.site
    with google_served() as there:
        site.environ |= {
            "MERGER_GOOGLE_CREDENTIALS": str(there.credentials_file(site.folder)),
            "MERGER_GOOGLE_SUBJECT": SUBJECT, "MERGER_GOOGLE_ADDRESS": there.address,
        }  # fmt: skip
        calendar = there.calendar.add("other@group.calendar.google.com")
        start, end = here.slice()
        event = there.calendar.put(
            calendar, summary="In Drive", start={"dateTime": start.isoformat()},
            end={"dateTime": end.isoformat()},
        )  # fmt: skip
        there.classroom.announcements["123456789012"] = []
        folder = there.drive.make_folder("504", there.drive.root(SUBJECT), SUBJECT)
        room = next(r for r in here.api("eve", "GET", "/rooms")["rooms"] if r["name"] == "504")
        here.api("eve", "PATCH", f"/rooms/{room['id']}", json={"drive_folder": folder})
        request = records.Request(
            "504", start, end, name="In Drive", profile="tiny", users=(ANN, "who@else.example"),
            course_code="MATH-101", event_id=event, calendar_id=calendar,
        )  # fmt: skip
        record, _ = records.ask(site.engine, request, utc(START))
        here.names["In Drive"] = record
        made = app.create_service(site.settings, site.engine)
        here.work(record, service=replace(made, now=lambda: site.clock))
        assert len(site.details(record)["deliveries"]) == 6, site.details(record)["deliveries"]
        for name in ("CREDENTIALS", "SUBJECT", "ADDRESS"):
            del site.environ[f"MERGER_GOOGLE_{name}"]
    (site.folder / "service_account.json").unlink()


@contextmanager
def hook_served(answers: list[int]) -> Iterator[str]:
    """Serve a webhook that gives some answers, and then 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def messages(here: Installation) -> None:
    """Messages in every state; those of what comes later are not sent yet."""
    site = here.site
    mails = MailServer(answers={"RCPT": ["550 no such user"], "DATA": ["lost"]})
    with mail_served(mails), hook_served([500]) as address:
        site.environ |= {
            "MERGER_MAIL_SERVER": f"smtp://127.0.0.1:{mails.port}",
            "MERGER_MAIL_FROM": "lectures@example.edu",
            "MERGER_WEBHOOK_URL": address, "MERGER_WEBHOOK_SECRET": "hush",
        }  # fmt: skip
        here.delivered("Told", users=[BOB, "third@example.org"])
        posting.post(site.service, site.clock)
        here.delivered("Told when the program ended")
        for _ in range(2):  # of its two messages, neither is known to have gone
            try:
                with stumbling("post.taken", Crash()):
                    posting.post(site.service, site.clock)
            except Crash:
                pass
    here.delivered("Not told yet", users=[BOB])
    failed = here.ask("A failure that nobody was told of")
    with stumbling("encode.part", Broken("internal", "a mistake in this program")):
        here.work(failed, "failed")
    states = {
        message["status"]
        for record in here.names.values()
        for message in site.details(record)["messages"]
    }
    assert states == {"pending", "sending", "sent", "unknown", "failed"}, states
    for name in ("MAIL_SERVER", "MAIL_FROM", "WEBHOOK_URL", "WEBHOOK_SECRET"):
        del site.environ[f"MERGER_{name}"]


def live(here: Installation) -> None:
    """What was recorded of cameras here: uploaded, and refused; and how it is with them."""
    site = here.site
    room = next(r for r in here.api("eve", "GET", "/rooms")["rooms"] if r["name"] == HALL)
    source = next(s["id"] for s in room["sources"] if s["name"] == "camera")
    folder = site.settings.recorded / str(source)
    folder.mkdir(parents=True)
    for n, said in enumerate(("as it is", "as it is", "changed since")):
        begin = START + timedelta(minutes=30 * n)
        path = folder / f"{begin:%Y-%m-%d_%H-%M-%S}_hall_camera.mkv"
        path.write_bytes(b"media %d" % n)
        sidecar = {
            "start": utc(begin).isoformat(), "end": utc(begin + timedelta(minutes=30)).isoformat(),
            "sha256": sha256(b"media %d" % n if said == "as it is" else b"another").hexdigest(),
            "room": HALL, "source": "camera",
        }  # fmt: skip
        path.with_suffix(".json").write_text(json.dumps(sidecar))
    known = site.settings
    raw = RawFolder(known.destination, is_ours=known.output is None)
    raw_uploads.upload_raw(replace(site.service, raw_destinations=(raw,)), site.clock)
    media_signs.give(site.settings, source, Sign(site.clock, site.clock - MINUTE))
    signs.give(site.engine, "host-1-4711", site.clock)


# --- events of calendars --------------------------------------------------------------------------


@dataclass
class Timetable:
    """Events of room 505's calendar, as they are now; what is told of each is kept."""

    here: Installation
    room: Calendared
    events: dict[str, Any] = field(default_factory=dict)

    def span(self, hour: int) -> Span:
        begin = utc(START) + 3 * DAY + hour * HOUR
        return Span(begin, begin + HOUR)

    def tell(self, *names: str, **changes: Any) -> None:
        """Say what became of events, and have the calendar read."""
        for name in names:
            one = self.events.get(name) or self.room.happening(event=f"id of {name}", name=name)
            self.events[name] = replace(one, **changes)
        self.room.reader.whole = [one for one in self.events.values() if not one.is_off]
        self.room.since(*(self.events[name] for name in names))

    def by_hand(self, hour: int, key: str | None = None) -> int:
        span = self.span(hour)
        request = records.Request(
            "505", span.start, span.end, name=f"By hand at {hour}", users=("ivan@example.edu",),
            profile="720p", idempotency_key=key,
        )  # fmt: skip
        record, is_new = records.ask(self.here.site.engine, request, self.here.site.clock)
        if is_new:
            self.here.names[f"By hand at {hour}"] = record
        return record

    def record_at(self, hour: int) -> int:
        span = self.span(hour)
        [found] = [
            r.id for r in self.room.rows() if (r.start_at, r.end_at) == (span.start, span.end)
        ]
        return int(found)


def calendar(here: Installation) -> None:
    """Events, and their records: of their own, shared, asked for by hand, moved, off, removed."""
    site = here.site
    room = Calendared(site)
    table = Timetable(here, room)
    table.tell("Own", span=table.span(0))
    table.tell("First of two", span=table.span(1))
    table.tell("Second of two", span=table.span(1))
    table.by_hand(2)
    table.tell("Of a record by hand", span=table.span(2), course_code="ALG-2")
    table.by_hand(3, key="client's key")
    table.tell("Of a record with a key", span=table.span(3))
    table.tell("Kept", span=table.span(4))
    table.by_hand(4)
    table.tell("Kept, and moved", span=table.span(5))
    table.by_hand(5)
    table.tell("Kept, and moved", span=table.span(6))
    table.tell("Where another was", span=table.span(5))
    table.tell("Kept twice", span=table.span(7))
    table.by_hand(7)
    table.tell("Kept twice", span=table.span(8))
    table.by_hand(8)
    table.tell("Off", span=table.span(9))
    table.tell("Off", is_off=True)
    table.tell("Off, and wanted", span=table.span(10))
    table.tell("Off, and wanted", is_off=True)
    records.retry(site.engine, table.record_at(10), site.clock)
    table.tell("Removed", span=table.span(11))
    records.leave(site.engine, table.record_at(11), site.clock)
    table.by_hand(13)
    table.tell("Moved to a record by hand", span=table.span(12))
    table.tell("Moved to a record by hand", span=table.span(13))
    table.tell("Old name", span=table.span(14))
    table.tell("Old name", name="Renamed", owner="other@example.edu", course_code=None)
    table.tell("Moved", span=table.span(18))
    table.tell("Moved", span=table.span(19))
    table.tell("Gone", span=table.span(21))
    gone = table.events.pop("Gone")  # found missing when all is read after the next is off
    table.tell("On again", span=table.span(20))
    table.tell("On again", is_off=True)
    table.tell("On again", is_off=False)
    table.tell("Whole day", span=table.span(15))
    table.tell("Whole day", span=None)
    table.tell("Cancelled by a person", span=table.span(16))
    records.cancel(site.engine, table.record_at(16), site.clock)
    table.tell("Made shorter", span=table.span(17))
    records.cancel(site.engine, table.record_at(17), site.clock)
    shorter = table.span(17).start + 5 * MINUTE
    here.names["Made shorter"] = table.record_at(17)
    records.remerge(site.engine, here.names["Made shorter"], site.clock, start=shorter)
    room.reader.tells = True  # from now on, it is read once an hour
    table.tell("Delivered event", span=Span(utc(START), utc(START + seconds(SLICE_S))))
    done = next(r.id for r in room.rows() if r.event_name == "Delivered event")
    here.work(done)
    assert room.reader.watched
    table.events["Gone"] = replace(gone, is_off=True)
    for row in room.rows():
        here.names.setdefault(row.event_name, row.id)
    here.kept["channel"] = {"id": room.reader.watched[-1], "token": _channel_token(site)}
    here.kept["events"] = {
        name: {
            "calendar": one.calendar, "event": one.event, "name": one.name, "owner": one.owner,
            "span": [one.span.start.isoformat(), one.span.end.isoformat()] if one.span else None,
            "course_code": one.course_code, "is_off": one.is_off,
        }
        for name, one in table.events.items()
    }  # fmt: skip


def _channel_token(site: Site) -> str:
    with site.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT channel_token FROM calendars")
        return str(found.scalar_one())


# --- what that version says of it all -------------------------------------------------------------


def answers(here: Installation) -> dict[str, Any]:
    """Return what the API says to an administrator, by path."""
    paths = ["/records?limit=200", "/rooms", "/users", "/api-keys", "/offers"]
    paths += [f"/records/{record['id']}" for record in here.api("ada", "GET", paths[0])["records"]]
    return {path: here.api("ada", "GET", path) for path in paths}


def downloads(here: Installation, said: Mapping[str, Any]) -> dict[str, str]:
    """Return what can be downloaded, by path, and its SHA-256."""
    wanted = []
    for path, document in said.items():
        if not path.startswith("/records/"):
            continue
        kinds = {r["kind"] for r in document["renditions"]}
        wanted += [f"{path}/renditions/{kind}" for kind in sorted(kinds)]
        wanted += [f"{path}/papers/{name}" for name in document["papers"]]
        wanted += [
            f"{path}/chunks/{n}/pictures/{m}"
            for n, chunk in enumerate(document["chunks"])
            for m in range(len(chunk["pictures"]))
        ]
    for room in said["/rooms"]["rooms"]:
        wanted += [f"/rooms/{room['id']}/sources/{s['id']}/picture" for s in room["sources"]]
    found = {path: here.web.api("ada", "GET", path) for path in wanted}
    return {
        path: sha256(answer.data).hexdigest()
        for path, answer in found.items()
        if answer.status_code == 200
    }


def commands(here: Installation) -> dict[str, Any]:
    """Return what commands say, by their arguments."""
    shown = ("Delivered twice", "Its workers died", "In Drive", "Meeting: delivered")
    wanted = [("records", "--limit", "200"), ("rooms",), ("courses",)]
    wanted += [("show", str(here.names[name])) for name in shown]
    return {" ".join(arguments): here.site.said(*arguments) for arguments in wanted}


def fill(folder: Path) -> dict[str, Any]:
    """Fill a folder that is empty; return what tests are to know of it."""
    os.environ["TZ"] = "UTC"
    tiny = {"tiny": Profile("tiny", 180, "h264"), "tiny_av1": Profile("tiny_av1", 180, "av1")}
    profiles.PROFILES = {**profiles.PROFILES, **tiny}
    data = folder / "data"
    data.mkdir()
    site = Site(folder, f"sqlite:///{data / 'merger.db'}")
    schema.upgrade(site.engine)
    here = Installation(site)
    people(here)
    rooms(here)
    library(here)
    versions(here)
    messages(here)
    stages(here)
    gone_rooms(here)
    late_media(here)
    told_by_the_recorder(here)
    zoom(here)
    google(here)
    live(here)
    calendar(here)
    ends(here)
    tidy.tidy(site.service, site.clock)
    said = answers(here)
    kept = {
        **here.kept, "names": here.names, "clock": site.clock.isoformat(), "api": said,
        "downloads": downloads(here, said), "commands": commands(here),
    }  # fmt: skip
    site.engine.dispose()
    return kept


if __name__ == "__main__":
    print(json.dumps(fill(Path(sys.argv[1]).resolve())))
