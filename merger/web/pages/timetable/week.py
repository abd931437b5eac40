"""The page of a week: the lectures of each room, day by day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import render_template, request

from merger.series import documents
from merger.series.week import Place, read_room, rooms_with_lectures
from merger.timeline.clock import Span, is_plausible
from merger.timeline.zones import zone_named
from merger.web.auth import require_principal, service
from merger.web.pages.base import Answer, blueprint
from merger.web.pages.timetable.feeds import address_of_room
from merger.web.pages.timetable.words import with_state

PAGE = 50  # rooms
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
_FARTHEST_ZONE = timedelta(hours=14)  # from UTC


@dataclass(frozen=True)
class RoomWeek:
    """The week of a room. days: each with its lectures."""

    room: Place
    days: list[tuple[datetime, list[dict[str, Any]]]]


@blueprint.get("/timetable")
def week_page() -> Answer:
    """Show a week: of one's own lectures; to editors, of all."""
    who, here = require_principal("read"), service()
    chosen = request.args.get("room", type=int)
    room = read_room(here.engine, chosen) if chosen is not None else None
    # A room's week is that of its clock; several rooms have one week all the same.
    zone = room.zone if room else who.zone or here.settings.timetable_zone or "UTC"
    today = here.now().astimezone(zone_named(zone)).date()
    monday = _monday(request.args.get("week", ""), today)
    begin = datetime.combine(monday, time(), UTC)
    span = Span(begin - _FARTHEST_ZONE, begin + _WEEK + _FARTHEST_ZONE)
    following = None
    after = request.args.get("after") or None
    if room is not None:
        rooms = [room]
    else:
        rooms, following = rooms_with_lectures(
            here.engine, span, PAGE, only_of=who.only_of, after=after
        )
    ids = [room.id for room in rooms]
    found = (
        documents.list_occurrences(here.engine, span, only_of=who.only_of, rooms=ids) if ids else []
    )
    weeks = _weeks(rooms, [with_state(one) for one in found], monday)
    kept = {"room": chosen} if chosen is not None else {}
    return render_template(
        "timetable.html", weeks=weeks, monday=_midnight(monday), today=today,
        sunday=_midnight(monday + 6 * _DAY), chosen=rooms[0] if chosen is not None else None,
        previous=_link(monday - _WEEK, **kept), next=_link(monday + _WEEK, **kept),
        this_week=_link(None, **kept) if monday != _monday("", today) else None,
        more=_link(monday, after=following) if following else None,
        first=_link(monday) if after is not None else None, link=_link,
        feed=address_of_room(chosen) if chosen is not None and who.may("rooms") else None,
    )  # fmt: skip


def _monday(text: str, today: date) -> date:
    """Return the first day of the week of a day, as an address has it, or of today."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = today
    if not is_plausible(_midnight(day)):
        day = today
    return day - _DAY * day.weekday()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _link(monday: date | datetime | None, **more: object) -> str:
    """Return the address of a week."""
    week = {"week": f"{monday:%Y-%m-%d}"} if monday is not None else {}
    query = urlencode({**week, **more})
    return f"/timetable?{query}" if query else "/timetable"


def _weeks(rooms: list[Place], lectures: list[dict[str, Any]], monday: date) -> list[RoomWeek]:
    """Return the weeks of rooms; one whose lectures are of other days is left out. Pure."""
    by_day: dict[tuple[int, date], list[dict[str, Any]]] = defaultdict(list)
    for lecture in lectures:
        by_day[lecture["room_id"], lecture["start"].date()].append(lecture)
    days = [monday + n * _DAY for n in range(7)]
    weeks = [
        RoomWeek(room, [(_midnight(day), by_day.get((room.id, day), [])) for day in days])
        for room in rooms
    ]
    return [week for week in weeks if any(found for _, found in week.days) or len(rooms) == 1]
