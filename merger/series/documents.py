"""Series and their occurrences, as they are shown: plain values, made of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload, selectinload

from merger.accounts.permissions import Principal
from merger.db.engine import reading
from merger.errors import NotFound
from merger.records.lookup import room_row
from merger.series.occurrence_records import why_off
from merger.series.rows import spec_of
from merger.timeline.clock import Span
from merger.timetable.spec import SeriesSpec
from models import Occurrence, Record, Room, Series, SeriesPerson

# What documents of occurrences hold: a week has many, and records have much that is not shown.
_FOR_DOCUMENTS = (
    joinedload(Occurrence.series)
    .load_only(
        Series.course_code, Series.mode, Series.reason, Series.room_id, Series.state,
        Series.title, Series.updated_at,
    )
    .joinedload(Series.room)
    .load_only(Room.name, Room.zone),
    joinedload(Occurrence.room).load_only(Room.name, Room.zone),
    joinedload(Occurrence.record).load_only(Record.status),
)  # fmt: skip


def list_series(
    engine: Engine, *, only_of: int | None = None, room: str | None = None
) -> list[dict[str, Any]]:
    """Return series as plain values, those that are over last.

    Args:
        only_of: a user who sees those alone of which they are among the people.
    """
    with reading(engine) as session:
        query = select(Series).options(*_WITH_ALL).order_by(Series.state == "over", Series.id)
        if only_of is not None:
            query = query.where(Series.people.any(SeriesPerson.user_id == only_of))
        if room is not None:
            query = query.where(Series.room_id == room_row(session, room).id)
        return [series_document(row) for row in session.scalars(query)]


def read_series(engine: Engine, series: int, by: Principal | None) -> dict[str, Any]:
    """Return a series as plain values. Raises NotFound, for those who do not see it as well."""
    with reading(engine) as session:
        row = session.get(Series, series, options=_WITH_ALL)
        if row is None or not sees_series(row, by):
            raise NotFound("series", "series.no_series", series=series)
        return series_document(row)


def read_spec(engine: Engine, series: int, by: Principal | None) -> SeriesSpec:
    """Return a series as `change_series` takes it. Raises NotFound."""
    with reading(engine) as session:
        row = session.get(Series, series, options=_WITH_ALL)
        if row is None or not sees_series(row, by):
            raise NotFound("series", "series.no_series", series=series)
        return spec_of(row)


_WITH_ALL = (
    joinedload(Series.room),
    selectinload(Series.people).joinedload(SeriesPerson.user),
)
_WITH_SERIES = (
    joinedload(Occurrence.series).joinedload(Series.room),
    joinedload(Occurrence.room),
    joinedload(Occurrence.record),
)


def series_document(row: Series) -> dict[str, Any]:
    """Return a series as plain values; times are those of its own zone."""
    return {
        "id": row.id, "source": row.source, "key": row.source_key, "room": row.room.name,
        "room_id": row.room_id,
        "course": row.course_code, "title": row.title, "name": spec_of(row).name, "zone": row.zone,
        "start": row.starts_local.isoformat(), "length_s": row.length_s, "rule": row.rule,
        "until": row.until_day.isoformat() if row.until_day else None, "exdates": row.exdates,
        "mode": row.mode, "meeting": row.meeting, "layout": row.layout, "profile": row.profile,
        "people": [entry.user.email for entry in row.people], "state": row.state,
        "reason": row.reason,
    }  # fmt: skip


def list_occurrences(
    engine: Engine,
    span: Span,
    *,
    only_of: int | None = None,
    rooms: Sequence[int] | None = None,
    series: int | None = None,
) -> list[dict[str, Any]]:
    """Return the occurrences that begin within a span, in order, as plain values."""
    with reading(engine) as session:
        query = (
            select(Occurrence)
            .join(Occurrence.series)
            .where(Occurrence.start_at >= span.start, Occurrence.start_at < span.end)
            .where(Series.mode != "no")
            .options(*_FOR_DOCUMENTS)
            .order_by(Occurrence.start_at, Occurrence.id)
        )
        if only_of is not None:
            query = query.where(Series.people.any(SeriesPerson.user_id == only_of))
        if rooms is not None:
            held_in = Occurrence.room_id.in_(rooms)
            query = query.where(
                held_in | (Occurrence.room_id.is_(None) & Series.room_id.in_(rooms))
            )
        if series is not None:
            query = query.where(Occurrence.series_id == series)
        return [occurrence_document(row) for row in session.scalars(query)]


def read_occurrence(engine: Engine, occurrence: int, by: Principal | None) -> dict[str, Any]:
    """Return an occurrence as plain values, and whether somebody may change it. Raises NotFound."""
    with reading(engine) as session:
        row = occurrence_row(session, occurrence, by)
        return {**occurrence_document(row), "is_yours": owns_series(row.series, by)}


def occurrence_document(row: Occurrence) -> dict[str, Any]:
    """Return an occurrence as plain values; instants in UTC."""
    room: Room = row.room or row.series.room
    off, record = why_off(row), row.record
    stamps = row.updated_at, row.series.updated_at
    return {
        "id": row.id, "series": row.series_id, "room": room.name, "room_id": room.id,
        "zone": room.zone, "name": row.name or spec_of_name(row.series),
        "course": row.series.course_code, "original": row.original_at.isoformat(),
        "start": row.start_at.isoformat(), "end": row.end_at.isoformat(),
        "is_off": off is not None, "is_skipped": row.is_off, "reason": off,
        "is_changed": row.is_changed, "stamp": max(filter(None, stamps)).isoformat(),
        "mode": row.series.mode, "record": row.record_id,
        "status": record.status if record is not None else None,
    }  # fmt: skip


def spec_of_name(row: Series) -> str:
    """Return what the recordings of a series are called."""
    return ": ".join(filter(None, (row.course_code, row.title)))


def sees_series(row: Series, by: Principal | None) -> bool:
    """Return whether somebody is among the people of a series, or sees all."""
    return by is None or by.sees_all or by.user in [entry.user_id for entry in row.people]


def occurrence_row(session: Session, occurrence: int, by: Principal | None) -> Occurrence:
    """Return the row of an occurrence to whoever may see it. Raises NotFound."""
    row = session.get(Occurrence, occurrence, options=_WITH_SERIES)
    if row is None or not sees_series(row.series, by):
        raise NotFound("occurrence", "series.no_occurrence", occurrence=occurrence)
    return row


def owns_series(row: Series, by: Principal | None) -> bool:
    """Return whether somebody may change a series, and its lectures."""
    return by is None or by.owns([entry.user.email for entry in row.people])
