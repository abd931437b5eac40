"""Commands about Google: setting up a room there, course codes, and a check of our access."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from commands.base import Context, Printed, database, load_settings, say
from merger.errors import Invalid, NotFound, did_you_mean

if TYPE_CHECKING:
    from google_apis.account import Account
    from merger.config import Settings
    from merger.monitoring.findings import Finding


_DAYS_OF_WARNING = 3


def look_at_google(settings: Settings) -> Iterator[Finding]:
    """Look whether Google lets us in, where it is used at all."""
    from google_apis.checking import check_access, days_left
    from merger.i18n import Message
    from merger.monitoring.findings import Finding

    if settings.google_credentials is None:
        return
    account = _account(settings)
    yield Finding("google", "ok", check_access(account))
    days = days_left(account)
    if days is not None and days < _DAYS_OF_WARNING:
        yield Finding("google", "warning", Message("google.token_ends", count=days + 1))


def _account(settings: Settings) -> Account:
    from google_apis.account import Account

    return Account(settings.google_credentials, settings.google_subject, settings.google_address)


def set_up_room(options: argparse.Namespace, context: Context) -> Printed:
    """Create the folder and the calendar of a room, and store their ids."""
    from google_apis.drive.folders import Folders
    from google_apis.setup import RoomSetup, ensure_calendar, grant_write
    from merger.db.key_value import KeyValueStore
    from merger.mail_address import email_of
    from merger.rooms import store as stored

    settings, engine = load_settings(), database()
    people = [email_of(text, "share") for text in options.share]
    google = _account(settings).google()
    rooms = {room["name"]: room for room in stored.list_rooms(engine)}
    room = rooms.get(options.room)
    if room is None:
        hint = did_you_mean(options.room, list(rooms))
        raise NotFound("room", "commands.no_room", room=options.room, hint=hint)
    before = RoomSetup(room["drive_folder"] or "", room["calendar_id"] or "")
    folders = Folders(google, KeyValueStore(engine))
    if not before.folder:
        folders.require(settings.drive_folder, None)
    after = RoomSetup(
        before.folder or folders.below(settings.drive_folder, room["name"]),
        before.calendar or ensure_calendar(google, room["name"], room["zone"]),
    )
    if after != before:
        stored.edit_room(
            engine, room["id"],
            lambda spec: replace(spec, drive_folder=after.folder, calendar_id=after.calendar),
            context.create_service(settings, engine).recorder_of,
        )  # fmt: skip
    for email in people:
        grant_write(google, after, email)
    document = {"room": room["name"], "drive_folder": after.folder, "calendar_id": after.calendar}
    text = say("room_set_up", room=room["name"], folder=after.folder, calendar=after.calendar)
    return document, text


def courses(options: argparse.Namespace, _: Context) -> Printed:
    """List the course codes, after setting those that were typed."""
    from merger.rooms import course_codes as stored

    engine = database()
    changes = {}
    for typed in options.courses:
        code, equals, course = typed.partition("=")
        if not code.strip() or not equals:
            raise Invalid("courses", "commands.course_form", text=typed)
        changes[code] = course.strip()
    stored.set_courses(engine, changes)
    there = stored.list_courses(engine)
    lines = [f"{code}  {course}" for code, course in there.items()]
    return {"courses": there}, "\n".join(lines or [say("no_course_codes")])
