"""Commands about recordings: request, list, show, cancel, retry."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from commands.base import (
    REFUSED,
    Context,
    Printed,
    check_utf8,
    database,
    load_settings,
    now,
    say,
    span_of,
)
from merger.errors import MergerError, Refused
from merger.i18n import Message
from merger.logs import printable

if TYPE_CHECKING:
    from pathlib import Path

    from merger.intake.discovered import Outcome
    from merger.service import Service


def request(options: argparse.Namespace, context: Context) -> Printed:
    """Request a recording."""
    from merger.records import lookup, requests, views

    check_utf8(options, "room", "name")
    engine = database()
    context.zone = zone = lookup.room_zone(engine, options.room)
    context.span = span_of(options, zone)
    request = requests.Request(
        room=options.room,
        start=context.span.start,
        end=context.span.end,
        name=options.name,
        layout=options.layout,
        profile=options.profile,
        users=tuple(options.user),
        course_code=options.course,
        idempotency_key=options.key,
    )
    record, is_new = requests.request_record(engine, request, now())
    document = {**views.record_details(engine, record), "is_new": is_new}
    return document, say("recording" if is_new else "recording_requested", record=record)


def fetch_zoom(options: argparse.Namespace, context: Context) -> Printed:
    """Request a meeting that was recorded by Zoom, however short it is."""
    from merger.records import views

    if (options.recording is None) is (options.file is None):
        raise Refused("arguments", "commands.fetch_what")
    check_utf8(options, "recording", "course")
    engine = database()
    service = context.create_service(load_settings(), engine)
    if options.file is not None:
        return _fetch_listed(options, context, service)
    outcome = _fetch(service, options.recording, options.course, options.user)
    document = {
        **views.record_details(engine, outcome.record or 0), "is_new": outcome.is_new,
    }  # fmt: skip
    key = "recording" if outcome.is_new else "recording_exists"
    return document, say(key, record=outcome.record or 0)


def _fetch(service: Service, link: str, course: str | None, users: Sequence[str]) -> Outcome:
    """Return what became of a recording. Raises Refused where there is no record of it."""
    from merger.intake.discovered import ensure_record

    recording = service.offering["zoom"].find_recording(link, now())
    outcome = ensure_record(service, recording, users, is_explicit=True, course_code=course)
    if outcome.record is None:
        raise Refused("zoom", "commands.no_recording", why=outcome.reason or Message("nothing"))
    return outcome


def _fetch_listed(options: argparse.Namespace, context: Context, service: Service) -> Printed:
    """Request all recordings that a file lists; one that is wrong stops none."""
    from merger.intake.links_file import parse_lines

    found: list[dict[str, Any]] = []
    text = []
    for line in parse_lines(_read(options.file)):
        try:
            outcome = _fetch(service, line.link, line.course or options.course, options.user)
        except MergerError as error:
            found.append({"line": line.number, "record": None, "error": str(error)})
            text.append(say("line_failed", line=line.number, why=error.message))
            context.exit = REFUSED
            continue
        found.append({"line": line.number, "record": outcome.record, "is_new": outcome.is_new})
        key = "recording" if outcome.is_new else "recording_exists"
        text.append(say(key, record=outcome.record or 0))
    return {"recordings": found}, "\n".join(map(printable, text))


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Refused("from", "commands.file_unreadable", file=str(file), why=why) from error


def listing(options: argparse.Namespace, _: Context) -> Printed:
    """List the newest recordings."""
    from commands import tables
    from merger.records.browse import lists

    records = lists.list_records(
        database(), room=options.room, status=options.status, limit=max(1, options.limit)
    )
    return {"records": records}, tables.records_table(records)


def show(options: argparse.Namespace, _: Context) -> Printed:
    """Show a recording with all its details."""
    from commands import tables
    from merger.records import views

    document = views.record_details(database(), options.record)
    return document, tables.record_page(document)


def cancel(options: argparse.Namespace, _: Context) -> Printed:
    """Cancel a recording."""
    from merger.records import actions

    status = actions.cancel(database(), options.record, now())
    key = "is_stopping" if status == "running" else "has_status"
    document = {"id": options.record, "status": status}
    return document, say(key, record=options.record, state=status)


def retry(options: argparse.Namespace, _: Context) -> Printed:
    """Queue a recording again, or all that failed."""
    from merger.records import actions

    if options.failed:
        return _retry_failed(options)
    if options.record is None:
        raise Refused("arguments", "commands.retry_what")
    actions.retry(database(), options.record, now())
    document = {"id": options.record, "status": "queued"}
    return document, say("queued_again", record=options.record)


def _retry_failed(options: argparse.Namespace) -> Printed:
    from merger.records import retrying

    since = now() - options.since if options.since is not None else None
    choice = retrying.Choice(options.code, options.room, since, options.limit)
    if options.dry_run:
        found = retrying.failed_records(database(), choice)
        document = {"records": found, "refused": [], "dry_run": True}
        return document, say("would_retry", count=len(found), records=_listed(found))
    retried = retrying.retry_failed(database(), choice, now())
    refused = [(record, str(why)) for record, why in retried.refused.items()]
    lines = [say("retried_failed", count=len(retried.records), records=_listed(retried.records))]
    lines += [say("not_retried", record=record, why=why) for record, why in refused]
    document = {
        "records": retried.records, "dry_run": False,
        "refused": [{"id": record, "message": why} for record, why in refused],
    }  # fmt: skip
    return document, "\n".join(lines)


def _listed(records: Sequence[int]) -> str:
    return ", ".join(map(str, records))
