"""A service with people, programs and things of theirs, of which everybody asks for everything.

What is Ann's and not for everybody holds the word SECRET, whatever it is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import app
from merger.accounts import users
from merger.accounts.permissions import SCOPES_OF
from merger.analysis import thumbnails
from merger.db.engine import reading, writing
from merger.i18n import verbatim
from merger.series import days_off, store
from merger.storage import paths
from merger.timeline.clock import utc
from merger.timetable.recurrence import DayOff, Recurrence
from merger.timetable.spec import SeriesSpec
from models import (
    AccessRequest,
    ApiKey,
    Chunk,
    Event,
    Occurrence,
    Offer,
    PasswordLink,
    Record,
    RecordUser,
    Rendition,
    Room,
    Series,
    Slide,
    Source,
    Still,
    User,
)
from models import (
    DayOff as DayOffRow,
)
from tests.fakes.zoom import NUMBER, ZoomServer
from tests.support.site import Site

SECRET = "wombat"
ROLES = {"bob": "user", "rea": "user", "ann": "user", "eve": "editor", "ada": "admin"}
KEYS = ("ann/read", "ann/write", "eve/rooms", "ada/people")
FIRST = datetime.fromisoformat("2025-11-20T10:00:00+00:00")
HOUR = timedelta(hours=1)
COUNTED = (Record, Room, Source, User, ApiKey, PasswordLink, Series, DayOffRow)


@dataclass(frozen=True)
class Asker:
    """Who asks: nobody, a person with a session, or a program with a key."""

    name: str
    person: str | None = None
    scopes: frozenset[str] = frozenset()
    by_key: bool = False

    @property
    def sees_all(self) -> bool:
        return ROLES.get(self.person or "") in ("editor", "admin")


NOBODY = Asker("nobody")
SESSIONS = tuple(Asker(person, person, SCOPES_OF[role]) for person, role in ROLES.items())
PROGRAMS = tuple(
    Asker(f"{person}/*", person, SCOPES_OF[role], by_key=True) for person, role in ROLES.items()
)
SCOPED = tuple(Asker(key, key[:3], frozenset({key[4:]}), by_key=True) for key in KEYS)
# People have sessions, and programs keys; a session may read the API.
OF_PAGES = (NOBODY, *SESSIONS, *SCOPED)
OF_API = (NOBODY, SESSIONS[2], *PROGRAMS, *SCOPED)


@dataclass(frozen=True)
class Thing:
    """Something that an address names. args: of the address; row: its table and number."""

    args: dict[str, Any]
    owner: str | None = None
    users: tuple[str, ...] = ()
    row: tuple[type, int] | None = None
    start: datetime = FIRST
    room: str = ""
    uuid: str = ""


@dataclass
class World:
    """The service. Each thing that may be changed is made anew for whoever tries."""

    site: Site
    zoom: ZoomServer
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    ids: dict[str, int] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.site.environ |= self.zoom.variables | {"MERGER_ZOOM_HOOK_SECRET": "hooks"}
        made = app.create_service(self.site.settings, self.site.engine)
        self.service = replace(made, now=lambda: self.site.clock)
        self.app: Flask = app.create_web(self.service)
        self.app.config["WTF_CSRF_ENABLED"] = False  # so that keys are tried on pages, too
        for person, role in {**ROLES, "dan": "user"}.items():
            name = SECRET if person == "ann" else None
            user, _ = users.invite_user(self.site.engine, address(person), name, role)
            self.ids[person] = user["id"]
        for asker in (*PROGRAMS, *SCOPED):
            if asker.person:
                _, self.keys[asker.name] = users.create_key(
                    self.site.engine, self.ids[asker.person], asker.name, sorted(asker.scopes), self.site.clock
                )  # fmt: skip
        self.add_room("504", "folder", str(self.site.folder))
        self.add_room("Z", "zoom", f"zoom:{NUMBER}")
        self.add_room("W", "folder", str(self.site.folder), watchers={"who": "everybody"})
        self.add_room("closed", "folder", "/tmp", requesters={"who": "editors"})
        self.lecture = self.record()
        self.meeting_shown = self.meeting()
        self.coming = self.record("queued", room="Z")
        self.watched_lecture = self.watched()
        self.picture = self._picture("Z")
        self.closed_picture = self._picture("closed")

    def add(self, row: Any) -> int:
        """Add a row and return its number."""

        def add(session: Session) -> int:
            session.add(row)
            session.flush()
            return int(row.id)

        return writing(self.site.engine, add)

    def add_room(self, name: str, kind: str, address_: str, **more: Any) -> int:
        source = Source(name="speaker", role="speaker", kind=kind, address=address_)
        return self.add(Room(name=name, zone="UTC", chunk_s=1800, sources=[source], **more))

    # --- things -----------------------------------------------------------------------------------

    def nothing(self) -> Thing:
        return Thing({"filename": "style.css", "email": address("ann")}, "ann", ("ann",))

    def record(
        self, status: str = "delivered", room: str = "504", name: str = SECRET, **more: Any
    ) -> Thing:
        """Add a record of Ann's, of which Rea is a reader, with all that a record may have."""
        start = FIRST + next(self.numbers) * 2 * HOUR
        with reading(self.site.engine) as session:
            room_id = session.scalar(select(Room.id).where(Room.name == room))
        row = Record(
            room_id=room_id, start_at=start, end_at=start + HOUR, zone="UTC", event_name=name,
            layout="side_by_side", profile="720p", created_at=start, updated_at=start, run_after=start,
            status=status, stage="collect", attempt=1, media={"papers": ["chat.txt"]}, **more,
        )  # fmt: skip
        if status == "delivered":
            row.stage, row.delivered_version, row.delivered_at = "deliver", 1, start

        def add(session: Session) -> int:
            session.add(row)
            row.users = [
                RecordUser(user_id=self.ids[person], position=position)
                for position, person in enumerate(("ann", "rea"))
            ]
            session.flush()
            session.add(
                Event(record_id=row.id, at=start, attempt=1, kind="note", message=verbatim(name))
            )
            return int(row.id)

        record = writing(self.site.engine, add)
        args = {
            "record": record,
            "email": address("ann"),
            "kind": "merge",
            "name": "chat.txt",
            "chunk": 0,
            "number": 0,
        }
        if status == "delivered":
            self._add_files(record, start)
        return Thing(args, "ann", ("ann", "rea"), (Record, record), start, room)

    def _add_files(self, record: int, start: datetime) -> None:
        data = self.site.settings.data
        video = paths.attempt_folder(data, record, 1) / "merge.mp4"
        paper = paths.transcripts_of(data, record) / "chat.txt"
        for path in (video, paper):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SECRET)
        shown = {
            "at": start.isoformat(),
            "verdict": "presentation",
            "jpeg": base64.b64encode(SECRET.encode()).decode(),
        }
        self.add(
            Rendition(
                record_id=record, version=1, kind="merge", path=str(video.relative_to(data)), frames=1,
                size_bytes=len(SECRET), sha256="0" * 64, width=16, height=9, made_at=start,
            )
        )  # fmt: skip
        chunk = Chunk(
            record_id=record, start_at=start, end_at=start + HOUR, presence=True, verdict="presentation",
            score=1.0, samples=1, reasons=[], pictures=json.dumps([shown]),
        )  # fmt: skip
        slide = Slide(
            record_id=record, version=1, number=0, start_ms=0, end_ms=1000, title="", words="",
            picture=SECRET.encode(),
        )  # fmt: skip
        writing(self.site.engine, lambda session: session.add_all([chunk, slide]))

    def upcoming(self) -> Thing:
        return self.record("queued")

    def failed(self) -> Thing:
        return self.record("failed", error_code="no_media")

    def open_lecture(self) -> Thing:
        """Add a record that the room itself has filmed."""
        return self.record("queued", name="Open lecture")

    def meeting(self) -> Thing:
        """Add the record of a meeting of Ann's, as Zoom has told of it."""
        uuid = f"meeting{next(self.numbers):012d}=="
        made = self.record(room="Z", idempotency_key=f"zoom {uuid}")
        assert made.row is not None
        self.add(
            Offer(
                kind="zoom", origin=uuid, place=str(NUMBER), name=SECRET, owner=address("ann"), state="record",
                start_at=made.start, end_at=made.start + HOUR, record_id=made.row[1], offered_at=made.start,
            )
        )  # fmt: skip
        self.zoom.add_meeting(uuid, host_email=address("ann").title(), topic=SECRET)
        self.zoom.add_file("active_speaker", made.start, 3600, uuid=uuid)
        return replace(made, uuid=uuid)

    def room(self) -> Thing:
        """Add a room that has no records."""
        name = f"room {next(self.numbers)}"
        room = self.add_room(name, "folder", str(self.site.folder))
        with reading(self.site.engine) as session:
            source = session.scalar(select(Source.id).where(Source.room_id == room))
        return Thing({"room": room, "source": source}, row=(Room, room), room=name)

    def still(self, answer: str | None = None) -> Thing:
        """Add a picture that editors are asked about, in a room of its own."""
        made = self.room()
        still = self.add(
            Still(
                room_id=made.args["room"], rough=b"", picture=SECRET.encode(), differed=b"", compared=0,
                last_at=FIRST, asked_at=FIRST, answer=answer,
                answered_at=FIRST if answer else None,
            )
        )  # fmt: skip
        return replace(made, args={"still": still}, row=(Still, still))

    def answered_still(self) -> Thing:
        return self.still("desktop")

    def series(self) -> Thing:
        """Add a series of Ann's that she shares with Rea: one lecture, in a room of its own."""
        made = self.room()
        tomorrow = (self.site.clock + 24 * HOUR).replace(tzinfo=None, microsecond=0)
        spec = SeriesSpec(
            "", "", SECRET, Recurrence("UTC", tomorrow, HOUR), room=made.room,
            owners=(address("ann"), address("rea")),
        )  # fmt: skip
        series = store.add_series(self.site.engine, spec, self.site.clock)

        def request(session: Session) -> None:
            session.get_one(Series, series).source = "requested"

        writing(self.site.engine, request)
        with reading(self.site.engine) as session:
            wanted = select(Occurrence.id).where(Occurrence.series_id == series)
            occurrence = session.scalars(wanted).one()
        args = {**made.args, "series": series, "occurrence": occurrence}
        return Thing(args, "ann", ("ann", "rea"), (Series, series), room=made.room)

    def occurrence(self) -> Thing:
        made = self.series()
        return replace(made, row=(Occurrence, made.args["occurrence"]))

    def day_off(self) -> Thing:
        """Add a day off of a room of its own, long ago."""
        made = self.room()
        day = FIRST.date()
        added = days_off.add_day_off(
            self.site.engine, DayOff(day, day, "", made.room), self.site.clock
        )
        return replace(
            made,
            args={**made.args, "day_off": added["id"], "day": added["id"]},
            row=(DayOffRow, added["id"]),
        )

    def source(self) -> Thing:
        made = self.room()
        return replace(made, row=(Source, made.args["source"]))

    def watched(self) -> Thing:
        """Add a record in a room whose records everybody may watch; on a day of its own."""
        made = self.record(room="W")
        start = made.start - 400 * 24 * HOUR

        def move(session: Session) -> None:
            row = session.get_one(Record, made.args["record"])
            row.start_at, row.end_at = start, start + HOUR

        writing(self.site.engine, move)
        return replace(made, start=start)

    def asked(self, person: str = "dan") -> Thing:
        """Have somebody ask for a record of Ann's."""
        made = self.record()
        with reading(self.site.engine) as session:
            room = session.scalar(select(Room.id).where(Room.name == "504"))
        asked = {
            "name": "x", "layout": "side_by_side", "profile": "720p", "course_code": None, "key": None,
            "users": [address(person)],
        }  # fmt: skip
        access = self.add(
            AccessRequest(
                user_id=self.ids[person], room_id=room, start_at=made.start, end_at=made.start + HOUR,
                asked=asked, state="pending", created_at=self.site.clock,
            )
        )  # fmt: skip
        return replace(made, args={"access": access}, users=("ann",), row=(AccessRequest, access))

    def asked_by_bob(self) -> Thing:
        return replace(self.asked("bob"), owner="bob", users=("bob",))

    def _picture(self, room: str) -> Thing:
        with reading(self.site.engine) as session:
            wanted = select(Source.room_id, Source.id).join(Source.room).where(Room.name == room)
            room_id, source = session.execute(wanted).one()
        path: Path = thumbnails.picture_path(self.site.settings, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET)
        return Thing({"room": room_id, "source": source})

    def key(self) -> Thing:
        """Make a key of Ann's."""
        made, _ = users.create_key(
            self.site.engine, self.ids["ann"], SECRET, ["read"], self.site.clock
        )
        return Thing({"key": made["id"]}, "ann", ("ann",), (ApiKey, made["id"]))

    def user(self) -> Thing:
        user, _ = users.invite_user(
            self.site.engine, f"{next(self.numbers)}@example.org", None, "user"
        )
        return Thing({"user": user["id"]}, row=(User, user["id"]))

    # --- asking -----------------------------------------------------------------------------------

    def client(self, asker: Asker) -> tuple[FlaskClient, dict[str, str]]:
        """Return a client with somebody's session, and the headers of a program."""
        client = self.app.test_client()
        if asker.by_key:
            return client, {"Authorization": f"Bearer {self.keys[asker.name]}"}
        if asker.person is not None:
            with reading(self.site.engine) as session:
                number = session.get_one(User, self.ids[asker.person]).session_number
            with client.session_transaction() as begun:
                begun["user"], begun["number"] = self.ids[asker.person], number
                begun["begun"] = int(self.site.clock.timestamp())
        return client, {}

    def state(self, thing: Thing) -> tuple[Any, ...]:
        """Return what an answer may have changed: a row, its users, and how many rows there are."""
        with reading(self.site.engine) as session:
            counts = session.execute(select(*(_count_of(table) for table in COUNTED))).one()
            row: Any = None
            emails: list[str] = []
            if thing.row is not None:
                table, number = thing.row
                columns = table.__table__  # type: ignore[attr-defined]
                row = session.execute(select(columns).where(columns.c.id == number)).one_or_none()
            if thing.row is not None and thing.row[0] is Record and row is not None:
                emails = [entry.user.email for entry in session.get_one(Record, thing.row[1]).users]
            return (*counts, repr(row), *emails)


def _count_of(table: type) -> Any:
    return select(func.count()).select_from(table).scalar_subquery()


def address(person: str) -> str:
    return f"{person}@example.org"


def local(at: datetime) -> str:
    return utc(at).isoformat()[:19].removesuffix(":00")
