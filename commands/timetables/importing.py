"""Commands about timetables: importing them, the lectures ahead, days off."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from commands.base import Context, Printed, check_utf8, database, load_settings, now, say
from merger.errors import Conflict, Invalid, Refused

if TYPE_CHECKING:
    from merger.config import Settings
    from merger.series.timetables.importing import Report
    from merger.series.timetables.texts import TimetableText
    from merger.service import Service


def timetable(options: argparse.Namespace, context: Context) -> Printed:
    """Import a timetable, read those of the settings, or show the lectures ahead."""
    settings = load_settings()
    service = context.create_service(settings, database(settings))
    actions = {"import": _import, "refresh": _refresh, "show": _show}
    return actions[options.action](options, service)


def _import(options: argparse.Namespace, service: Service) -> Printed:
    from merger.series.timetables.importing import earlier_of, import_timetable, preview_import

    check_utf8(options, "source", "sheet", "tabs", "adopt", "end")
    texts = _with_options(_texts(options, service), options, service.settings)
    act = preview_import if options.dry_run else import_timetable
    earlier = earlier_of(options.adopt, options.end)
    report = act(service.engine, texts, "all" if options.remove else "never", now(), earlier)
    return _printed([report])


def _texts(options: argparse.Namespace, service: Service) -> TimetableText:
    from merger.series.timetables.importing import check_source
    from merger.series.timetables.refreshing import read_sheet
    from merger.series.timetables.texts import Tab, TimetableText
    from merger.timetable.sheet import sheet_text
    from merger.timetable.table import LARGEST

    if (options.file is None) == (options.sheet is None):
        raise Refused("file", "commands.file_or_sheet")
    if options.sheet is not None:
        if options.source is not None:
            raise Refused("source", "commands.sheet_has_name")
        return read_sheet(service.sheets, options.sheet, options.tabs)
    try:
        with options.file.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        why, name = error.strerror or str(error), str(options.file)
        raise Refused("file", "commands.file_unreadable", file=name, why=why) from error
    source = check_source(options.file.stem if options.source is None else options.source)
    return TimetableText(source, (Tab(sheet_text(content)),))


def _with_options(
    texts: TimetableText, options: argparse.Namespace, settings: Settings
) -> TimetableText:
    from merger.series.timetables.refreshing import with_term
    from merger.timeline.zones import zone_named

    if options.zone:
        zone_named(options.zone)
    first, last = (_day(text) if text else None for text in (options.first, options.last))
    return with_term(replace(texts, zone=options.zone, first=first, last=last), settings)


def _day(text: str) -> date:
    from merger.timetable.cells import read_date

    return read_date(text)


def _refresh(options: argparse.Namespace, service: Service) -> Printed:
    from merger.series.timetables.refreshing import refresh_timetable
    from merger.series.timetables.source_state import configured_sources

    sources = configured_sources(service.settings)
    if not sources:
        raise Refused("timetable", "timetable.import.none_configured")
    removals = "all" if options.remove else "few"
    reports = [
        refresh_timetable(service, source, removals, now(), dry_run=options.dry_run)  # type: ignore[arg-type]
        for source in sources
    ]
    return _printed([report for report in reports if report is not None])


def _printed(reports: list[Report]) -> Printed:
    from commands.timetables.tables import import_lines
    from merger.series.timetables.import_document import import_document

    documents = [import_document(report) for report in reports]
    text = "\n".join(import_lines(document) for document in documents) or say("no_changes")
    return documents[0] if len(documents) == 1 else {"timetables": documents}, text


def _show(options: argparse.Namespace, service: Service) -> Printed:
    from commands.timetables.tables import lecture_lines, source_lines
    from merger.i18n import document as message_document
    from merger.series.documents import list_occurrences
    from merger.series.timetables.source_state import findings_of_sources
    from merger.timeline.clock import Span

    at = now()
    lectures = list_occurrences(service.engine, Span(at, at + timedelta(days=options.days)))
    sources = findings_of_sources(service.engine, service.settings)
    document = {
        "lectures": [
            {**one, "reason": one["reason"] and message_document(one["reason"])} for one in lectures
        ],
        "timetables": [
            {
                "source": source, "read": state.read_at and state.read_at.isoformat(),
                "problem": problem and message_document(problem),
            }
            for source, state, problem in sources
        ],
    }  # fmt: skip
    return document, "\n".join((*source_lines(sources), lecture_lines(lectures)))


def days_off(options: argparse.Namespace, _: Context) -> Printed:
    """List the days off, after adding or removing some."""
    from commands.timetables.tables import day_lines
    from merger.series import days_off as stored
    from merger.timetable.cells import read_date_range
    from merger.timetable.recurrence import DayOff

    engine = database()
    if options.remove is not None:
        stored.remove_day_off(engine, options.remove, now())
    if options.days is not None:
        check_utf8(options, "name", "room")
        if not (options.name or "").strip():
            raise Invalid("name", "error.missing")
        first, last = read_date_range(options.days)
        with suppress(Conflict):  # they are there already
            stored.add_day_off(engine, DayOff(first, last, options.name, options.room), now())
    there: list[dict[str, Any]] = stored.list_days_off(engine)
    return {"days_off": there}, day_lines(there)
