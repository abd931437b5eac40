"""What people do with series and their occurrences: add, change, switch off; skip, move, rename.

Editors may do all of that. The owner of a series, who is the first of its people, may skip, move
and rename its lectures, and switch it off and on. What somebody has requested for themselves they
may change and end as well; it never takes the time of others.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from merger.accounts.external import Requester
from merger.accounts.permissions import Principal
from merger.db.engine import reading, writing
from merger.errors import Conflict, Forbidden, Invalid, NotFound
from merger.i18n import Message
from merger.names import LONGEST_NAME, clean_name
from merger.records.lookup import room_row
from merger.series import clashes
from merger.series.documents import occurrence_row, owns_series, sees_series
from merger.series.occurrence_records import settle, why_not_theirs
from merger.series.rows import PEOPLE, REQUESTED, can_be_changed, write_spec
from merger.series.unroll import bring_up_to_date
from merger.timeline.clock import LONGEST_RECORD, Span
from merger.timetable.recurrence import check_recurrence
from merger.timetable.spec import SeriesSpec
from models import Occurrence, Series

FARTHEST_MOVE = timedelta(days=14)


@dataclass(frozen=True)
class OccurrenceEdit:
    """What somebody changes of an occurrence; None leaves it. is_off: it is skipped, or is not."""

    start: datetime | None = None
    end: datetime | None = None
    room: str | None = None
    name: str | None = None
    is_off: bool | None = None


def add_series(
    engine: Engine,
    spec: SeriesSpec,
    now: datetime,
    by: Principal | None = None,
    naming: Requester | None = None,
) -> int:
    """Add a series that somebody wants, and return its id.

    Args:
        spec: with its room; its key is made here.
        by: who wants it; None for the operator.
        naming: as whom they name its people.

    Raises:
        Invalid: it cannot be.
        Forbidden: they may not request recordings of the room.
        Conflict: others have requested some of its times.
    """
    spec = replace(spec, key=secrets.token_hex(8))

    def add(session: Session) -> int:
        if by is None or by.sees_all:
            return insert_series(session, spec, PEOPLE, now)
        check_spec(spec, now)
        room = room_row(session, spec.room or "", lock=True)
        clashes.refuse(clashes.dates_of(session, spec, room, by, now), room, by)
        return insert_series(session, spec, REQUESTED, now, naming)

    return writing(engine, add)


def preview_series(
    engine: Engine,
    spec: SeriesSpec,
    now: datetime,
    by: Principal | None,
    without: int | None = None,
) -> list[clashes.Date]:
    """Return the coming lectures that a series would have, and what is in their way.

    Args:
        without: the series that is to be changed into this one.

    Raises:
        Invalid: it cannot be.
    """
    check_spec(spec, now)
    with reading(engine) as session:
        room = room_row(session, spec.room or "")
        return clashes.dates_of(session, spec, room, by, now, without)


def insert_series(
    session: Session,
    spec: SeriesSpec,
    source: str,
    now: datetime,
    naming: Requester | None = None,
) -> int:
    """Add a series within a transaction, with the occurrences of the coming weeks."""
    check_spec(spec, now)
    room = room_row(session, spec.room or "", lock=True)
    row = Series(source=source, priority=0, state="active", created_at=now)
    write_spec(session, row, spec, room, now, naming)
    session.add(row)
    session.flush()
    bring_up_to_date(session, row.id, now)
    return row.id


def change_series(
    engine: Engine,
    series: int,
    spec: SeriesSpec,
    now: datetime,
    by: Principal | None,
    naming: Requester | None = None,
) -> None:
    """Change a series: what has not begun follows.

    Raises:
        Invalid, NotFound, Forbidden
        Conflict: a timetable has it, or others have requested some of its new times.
    """

    def change(session: Session) -> None:
        row = lock_series(session, series, by)
        if not can_be_changed(row.source):
            raise Conflict("series", "series.of_timetable", timetable=row.source)
        check_spec(spec, now)
        room = room_row(session, spec.room or "", lock=True)
        if by is not None and not by.sees_all:
            if row.source != REQUESTED:
                raise Forbidden("series", "series.of_editors")
            clashes.refuse(clashes.dates_of(session, spec, room, by, now, series), room, by)
        write_spec(session, row, replace(spec, key=row.source_key), room, now, naming)
        session.flush()
        bring_up_to_date(session, series, now)

    writing(engine, change)


def set_state(
    engine: Engine, series: int, state: str, reason: str, now: datetime, by: Principal | None
) -> None:
    """Switch a series off or on, or end it for good. Raises Invalid, NotFound, Forbidden.

    Args:
        state: active, disabled, over.
        reason: why it is disabled, for people.
    """
    why = clean_name(reason)[:LONGEST_NAME]
    if state == "disabled" and not why:
        raise Invalid("reason", "series.no_reason")

    def change(session: Session) -> None:
        row = lock_series(session, series, by)
        is_limited = by is not None and not by.sees_all
        if is_limited and row.source != REQUESTED and "over" in (state, row.state):
            raise Forbidden("series", "series.of_editors")
        row.state, row.reason, row.updated_at = state, why or None, now
        row.ended_by = "people" if state == "over" else None
        session.flush()
        bring_up_to_date(session, series, now)

    writing(engine, change)


def edit_occurrence(
    engine: Engine, occurrence: int, edit: OccurrenceEdit, now: datetime, by: Principal | None
) -> None:
    """Change one lecture of a series; no rule changes it back.

    Raises:
        Invalid, NotFound, Forbidden
        Conflict: it has begun, or others have requested its new time.
    """

    def change(session: Session) -> None:
        row = occurrence_row(session, occurrence, by)
        lock_series(session, row.series_id, by)
        session.refresh(row, with_for_update=True)
        if row.start_at <= now:
            raise Conflict("occurrence", "series.has_begun")
        span = Span(row.start_at, row.end_at)
        if edit.start is not None or edit.end is not None:
            span = _moved(row, edit)
        row.start_at, row.end_at = span.start, span.end
        if edit.room is not None:
            row.room = room_row(session, edit.room, lock=True)
        if edit.name is not None:
            row.name = clean_name(edit.name)[:LONGEST_NAME] or None
        if edit.is_off is not None:
            row.is_off = edit.is_off
            row.reason = _reason(by) if edit.is_off else None
        row.is_changed, row.updated_at = True, now
        session.flush()
        if by is not None and not by.sees_all:
            _check_time(session, row, edit, by, now)
        settle(session, row, now, is_allowed=by is None or by.sees_all)

    writing(engine, change)


def _check_time(
    session: Session, row: Occurrence, edit: OccurrenceEdit, by: Principal, now: datetime
) -> None:
    """Raise Conflict where others have requested the time at which somebody wants a lecture."""
    is_asked = (edit.start, edit.end, edit.room) != (None, None, None) or edit.is_off is False
    if row.is_off or not is_asked:
        return
    why = why_not_theirs(session, row, row.room or row.series.room, by, now)
    if why is not None:
        raise Conflict("start" if edit.room is None else "room", why)


def _moved(row: Occurrence, edit: OccurrenceEdit) -> Span:
    start = edit.start or row.start_at
    end = edit.end or start + (row.end_at - row.start_at)
    if end < start or (end == start and edit.end is not None):
        raise Invalid("end", "series.no_end")
    if end - start > LONGEST_RECORD:
        raise Invalid("end", "series.too_long")
    if abs(start - row.original_at) > FARTHEST_MOVE:
        raise Invalid("start", "series.too_far_moved", days=FARTHEST_MOVE.days)
    return Span(start, end)


def _reason(by: Principal | None) -> Message:
    if by is None:
        return Message("series.skipped")
    return Message("series.skipped_by", email=by.email)


def check_spec(spec: SeriesSpec, now: datetime) -> None:
    """Raise Invalid for a series that cannot be."""
    check_recurrence(spec.recurrence, now)
    if not spec.room:
        raise Invalid("room", "series.no_room_here")
    if spec.mode == "asks" and not spec.recurrence.length:
        raise Invalid("length", "series.no_length")


def lock_series(session: Session, series: int, by: Principal | None) -> Series:
    """Return the row of a series, locked, to whoever may change it. Raises NotFound, Forbidden."""
    row = session.get(Series, series, with_for_update=True)
    if row is None or not sees_series(row, by):
        raise NotFound("series", "series.no_series", series=series)
    if not owns_series(row, by):
        raise Forbidden("not_owner", "series.not_yours", owner=row.people[0].user.email)
    return row
