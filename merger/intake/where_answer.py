"""The answer to where a lecture is, as plain values: for each meeting all that is known of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from merger.accounts.permissions import Principal
from merger.i18n import document, to_json
from merger.intake.meetings import states_of_numbers
from merger.records import outbox
from merger.series.documents import spec_of_name
from merger.service import Service
from models import Delivery, Event, Occurrence, Offer, Record, Room, Series, SeriesPerson


@dataclass(frozen=True)
class Known:
    """The rooms by their ids, and which recordings they yield."""

    rooms: Mapping[int, Room]
    places: Mapping[int, list[str]]


@dataclass(frozen=True)
class Found:
    """A record, or a discovered recording without one. at: when it begins."""

    at: datetime
    record: Record | None = None
    offer: Offer | None = None

    @property
    def id(self) -> int:
        """Return the id of the row."""
        row = self.record or self.offer
        assert row is not None
        return row.id


@dataclass
class _Meeting:
    """What belongs together in the answer: recordings of one number, in one room."""

    number: str | None
    room: int | None
    recordings: list[dict[str, Any]] = field(default_factory=list)


def describe(
    session: Session,
    service: Service,
    known: Known,
    found: Sequence[Found],
    all_series: Sequence[Series],
    who: Principal | None,
) -> list[dict[str, Any]]:
    """Return the meetings of what was found, in its order, then those of series alone."""
    ids = [one.record.id for one in found if one.record is not None]
    offers, numbers = _offers_of(session, ids), _planned_numbers(session, ids)
    links, history = _links_of(session, service, ids), _history_of(session, ids)
    meetings: dict[tuple[str | None, int | None], _Meeting] = {}

    def meeting_of(number: str | None, room: int | None) -> _Meeting:
        return meetings.setdefault((number, room), _Meeting(number, room))

    for one in found:
        offer = one.offer or offers.get(one.id)
        if one.record is None:
            assert offer is not None
            meeting = meeting_of(offer.place, _room_at(known, offer.place))
            meeting.recordings.append(_recording(one, offer, [], []))
        else:
            number = offer.place if offer is not None else numbers.get(one.id)
            meeting = meeting_of(number, one.record.room_id)
            meeting.recordings.append(_recording(one, offer, links[one.id], history[one.id]))
    for series in all_series:
        if not any(_belongs(series, meeting) for meeting in meetings.values()):
            meeting_of(series.meeting, series.room_id)
    return _documents(session, service, known, list(meetings.values()), who)


def _room_at(known: Known, place: str) -> int | None:
    return next((room for room, places in known.places.items() if place in places), None)


def _belongs(series: Series, meeting: _Meeting) -> bool:
    """Return whether a series says when a meeting takes place, or what does in a room."""
    if series.meeting is not None and meeting.number is not None:
        return series.meeting == meeting.number
    return series.room_id == meeting.room


def _documents(
    session: Session,
    service: Service,
    known: Known,
    meetings: Sequence[_Meeting],
    who: Principal | None,
) -> list[dict[str, Any]]:
    timetable = _timetable(session, service, meetings, who)
    numbers = {meeting.number for meeting in meetings if meeting.number is not None}
    states = states_of_numbers(session, numbers, service.now()) if numbers else {}

    def live(number: str | None) -> str:
        return states[number].state if number in states else "none"

    return [
        {
            "number": meeting.number,
            "room": room.name if (room := known.rooms.get(meeting.room or 0)) else None,
            "zone": room.zone if room else None,
            "timetable": [entry for series, entry in timetable if _belongs(series, meeting)],
            "live": live(meeting.number),
            "recordings": meeting.recordings,
        }
        for meeting in meetings
    ]


def _timetable(
    session: Session, service: Service, meetings: Iterable[_Meeting], who: Principal | None
) -> list[tuple[Series, dict[str, Any]]]:
    numbers = [meeting.number for meeting in meetings if meeting.number is not None]
    rooms = [meeting.room for meeting in meetings if meeting.room is not None]
    of_these = or_(Series.meeting.in_(numbers), Series.room_id.in_(rooms))
    query = select(Series).where(of_these, Series.state != "over").order_by(Series.id)
    if who is not None and who.only_of is not None:
        query = query.where(Series.people.any(SeriesPerson.user_id == who.only_of))
    all_series = session.scalars(query).all()
    following = _next_of(session, [series.id for series in all_series], service.now())
    return [
        (
            series,
            {
                "series": series.id, "name": spec_of_name(series), "course": series.course_code,
                "start": series.starts_local.isoformat(), "zone": series.zone,
                "rule": series.rule,
                "until": series.until_day.isoformat() if series.until_day else None,
                "state": series.state,
                "next": at.isoformat() if (at := following.get(series.id)) else None,
            },
        )
        for series in all_series
    ]  # fmt: skip


def _next_of(session: Session, series: Collection[int], now: datetime) -> dict[int, datetime]:
    """Return when each series takes place next."""
    if not series:
        return {}
    first = func.min(Occurrence.start_at, type_=Occurrence.start_at.type).label("at")
    is_ahead = Occurrence.start_at > now, Occurrence.is_off.is_(False)
    rows = session.execute(
        select(Occurrence.series_id, first)
        .where(Occurrence.series_id.in_(series), *is_ahead)
        .group_by(Occurrence.series_id)
    )
    return {row.series_id: row.at for row in rows}


def _offers_of(session: Session, records: Collection[int]) -> dict[int, Offer]:
    """Return the discovered recording of each record: the first, if there are several."""
    if not records:
        return {}
    wanted = select(Offer).where(Offer.record_id.in_(records)).order_by(Offer.id.desc())
    return {row.record_id: row for row in session.scalars(wanted) if row.record_id is not None}


def _planned_numbers(session: Session, records: Collection[int]) -> dict[int, str]:
    """Return the number of the meeting of which each record is by the timetable."""
    if not records:
        return {}
    rows = session.execute(
        select(Occurrence.record_id, Series.meeting)
        .join(Occurrence.series)
        .where(Occurrence.record_id.in_(records), Series.meeting.is_not(None))
    )
    return {record: meeting for record, meeting in rows if record and meeting}


def _links_of(
    session: Session, service: Service, records: Collection[int]
) -> Mapping[int, list[dict[str, str]]]:
    found: dict[int, list[dict[str, str]]] = defaultdict(list)
    for record in records:
        page = f"{service.settings.web_address}/records/{record}"
        found[record].append({"kind": "page", "link": page})
    rows = session.execute(
        select(Delivery.record_id, Delivery.kind, Delivery.link)
        .where(Delivery.record_id.in_(records), Delivery.link.is_not(None))
        .order_by(Delivery.id)
    )
    for record, kind, link in rows:
        assert link is not None
        found[record].append({"kind": kind, "link": link})
    return found


def _history_of(session: Session, records: Collection[int]) -> Mapping[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    wanted = select(Event).where(Event.record_id.in_(records)).order_by(Event.id)
    for row in session.scalars(wanted):
        line = {"at": row.at.isoformat(), "kind": row.kind, **document(row.message)}
        found[row.record_id].append(line)
    return found


def _recording(
    one: Found,
    offer: Offer | None,
    links: list[dict[str, str]],
    history: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "origin": offer.origin if offer is not None else None,
        "start": one.at.isoformat(),
        "offer": _offer_document(offer) if offer is not None else None,
        "record": _record_document(one.record, links) if one.record is not None else None,
        "history": history,
    }


def _offer_document(row: Offer) -> dict[str, Any]:
    return {
        "id": row.id, "name": row.name, "state": row.state,
        "reason": str(row.reason) if row.reason else None,
        "reason_message": to_json(row.reason) if row.reason else None,
    }  # fmt: skip


def _record_document(row: Record, links: list[dict[str, str]]) -> dict[str, Any]:
    error = outbox.error_document(row)
    return {
        "id": row.id, "name": row.event_name, "course": row.course_code, "status": row.status,
        "stage": row.stage, "reason": error, "links": links,
    }  # fmt: skip
