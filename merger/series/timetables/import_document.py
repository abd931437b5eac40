"""What a timetable changes, as plain values for programs and pages. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from merger.i18n import Message, to_json
from merger.series.days_off import day_off_document
from merger.series.timetables.importing import Report
from merger.timetable.rules import WEEKDAYS, Rule, parse_rule
from merger.timetable.spec import SeriesSpec

_MINUTE = timedelta(minutes=1)

# What people see of a series that has changed: a field, and how it is written.
_FIELDS: tuple[tuple[str, Callable[[SeriesSpec], str]], ...] = (
    ("course", lambda series: series.course),
    ("title", lambda series: series.title),
    ("room", lambda series: series.room or ""),
    ("meeting", lambda series: series.meeting or ""),
    ("start", lambda series: f"{series.recurrence.starts_local:%Y-%m-%d %H:%M}"),
    ("zone", lambda series: series.recurrence.zone),
    ("minutes", lambda series: str(series.recurrence.length // _MINUTE or "")),
    ("rule", lambda series: series.recurrence.rule or ""),
    ("until", lambda series: str(series.recurrence.until_day or "")),
    ("except", lambda series: _listed(series.recurrence.exdates)),
    ("extra", lambda series: _listed(series.recurrence.rdates)),
    ("owners", lambda series: ", ".join(series.owners)),
    ("records", lambda series: series.mode),
    ("folder", lambda series: series.folder or ""),
    ("layout", lambda series: series.layout or ""),
    ("profile", lambda series: series.profile or ""),
    ("series", lambda series: series.external or ""),
)


def _listed(times: tuple[object, ...]) -> str:
    return ", ".join(str(time) for time in times)


def import_document(report: Report) -> dict[str, Any]:
    """Return a report as plain values; sentences stand beside their keys.

    `ended` are the series that end, `missing` those that the timetable no longer has, and that go
    on all the same. `others` are the timetables that have some of its lectures as well; `adopted`
    and `replaced` are series of an earlier one that become this one's, or end.
    """
    changes, timetable = report.changes, report.timetable
    gone = [series_document(series) for series in changes.ended]
    details = [tuple(differences(report.before[s.key], s)) for s in changes.changed]
    return {
        "source": timetable.source,
        "applied": report.is_applied,
        "needs_confirmation": report.needs_confirmation,
        "added": [series_document(series) for series in changes.added],
        "changed": [
            {
                **series_document(series),
                "changes": [str(change) for change in found],
                "change_messages": [to_json(change) for change in found],
            }
            for series, found in zip(changes.changed, details, strict=True)
        ],
        "ended": gone if report.ends else [],
        "missing": [] if report.ends else gone,
        "unchanged": len(changes.unchanged),
        "others": [{"source": source, "count": n} for source, n in report.others.items()],
        "adopted": [series_document(series) for series in report.adopted],
        "replaced": [series_document(series) for series in report.replaced],
        "rooms": [room.name for room in timetable.new_rooms],
        "days_off": {
            "added": [day_off_document(day) for day in report.days_off.added],
            "removed": [day_off_document(day) for day in report.days_off.removed],
        },
        "complaints": [complaint.document for complaint in timetable.complaints],
        "unknown_columns": list(timetable.unknown),
        "notes": [str(note) for note in report.notes],
        "note_messages": [to_json(note) for note in report.notes],
    }


def series_document(series: SeriesSpec) -> dict[str, Any]:
    """Return a series of a timetable as plain values; times are those of its own zone."""
    when = series.recurrence
    return {
        "key": series.key, "name": series.name, "course": series.course or None,
        "title": series.title, "room": series.room, "meeting": series.meeting, "zone": when.zone,
        "start": when.starts_local.isoformat(), "length_s": when.length // timedelta(seconds=1),
        "rule": when.rule, "until": when.until_day.isoformat() if when.until_day else None,
        "when": when_text(series), "mode": series.mode, "people": list(series.owners),
    }  # fmt: skip


def when_text(series: SeriesSpec) -> str:
    """Return when a series takes place, in the short form that a table has room for."""
    when = series.recurrence
    rule = parse_rule(when.rule) if when.rule is not None else None
    if rule is None:
        return f"{when.starts_local:%Y-%m-%d %H:%M}"
    if rule.weekdays and rule == Rule("WEEKLY", weekdays=rule.weekdays):
        days = ",".join(WEEKDAYS[day] for _, day in sorted(rule.weekdays))
        return f"{days} {when.starts_local:%H:%M}"
    return f"{when.starts_local:%Y-%m-%d %H:%M} {when.rule}"


def differences(before: SeriesSpec, after: SeriesSpec) -> Iterator[Message]:
    """Yield what has changed of a series."""
    nothing = Message("rooms.change.nothing")
    for field, text in _FIELDS:
        old, new = text(before), text(after)
        if old != new:
            yield Message(
                "timetable.import.changed", field=Message(f"timetable.field.{field}"),
                before=old or nothing, after=new or nothing,
            )  # fmt: skip
    if before.overrides != after.overrides:
        yield Message("timetable.import.changed_lectures")
