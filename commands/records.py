"""Commands about records: asking for them, looking at them, stopping them, trying again."""

from __future__ import annotations

import argparse

from commands.base import Context, Printed, asked_span, check_utf8, database, now, settings
from merger.errors import Refused


def request(options: argparse.Namespace, context: Context) -> Printed:
    """Ask for a record."""
    from merger.records import requests, views

    check_utf8(options, "room", "name")
    engine = database()
    context.zone = zone = requests.room_zone(engine, options.room)
    context.span = asked_span(options, zone)
    wanted = requests.Request(
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
    record, is_new = requests.request_record(engine, wanted, now())
    document = {**views.record_details(engine, record), "is_new": is_new}
    return document, f"record {record}" + ("" if is_new else " (asked for before)")


def fetch_zoom(options: argparse.Namespace, context: Context) -> Printed:
    """Ask for the video of a meeting that Zoom has recorded, however short it is."""
    from merger.intake import discovered
    from merger.records import views

    check_utf8(options, "recording")
    engine = database()
    service = context.create_service(settings(), engine)
    offer = service.offering["zoom"].find_recording(options.recording, now())
    outcome = discovered.ensure_record(service, offer, options.user, is_asked=True)
    if outcome.record is None:
        raise Refused("zoom", f"there is no record of it: {outcome.reason}")
    document = {
        **views.record_details(engine, outcome.record), "is_new": outcome.is_new,
    }  # fmt: skip
    told = "" if outcome.is_new else " (it was there before)"
    return document, f"record {outcome.record}{told}"


def listing(options: argparse.Namespace, _: Context) -> Printed:
    """List the newest records."""
    from commands import tables
    from merger.records import views

    found = views.list_records(
        database(), room=options.room, status=options.status, limit=max(1, options.limit)
    )
    return {"records": found}, tables.records_table(found)


def show(options: argparse.Namespace, _: Context) -> Printed:
    """Show all that is known of a record."""
    from commands import tables
    from merger.records import views

    document = views.record_details(database(), options.record)
    return document, tables.record_page(document)


def cancel(options: argparse.Namespace, _: Context) -> Printed:
    """Stop a record."""
    from merger.records import requests

    status = requests.cancel(database(), options.record, now())
    told = "is being stopped" if status == "running" else f"is {status}"
    return {"id": options.record, "status": status}, f"record {options.record} {told}"


def retry(options: argparse.Namespace, _: Context) -> Printed:
    """Queue a record again."""
    from merger.records import requests

    requests.retry(database(), options.record, now())
    return {"id": options.record, "status": "queued"}, f"record {options.record} is queued again"
