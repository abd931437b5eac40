"""What the commands about timetables print for people, in English. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from commands.base import say
from commands.tables import columns
from merger.i18n import Message
from merger.logs import printable
from merger.series.timetables.source_state import SourceState
from merger.timeline.zones import zone_named

_CHANGES = ("added", "changed", "ended", "missing", "adopted", "replaced")


def import_lines(document: Mapping[str, Any]) -> str:
    """Return what a timetable changes as lines: a table, then what else there is to say."""
    rows = [
        (kind, one["name"], one["room"], one["when"], "; ".join(one.get("changes", ())))
        for kind in _CHANGES
        for one in document[kind]
    ]
    lines = [columns([("CHANGE", "NAME", "ROOM", "WHEN", ""), *rows])] if rows else []
    lines += [say("timetable.new_room", room=room) for room in document["rooms"]]
    for kind, days in document["days_off"].items():
        lines += [say(f"timetable.day_off_{kind}", day=_days(day)) for day in days]
    if not lines:
        lines.append(say("no_changes"))
    lines.append(say("timetable.unchanged", count=document["unchanged"]))
    lines += [say("warning", message=complaint["text"]) for complaint in document["complaints"]]
    if document["unknown_columns"]:
        names = tuple(document["unknown_columns"])
        lines.append(say("warning", message=say("timetable.unknown_columns", names=names)))
    lines += [say("warning", message=note) for note in document["notes"]]
    if not document["applied"]:
        lines.append(say("timetable.nothing_yet"))
    return "\n".join(printable(part.rstrip()) for line in lines for part in line.split("\n"))


def source_lines(sources: Iterable[tuple[str, SourceState, Message | None]]) -> Iterator[str]:
    """Yield how the timetables of the settings are."""
    for source, state, problem in sources:
        yield printable(source_line(source, state))
        if problem is not None:
            yield printable(say("warning", message=problem))


def source_line(source: str, state: SourceState) -> str:
    """Return when a timetable of the settings was read."""
    if state.read_at is None:
        return str(Message("timetable.import.not_yet", source=source))
    at = f"{state.read_at:%Y-%m-%d %H:%M} UTC"
    return str(Message("timetable.import.is_read", source=source, at=at))


def lecture_lines(lectures: Sequence[Mapping[str, Any]]) -> str:
    """Return lectures as lines of a table, by the clocks of their rooms."""
    if not lectures:
        return say("timetable.no_lectures")
    rows = [("START", "END", "ROOM", "STATE", "NAME")]
    for one in lectures:
        zone = zone_named(one["zone"])
        start, end = (datetime.fromisoformat(one[at]).astimezone(zone) for at in ("start", "end"))
        state = f"{say('timetable.off')}: {one['reason']}" if one["is_off"] else one["status"]
        ends = f"{end:%H:%M}" if end > start else "-"
        state = state or say(f"timetable.mode.{one['mode']}")
        rows.append((f"{start:%a %Y-%m-%d %H:%M}", ends, one["room"], state, one["name"]))
    return columns(rows)


def day_lines(days: Sequence[Mapping[str, Any]]) -> str:
    """Return days off as lines of a table."""
    if not days:
        return say("timetable.no_days_off")
    rows = [("ID", "DAYS", "ROOM", "NAME")]
    rows += [(str(day["id"]), _range(day), day["room"] or "-", day["name"]) for day in days]
    return columns(rows)


def series_lines(series: Sequence[Mapping[str, Any]]) -> str:
    """Return series as lines of a table."""
    if not series:
        return say("timetable.no_series")
    rows = [("ID", "STATE", "ROOM", "FIRST", "MINUTES", "RULE", "UNTIL", "FROM", "NAME")]
    rows += [
        (
            str(one["id"]), one["state"], one["room"], one["start"][:16].replace("T", " "),
            str(one["length_s"] // 60 or "-"), one["rule"] or "-", one["until"] or "-",
            one["source"], one["name"],
        )
        for one in series
    ]  # fmt: skip
    return columns(rows)


def _days(day: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (_range(day), day["name"], day["room"])))


def _range(day: Mapping[str, Any]) -> str:
    return day["first"] if day["first"] == day["last"] else f"{day['first']}..{day['last']}"
