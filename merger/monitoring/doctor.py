"""What the service needs of its surroundings, looked at: what is missing, and what to do about it.

Looking changes nothing, except that SQLite makes an empty file where there is no database yet.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, text

from merger.config import Settings
from merger.db import schema
from merger.db.engine import reading
from merger.errors import MergerError, Temporary
from merger.ports.recorder import Recorder, ReportsMissing, SourceOfRoom
from merger.render import ffmpeg
from merger.render.ffmpeg import Tool
from merger.rooms import store
from merger.rooms.rules import problems_of
from merger.rooms.spec import RoomSpec, warnings
from merger.storage.disk_space import nearest
from merger.timeline import profiles
from merger.timeline.profiles import DEFAULT_PROFILE, Profile, candidates
from merger.timeline.zones import zone_named

Level = Literal["ok", "warning", "broken"]

CLOCKS_DIFFER = timedelta(seconds=5)
LITTLE_SPACE = 5_000_000_000  # bytes: less than a long lecture may need
OLDEST_FFMPEG = (5, 1)


@dataclass(frozen=True)
class Finding:
    """How one thing is. broken: records fail, some or all, until somebody acts."""

    what: str
    level: Level
    text: str

    @property
    def ok(self) -> bool:
        """Whether records can be made; a warning may still deserve a look."""
        return self.level != "broken"


def check(
    settings: Settings,
    engine: Engine,
    recorder_of: Callable[[str], Recorder],
    now: Callable[[], datetime],
) -> list[Finding]:
    """Return how everything is that the service needs. now: the wall clock, aware."""
    reached = _told("database", partial(_database, engine))
    findings = list(reached)
    if _fine(reached):
        findings += _told("clocks", partial(_clocks, engine, now))
        current = _told("schema", partial(_schema, engine))
        findings += current
        if _fine(current):
            findings += _told("rooms", partial(_rooms, engine, recorder_of))
    findings += _told("ffmpeg", partial(_ffmpeg, settings))
    findings += _told("setpriv", _setpriv)
    for what, folder, is_ours in (
        ("cache folder (MERGER_CACHE)", settings.cache, True),
        ("data folder (MERGER_DATA)", settings.data, True),
        ("output folder (MERGER_OUTPUT)", settings.destination, settings.output is None),
    ):
        findings += _told(what, partial(_folder, what, folder, is_ours))
    return findings


def _told(what: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Return what a look finds, and what kept it from looking further."""
    findings: list[Finding] = []
    try:
        findings.extend(look())
    except MergerError as error:
        findings.append(Finding(what, "broken", str(error)))
    except OSError as error:
        findings.append(Finding(what, "broken", f"it cannot be looked at: {error}"))
    return findings


def _fine(findings: list[Finding]) -> bool:
    return all(finding.ok for finding in findings)


def _database(engine: Engine) -> Iterator[Finding]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        with reading(engine) as session:
            session.execute(text("SELECT 1")).one()
    except Temporary as error:
        message = f"{error.message}; start it, or correct SQLALCHEMY_DATABASE_URI"
        yield Finding("database", "broken", message)
    else:
        yield Finding("database", "ok", f"{where} answers")


def _schema(engine: Engine) -> Iterator[Finding]:
    schema.require_current(engine)
    yield Finding("schema", "ok", "the tables are those of this program")


def _clocks(engine: Engine, now: Callable[[], datetime]) -> Iterator[Finding]:
    """Compare the clocks of the database server and of this machine.

    Leases are written by one machine and judged by another; the server stands for all others.
    """
    if engine.dialect.name == "sqlite":
        yield Finding("clocks", "ok", "a database in a file has no clock of its own")
        return
    with reading(engine) as session:
        before = now()
        said: datetime = session.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
        after = now()
    server = said.replace(tzinfo=UTC)
    # The answer was on its way for some time: only what lies outside of it is a difference.
    apart = max(before - server, server - after, timedelta())
    if apart > CLOCKS_DIFFER:
        message = (
            "the clocks of the database server and of this machine are"
            f" {apart.total_seconds():.1f} s apart, and leases rely on them; set both by NTP"
        )
        yield Finding("clocks", "warning", message)
    else:
        yield Finding("clocks", "ok", "the database server and this machine agree on the time")


def _ffmpeg(settings: Settings) -> Iterator[Finding]:
    tool = ffmpeg.find_tool(settings.ffmpeg or None)
    # Builds from its repository are called by a commit, and new enough.
    version = re.match(r"n?(\d+)\.(\d+)", tool.version)
    if version and (int(version[1]), int(version[2])) < OLDEST_FFMPEG:
        oldest = ".".join(map(str, OLDEST_FFMPEG))
        message = f"{tool.path} is version {tool.version}; name {oldest} or newer in MERGER_FFMPEG"
        yield Finding("ffmpeg", "broken", message)
        return
    yield Finding("ffmpeg", "ok", f"version {tool.version}, {tool.path}")
    by_codec: dict[str, list[Profile]] = {}
    for profile in profiles.PROFILES.values():
        by_codec.setdefault(profile.codec, []).append(profile)
    for group in by_codec.values():
        yield _encoder(tool, group, settings.encoder)


def _encoder(tool: Tool, group: list[Profile], choice: str) -> Finding:
    """Return how the profiles of one codec are encoded, and why not otherwise."""
    names = [profile.name for profile in group]
    what = f"encoder for {', '.join(names)}"
    wanted = group[0]
    try:
        encoder, notes = ffmpeg.choose_encoder(tool, wanted, choice)
    except MergerError as error:
        return Finding(what, "broken" if DEFAULT_PROFILE in names else "warning", str(error))
    if notes:
        notes.append("install its driver, or set MERGER_ENCODER=auto")
        return Finding(what, "warning", "; ".join(notes))
    if encoder.hardware is None:
        refused = [
            f"{other.name} does not work here ({ffmpeg.why_refused(tool, other)})"
            for other in candidates(wanted)
            if other.hardware and choice != "software"
        ]
        return Finding(what, "ok", "; ".join([f"{encoder.name}, in software", *refused]))
    # When the hardware gives up in the middle, all is encoded again in software.
    if reason := ffmpeg.why_refused(tool, profiles.software(wanted)):
        message = f"{encoder.name}, in hardware; nothing stands in for it, should it fail: {reason}"
        return Finding(what, "warning", message)
    return Finding(what, "ok", f"{encoder.name}, in hardware")


def _setpriv() -> Iterator[Finding]:
    if ffmpeg.dying_with_parent():
        yield Finding("setpriv", "ok", "children end with their parent")
    else:
        message = (
            "the program setpriv is missing: an ffmpeg would outlive a worker that is killed;"
            " install the package util-linux"
        )
        yield Finding("setpriv", "warning", message)


def _folder(what: str, folder: Path, is_ours: bool) -> Iterator[Finding]:
    """Look at a folder that is written to. is_ours: it is made where it is missing."""
    if folder.exists() and not folder.is_dir():
        yield Finding(what, "broken", f"{folder} is no folder; choose another")
        return
    if not folder.is_dir() and not is_ours:
        yield Finding(what, "broken", f"there is no folder {folder}; make it, or mount it")
        return
    there = nearest(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(what, "broken", f"{there} cannot be written to; choose another folder")
        return
    free = shutil.disk_usage(there).free
    shown = f"{folder}: {free / 1e9:.1f} GB free"
    if free < LITTLE_SPACE:
        yield Finding(what, "warning", f"{shown}; make some space, or merges may not fit")
    else:
        yield Finding(what, "ok", shown)


def _rooms(engine: Engine, recorder_of: Callable[[str], Recorder]) -> Iterator[Finding]:
    stored = store.stored_rooms(engine)
    if not stored:
        message = "there is no room yet; run: python app.py rooms import FILE.yaml"
        yield Finding("rooms", "warning", message)
    for room in stored:
        what = f"room {room.name!r}"
        findings = [
            Finding(what, "broken", str(message)) for _, message in problems_of(room, recorder_of)
        ]
        findings += [Finding(what, "warning", str(message)) for message in warnings([room])]
        if _fine(findings):
            findings += [Finding(what, "warning", why) for why in _missing(room, recorder_of)]
        names = ", ".join(source.name for source in room.sources)
        yield from findings or [Finding(what, "ok", f"{room.zone}; {names}")]


def _missing(room: RoomSpec, recorder_of: Callable[[str], Recorder]) -> Iterator[str]:
    """Yield what is not there of what the sources of a room need; the room itself was checked."""
    for source in room.sources:
        recorder = recorder_of(source.kind)
        if not isinstance(recorder, ReportsMissing):
            continue
        seen = SourceOfRoom(
            room.name, source.name, source.role, source.kind, source.address,
            zone_named(room.zone),
        )  # fmt: skip
        if why := recorder.missing(seen):
            yield f"source {source.name!r}: {why}"
