"""The records of occurrences: made, moved, renamed and called off with them.

An occurrence has a record of its own, which follows it until work on it begins, or shares one that
is there already, of its room and time: then that gets the name and the course of the series, and is
not called off with it. A record that people have removed is not made again.

A series that somebody has requested for themselves gets what they could request: where others have
requested the time of an occurrence, it does not take place, and says why.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from merger.accounts.external import Requester
from merger.accounts.permissions import Principal
from merger.errors import Forbidden
from merger.i18n import Message
from merger.records import lookup, planned, requests
from merger.records.access.links import principal_of
from merger.records.access.store import decision_on
from merger.records.planned import Plan
from merger.records.processing.queue import add_history
from merger.series.rows import REQUESTED
from merger.timeline.clock import Span
from merger.timeline.layout import DEFAULT_LAYOUT
from merger.timeline.profiles import DEFAULT_PROFILE
from models import Occurrence, Record, Room, Series

# A lecture that is over for so long is not requested any more.
_LATEST = timedelta(days=1)


def settle(session: Session, row: Occurrence, now: datetime, *, is_allowed: bool = False) -> None:
    """Have an occurrence recorded as its series says, or not any more.

    Args:
        row: in a transaction that writes; its series is locked.
        is_allowed: by an editor, whoever else has requested its time.
    """
    series = row.series
    if series.mode != "asks":
        return
    room = session.get(Room, row.room_id or series.room_id, with_for_update=True)
    if room is None:
        return
    plan = _plan(series, row, room)
    record = session.get(Record, row.record_id, with_for_update=True) if row.record_id else None
    if record is not None and not row.follows and not _is_shared(row, record, plan, now):
        record = row.record = None  # of somebody who has moved it, or called it off
        row.requested_at = None
    is_wanted = plan.why_off is None and is_worth_it(row, now)
    if is_wanted and not is_allowed and _is_new(row, record, plan):
        row.reason = why_not_theirs(session, row, room, owner_of(series), now)
        if row.reason is not None:
            row.is_off = row.is_changed = True  # until its owner finds another time
            row.updated_at = now
            plan = _plan(series, row, room)
    if record is not None:
        if row.follows:
            _follow(session, row, record, plan, now)
    elif row.requested_at is None and plan.why_off is None and is_worth_it(row, now):
        _request(session, row, plan, now)


def _is_new(row: Occurrence, record: Record | None, plan: Plan) -> bool:
    """Return whether an occurrence is to be recorded at a time at which it is not, so far."""
    if record is None:
        return row.requested_at is None
    return row.follows and (planned.is_called_off(record) or not _is_of(record, plan))


def owner_of(series: Series) -> Principal | None:
    """Return as whom a series is recorded; None for those that may have all that there is."""
    if series.source != REQUESTED or not series.people:
        return None
    return principal_of(series.people[0].user)


def why_not_theirs(
    session: Session, row: Occurrence, room: Room, who: Principal | None, now: datetime
) -> Message | None:
    """Return why somebody cannot have an occurrence recorded when it takes place, if so."""
    span = Span(row.start_at, row.end_at)
    # Whether or not others are asked about single requests: nobody could be asked every week.
    outcome = decision_on(session, room, who, span, now, "ask", without=row.record_id).outcome
    if outcome == "forbidden":
        return Message("access.room_closed", room=room.name)
    return Message("series.time_taken") if outcome == "needs_leave" else None


def is_worth_it(row: Occurrence, now: datetime) -> bool:
    """Return whether an occurrence that has no record yet is to get one."""
    return row.end_at > row.start_at and row.end_at > now - _LATEST


def is_settled(row: Occurrence, now: datetime) -> bool:
    """Return whether `settle` would find nothing to do; reads nothing but what is loaded."""
    series, record = row.series, row.record
    if series.mode != "asks":
        return True
    plan = _plan(series, row, row.room or series.room)
    if record is None:
        return row.requested_at is not None or plan.why_off is not None or not is_worth_it(row, now)
    if not row.follows:
        return _is_shared(row, record, plan, now)
    is_off = planned.is_called_off(record)
    if not (lookup.is_untouched(record) or is_off):
        return True
    if plan.why_off is not None:
        return is_off
    has_texts = (record.event_name, record.course_code) == (plan.name, plan.course_code)
    return not is_off and _is_of(record, plan) and (row.keeps_texts or has_texts)


def why_off(row: Occurrence) -> Message | None:
    """Return why an occurrence does not take place, if so."""
    series = row.series
    if row.is_off:
        return row.reason or Message("series.not_held")
    if series.state == "disabled":
        return Message("series.disabled", why=series.reason or "")
    return Message("series.over") if series.state == "over" else None


def _plan(series: Series, row: Occurrence, room: Room) -> Plan:
    name = row.name or ": ".join(filter(None, (series.course_code, series.title)))
    return Plan(
        "lecture", room, Span(row.start_at, row.end_at), name, series.course_code,
        tuple(entry.user.email for entry in series.people), why_off(row), _naming(series),
    )  # fmt: skip


def _naming(series: Series) -> Requester | None:
    """Return as whom the people of a series are named in its records."""
    if series.source != REQUESTED or not series.people:
        return None
    # They were named, and counted, when they came into the series: nobody new is named here.
    return Requester(series.people[0].user_id, most_external=0)


def _is_of(record: Record, plan: Plan) -> bool:
    """Return whether a record is of the room and the time of a plan."""
    span = plan.span
    assert span is not None
    at = (record.room_id, record.start_at, record.end_at)
    return at == (plan.room.id, span.start, span.end)


def _is_shared(row: Occurrence, record: Record, plan: Plan, now: datetime) -> bool:
    """Return whether an occurrence goes on to share a record: one of its time, or of a recording.

    People begin and end when they like: a lecture that has begun keeps the record that it has. One
    that another lecture had brought, and that was called off with it, is of no use to this one.
    """
    is_gone = planned.is_called_off(record) and record.event_link is None
    return (_is_of(record, plan) and not is_gone) or row.start_at <= now


def _follow(session: Session, row: Occurrence, record: Record, plan: Plan, now: datetime) -> None:
    other = planned.follow(
        session, record, plan, now, keeps_texts=row.keeps_texts, is_worth_it=is_worth_it(row, now)
    )
    if other is not None:
        _share(session, row, other, plan, now)


def _request(session: Session, row: Occurrence, plan: Plan, now: datetime) -> None:
    """Have an occurrence share a record that is there already, or have one made for it."""
    span = plan.span
    assert span is not None
    layout = row.series.layout or DEFAULT_LAYOUT
    profile = row.series.profile or DEFAULT_PROFILE
    owner = owner_of(row.series)
    record = lookup.find_live(session, plan.room.id, span, layout, profile)
    if record is not None and owner is None:
        _share(session, row, record, plan, now)
        return
    request = requests.Request(
        plan.room.name, span.start, span.end, name=plan.name, layout=layout, profile=profile,
        users=plan.people, course_code=plan.course_code, asked_by=owner, naming=plan.naming,
    )  # fmt: skip
    checked = requests.check_request(request, now)
    try:
        row.record_id, row.follows = requests.enter_request(session, checked, now, plan.room)
    except Forbidden as error:  # it may show meetings of others
        row.is_off, row.is_changed, row.reason = True, True, error.message
        row.updated_at = now
    else:
        row.requested_at = now


def _share(session: Session, row: Occurrence, record: Record, plan: Plan, now: datetime) -> None:
    """Have an occurrence share a record, which gets its name, its course and its people."""
    row.record_id, row.follows, row.requested_at = record.id, False, now
    if lookup.is_untouched(record):
        note = Message("history.lecture_too", name=plan.name)
        add_history(session, record.id, record.attempt, now, "note", note)
    # A record of others keeps the name by which they know it, unless a timetable says otherwise.
    gives_texts = row.series.source != REQUESTED
    _adopt(session, record, plan, now, gives_texts=gives_texts)


def adopt_record(
    session: Session,
    row: Occurrence,
    record: Record,
    now: datetime,
    *,
    gives_owner: bool,
    gives_name: bool,
) -> None:
    """Give a record the people of an occurrence, and its texts as long as work has not begun.

    Args:
        record: locked.
        gives_owner: the owner of the series becomes its owner.
        gives_name: it is called as the lecture.
    """
    plan = _plan(row.series, row, row.room or row.series.room)
    if not gives_name:
        plan = replace(plan, name=record.event_name)
    if gives_owner:
        planned.set_people(session, record, plan, now)
    _adopt(session, record, plan, now)


def _adopt(
    session: Session, record: Record, plan: Plan, now: datetime, *, gives_texts: bool = True
) -> None:
    """Give a record the people of a plan, and its texts as long as work has not begun.

    What is made already keeps its name, by which people know it. A course that somebody has asked
    for stays, too; that of an event does not.
    """
    planned.add_people(session, record, plan.people, now, plan.naming)
    if gives_texts and lookup.is_untouched(record):
        for entry in record.users:
            is_known_as = record.event_name if record.event_name != plan.name else None
            entry.title = entry.title or is_known_as
        is_events = record.event_link is not None and bool(record.event_link.follows)
        keeps_course = bool(record.course_code) and not is_events
        course = record.course_code if keeps_course else plan.course_code
        planned.set_texts(record, replace(plan, course_code=course))
        if record.event_link is not None:  # which would call it as itself when it is read next
            record.event_link.keeps_texts = True
    record.updated_at = now
