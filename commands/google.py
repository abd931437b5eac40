"""Commands about Google: what a room needs there, what codes of courses mean, who we are to it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from commands.base import Context, Printed, database, settings
from merger.errors import Refused, did_you_mean

if TYPE_CHECKING:
    from google_apis.account import Account
    from merger.config import Settings
    from merger.monitoring.doctor import Finding


def findings_of(known: Settings) -> list[Finding]:
    """Return whether Google lets us work, where it is used at all."""
    if known.google_credentials is None:
        return []
    from google_apis.checking import check_access
    from merger.monitoring.doctor import Finding

    ok, text = check_access(_account(known))
    return [Finding("google", "ok" if ok else "broken", text)]


def _account(known: Settings) -> Account:
    from google_apis.account import Account

    return Account(known.google_credentials, known.google_subject, known.google_address)


def set_up_room(options: argparse.Namespace, context: Context) -> Printed:
    """Make the folder and the calendar of a room, and write down which they are."""
    from google_apis.drive.folders import Folders
    from google_apis.setup import RoomSetup, grant_write, room_calendar
    from merger.db.key_value import KeyValueStore
    from merger.rooms import store as stored

    known, engine = settings(), database()
    google = _account(known).google()
    told = next((one for one in stored.list_rooms(engine) if one["name"] == options.room), None)
    if told is None:
        names = [one["name"] for one in stored.list_rooms(engine)]
        raise Refused(
            "room", f"there is no room {options.room!r}{did_you_mean(options.room, names)}"
        )
    before = RoomSetup(told["drive_folder"] or "", told["calendar_id"] or "")
    folders = Folders(google, KeyValueStore(engine))
    if not before.folder:
        folders.require(known.drive_folder, "name another one in MERGER_DRIVE_FOLDER")
    made = RoomSetup(
        before.folder or folders.below(known.drive_folder, told["name"]),
        before.calendar or room_calendar(google, told["name"], told["zone"]),
    )
    if made != before:
        stored.edit_room(
            engine, told["id"],
            lambda spec: replace(spec, drive_folder=made.folder, calendar_id=made.calendar),
            context.create_service(known, engine).recorder_of,
        )  # fmt: skip
    for email in options.share:
        grant_write(google, made, email)
    document = {"room": told["name"], "drive_folder": made.folder, "calendar_id": made.calendar}
    text = f"room {told['name']!r}: folder {made.folder}, calendar {made.calendar}"
    return document, text


def courses(options: argparse.Namespace, _: Context) -> Printed:
    """List which course a code means, after making some codes mean what was typed."""
    from merger.rooms import course_codes as stored

    engine = database()
    wanted = {}
    for typed in options.courses:
        code, equals, course = typed.partition("=")
        if not code.strip() or not equals:
            raise Refused("courses", f"{typed!r}: write it like MATH-101=123456789012")
        wanted[code] = course.strip()
    stored.set_courses(engine, wanted)
    known = stored.list_courses(engine)
    lines = [f"{code}  {course}" for code, course in known.items()]
    return {"courses": known}, "\n".join(lines or ["no courses"])
