"""Commands about series: lectures that repeat."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from commands.base import Context, Printed, check_utf8, database, now

if TYPE_CHECKING:
    from sqlalchemy import Engine

_STATES = {"disable": "disabled", "enable": "active", "end": "over"}


def series(options: argparse.Namespace, _: Context) -> Printed:
    """List the series, after adding one, or switching one off or on."""
    from commands.timetables.tables import series_lines
    from merger.series import documents, store

    engine = database()
    if options.action is None:
        there = documents.list_series(engine)
        return {"series": there}, series_lines(there)
    if options.action == "add":
        number = _add(engine, options)
    else:
        number, why = options.series, getattr(options, "why", "")
        store.set_state(engine, number, _STATES[options.action], why, now(), None)
    there = [documents.read_series(engine, number, None)]
    return {"series": there[0]}, series_lines(there)


def _add(engine: Engine, options: argparse.Namespace) -> int:
    from merger.mail_address import email_of
    from merger.records.lookup import room_zone
    from merger.series import store
    from merger.timeline.layout import layout_named
    from merger.timeline.profiles import profile_named
    from merger.timeline.zones import length_from, local_from
    from merger.timetable.cells import read_date, read_dates, read_name
    from merger.timetable.recurrence import Recurrence
    from merger.timetable.spec import SeriesSpec

    check_utf8(options, "room", "course", "title")
    return store.add_series(
        engine,
        SeriesSpec(
            key="",
            course=read_name(options.course),
            title=read_name(options.title),
            recurrence=Recurrence(
                zone=room_zone(engine, options.room).key,
                starts_local=local_from(options.start, "start"),
                length=length_from(options.length, "length"),
                rule=options.rule,
                until_day=read_date(options.until) if options.until else None,
                exdates=read_dates(options.exdates),
            ),
            room=options.room,
            owners=tuple(email_of(text, "user") for text in options.user),
            layout=layout_named(options.layout).name if options.layout else None,
            profile=profile_named(options.profile).name if options.profile else None,
        ),
        now(),
    )
