"""Checks what the service needs of its surroundings: what is missing, and what to do about it.

It changes nothing, except that SQLite creates an empty file where there is no database yet.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, text

from merger.config import Settings
from merger.db import schema
from merger.db.encryption import require_key
from merger.db.engine import database_file, reading
from merger.db.key_file import use_key_file
from merger.errors import Broken, Cancelled, MergerError, Temporary
from merger.i18n import Message, document, sentences
from merger.isolation import confinement
from merger.ports.recorder import Recorder, ReportsMissing, SourceOfRoom
from merger.render import ffmpeg
from merger.render.ffmpeg import Tool
from merger.rooms import store
from merger.rooms.rules import problems_of
from merger.rooms.spec import RoomSpec, warnings
from merger.storage.disk_space import nearest
from merger.storage.private import open_to_others, private_paths
from merger.timeline import profiles
from merger.timeline.profiles import DEFAULT_PROFILE, Profile, candidates
from merger.timeline.zones import zone_named

Level = Literal["ok", "warning", "broken"]

CLOCKS_DIFFER = timedelta(seconds=5)
LITTLE_SPACE = 5_000_000_000  # bytes: less than a long lecture may need
OLDEST_FFMPEG = (5, 1)
_MOST_DAMAGES = 3  # of a database that are listed


@dataclass(frozen=True)
class Finding:
    """The state of one thing. broken: some or all recordings fail until somebody acts."""

    what: str
    level: Level
    text: Message

    @property
    def ok(self) -> bool:
        """Whether recordings can be processed; a warning may still deserve a look."""
        return self.level != "broken"

    @property
    def document(self) -> dict[str, Any]:
        """The finding for programs."""
        return {"what": self.what, "level": self.level, **document(self.text)}


def check(
    settings: Settings,
    engine: Engine,
    recorder_of: Callable[[str], Recorder],
    now: Callable[[], datetime],
) -> list[Finding]:
    """Return the state of everything that the service needs. now: the wall clock, aware."""
    database = findings_of("database", partial(_database, engine))
    findings = list(database)
    if _are_ok(database):
        findings += findings_of("clocks", partial(_clocks, engine, now))
        tables = findings_of("schema", partial(_schema, engine))
        findings += tables
        if _are_ok(tables):
            key = findings_of("key file", partial(_key, engine, settings.secret_file))
            findings += key
            if _are_ok(key):
                findings += findings_of("rooms", partial(_rooms, engine, recorder_of))
    findings += findings_of("ffmpeg", partial(_ffmpeg, settings))
    findings += findings_of("setpriv", _setpriv)
    for what, folder, is_ours in (
        ("cache folder (MERGER_CACHE)", settings.cache, True),
        ("data folder (MERGER_DATA)", settings.data, True),
        ("output folder (MERGER_OUTPUT)", settings.destination, settings.output is None),
    ):
        findings += findings_of(what, partial(_folder, what, folder, is_ours))
    findings += findings_of("private files", partial(_private_files, settings))
    return findings


def findings_of(what: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return what a look finds, and what kept it from looking further. Raises Cancelled."""
    findings: list[Finding] = []
    try:
        findings.extend(look())
    except Cancelled:
        raise
    except MergerError as error:
        findings.append(Finding(what, "broken", error.message))
    except OSError as error:
        findings.append(
            Finding(what, "broken", Message("monitoring.not_looked_at", why=str(error)))
        )
    return findings


def _are_ok(findings: list[Finding]) -> bool:
    return all(finding.ok for finding in findings)


def _database(engine: Engine) -> Iterator[Finding]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        with reading(engine) as session:
            session.execute(text("SELECT 1")).one()
    except Temporary as error:
        message = Message("monitoring.database_away", why=error.message)
        yield Finding("database", "broken", message)
    else:
        if engine.dialect.name == "sqlite":
            _require_undamaged(engine, where)
        yield Finding("database", "ok", Message("monitoring.database", where=where))


def _require_undamaged(engine: Engine, where: str) -> None:
    """Read the file of a database in SQLite to its end; raise Broken for what is wrong in it."""
    with reading(engine) as session:
        rows = session.execute(text(f"PRAGMA quick_check({_MOST_DAMAGES})")).scalars().all()
    if damage := [str(row) for row in rows if row != "ok"]:
        raise Broken("database", "db.damaged", where=where, why="; ".join(damage))


def _schema(engine: Engine) -> Iterator[Finding]:
    schema.require_current(engine)
    yield Finding("schema", "ok", Message("monitoring.schema"))


def _key(engine: Engine, file: Path) -> Iterator[Finding]:
    use_key_file(engine, file)
    fits = require_key(engine)
    key = "monitoring.key" if fits else "monitoring.no_key_yet"
    yield Finding("key file", "ok", Message(key, file=str(file)))


def _private_files(settings: Settings) -> Iterator[Finding]:
    """Look whether other users of the machine can read what is ours alone."""
    paths = private_paths(settings, database_file(settings.database_address))
    seen = open_to_others(paths)
    for path, mode in seen.items():
        most = f"{paths[path]:o}"
        message = Message("monitoring.open", path=str(path), mode=f"{mode:o}", most=most)
        yield Finding(f"private file {path}", "warning", message)
    if not seen:
        yield Finding("private files", "ok", Message("monitoring.private"))


def _clocks(engine: Engine, now: Callable[[], datetime]) -> Iterator[Finding]:
    """Compare the clocks of the database server and of this machine.

    Leases are written by one machine and judged by another; the server stands for all others.
    """
    if engine.dialect.name == "sqlite":
        yield Finding("clocks", "ok", Message("monitoring.clock_of_file"))
        return
    with reading(engine) as session:
        before = now()
        answer: datetime = session.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
        after = now()
    server = answer.replace(tzinfo=UTC)
    # The answer took some time: only what lies outside of that time is a difference.
    apart = max(before - server, server - after, timedelta())
    if apart > CLOCKS_DIFFER:
        message = Message("monitoring.clocks_differ", seconds=f"{apart.total_seconds():.1f}")
        yield Finding("clocks", "warning", message)
    else:
        yield Finding("clocks", "ok", Message("monitoring.clocks"))


def _ffmpeg(settings: Settings) -> Iterator[Finding]:
    tool = ffmpeg.find_tool(settings.ffmpeg or None)
    # Builds from its repository are named after a commit, and new enough.
    version = re.match(r"n?(\d+)\.(\d+)", tool.version)
    if version and (int(version[1]), int(version[2])) < OLDEST_FFMPEG:
        message = Message(
            "monitoring.ffmpeg_old", path=tool.path, version=tool.version,
            oldest=".".join(map(str, OLDEST_FFMPEG)),
        )  # fmt: skip
        yield Finding("ffmpeg", "broken", message)
        return
    message = Message("monitoring.ffmpeg", version=tool.version, path=tool.path)
    yield Finding("ffmpeg", "ok", message)
    by_codec: dict[str, list[Profile]] = {}
    for profile in profiles.PROFILES.values():
        by_codec.setdefault(profile.codec, []).append(profile)
    for group in by_codec.values():
        yield _encoder(tool, group, settings.encoder)


def _encoder(tool: Tool, group: list[Profile], choice: str) -> Finding:
    """Return how the profiles of one codec are encoded, and why not otherwise."""
    names = [member.name for member in group]
    what = f"encoder for {', '.join(names)}"
    profile = group[0]
    try:
        encoder, notes = ffmpeg.choose_encoder(tool, profile, choice)
    except MergerError as error:
        return Finding(what, "broken" if DEFAULT_PROFILE in names else "warning", error.message)
    if notes:
        advice = Message("monitoring.encoder_driver")
        return Finding(what, "warning", sentences([*notes, advice]))
    if encoder.hardware is None:
        message = Message("monitoring.encoder_software", name=encoder.name)
        failing = [
            Message("monitoring.encoder_fails", name=other.name, why=why)
            for other in candidates(profile)
            if other.hardware and choice != "software"
            if (why := ffmpeg.why_refused(tool, other))
        ]
        return Finding(what, "ok", sentences([message, *failing]))
    # When the hardware gives up in the middle, all is encoded again in software.
    if why := ffmpeg.why_refused(tool, profiles.software(profile)):
        message = Message("monitoring.encoder_alone", name=encoder.name, why=why)
        return Finding(what, "warning", message)
    return Finding(what, "ok", Message("monitoring.encoder_hardware", name=encoder.name))


def _setpriv() -> Iterator[Finding]:
    if confinement.dying_with_parent():
        yield Finding("setpriv", "ok", Message("monitoring.setpriv"))
    else:
        yield Finding("setpriv", "warning", Message("monitoring.setpriv_missing"))


def _folder(what: str, folder: Path, is_ours: bool) -> Iterator[Finding]:
    """Look at a folder that is written to. is_ours: it is created where it is missing."""
    if folder.exists() and not folder.is_dir():
        yield Finding(what, "broken", Message("monitoring.no_folder", folder=str(folder)))
        return
    if not folder.is_dir() and not is_ours:
        yield Finding(what, "broken", Message("monitoring.folder_missing", folder=str(folder)))
        return
    there = nearest(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(what, "broken", Message("monitoring.folder_read_only", folder=str(there)))
        return
    free = shutil.disk_usage(there).free
    is_little = free < LITTLE_SPACE
    message = Message(
        "monitoring.folder_full" if is_little else "monitoring.folder",
        folder=str(folder), free=f"{free / 1e9:.1f}",
    )  # fmt: skip
    yield Finding(what, "warning" if is_little else "ok", message)


def _rooms(engine: Engine, recorder_of: Callable[[str], Recorder]) -> Iterator[Finding]:
    rooms = store.stored_rooms(engine)
    if not rooms:
        yield Finding("rooms", "warning", Message("monitoring.no_rooms"))
    for room in rooms:
        what = f"room {room.name!r}"
        findings = [Finding(what, "broken", text) for _, text in problems_of(room, recorder_of)]
        findings += [Finding(what, "warning", text) for text in warnings([room])]
        if _are_ok(findings):
            findings += [Finding(what, "warning", text) for text in _missing(room, recorder_of)]
        names = tuple(source.name for source in room.sources)
        message = Message("monitoring.room", zone=room.zone, sources=names)
        yield from findings or [Finding(what, "ok", message)]


def _missing(room: RoomSpec, recorder_of: Callable[[str], Recorder]) -> Iterator[Message]:
    """Yield what the sources of a room, which is itself right, need and do not find."""
    for source in room.sources:
        recorder = recorder_of(source.kind)
        if not isinstance(recorder, ReportsMissing):
            continue
        seen = SourceOfRoom(
            room.name, source.name, source.role, source.kind, source.address,
            zone_named(room.zone),
        )  # fmt: skip
        if why := recorder.missing(seen):
            yield Message("monitoring.source", source=source.name, why=why)
