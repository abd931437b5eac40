"""Records that somebody looks for, a page at a time."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, false, func, not_, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from merger.accounts.room_policy import may_watch, policy_of_json
from merger.db.engine import reading
from merger.errors import Invalid, Refused
from merger.mail_address import normal_form
from merger.records.browse.slides import shows_words
from merger.records.lookup import room_row
from merger.records.views import summaries
from merger.timeline.clock import Span
from merger.timeline.zones import zone_named
from models import STATUSES, Occurrence, Offer, Record, RecordUser, Room, Series, User


@dataclass(frozen=True)
class Filter:
    """Which records are meant; None, or empty: all.

    Attributes:
        day: by the clock of the room.
        only_of: a user who sees no others, but those that they may watch.
        is_theirs: of `only_of`, only those of which they are among the people.
        reader: who looks; records have the titles by which they call them.
        upcoming_at: those that are not over, or not finished, at this time.
        finished_at: all others; those that people have are finished, also while another version
            is made.
    """

    room: str | None = None
    user: str | None = None  # a mail address
    statuses: tuple[str, ...] = ()
    course: str | None = None
    day: date | None = None
    text: str | None = None  # a part of the name
    words: str | None = None  # on one of its slides, in whatever order
    about: str | None = None  # the course, the room, or a part of the name
    meeting: str | None = None  # the digits of its number
    occurrence: int | None = None
    changed_since: datetime | None = None
    start_from: datetime | None = None
    start_before: datetime | None = None
    is_rising: bool = False  # what begins first comes first
    only_of: int | None = None
    is_theirs: bool = False
    reader: int | None = None
    upcoming_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_finished_alone(self) -> bool:
        """Return whether all records are meant that are finished, whosever they are."""
        return self == Filter(finished_at=self.finished_at, reader=self.reader) and bool(
            self.finished_at
        )


def page_of_records(
    engine: Engine, wanted: Filter, cursor: str | None = None, limit: int = 50
) -> tuple[list[dict[str, Any]], str | None]:
    """Return records, those that begin last first, and the cursor of the next page, if any.

    Of those that are upcoming, what begins first comes first; of those that are finished, what was
    ready last. Raises Refused for an unknown room, a status that there is not, or a cursor that is
    none.
    """
    for status in wanted.statuses:
        if status not in STATUSES:
            raise Invalid("status", "records.no_status", value=status, choices=STATUSES)
    with reading(engine) as session:
        query = _in_order(query_of(session, wanted), wanted, cursor)
        rows = session.scalars(query.options(*_LOADED).limit(limit + 1)).all()
        following = None
        if len(rows) > limit:
            last = rows[limit - 1]
            at = last.listed_at if wanted.finished_at is not None else last.start_at
            following = f"{at.isoformat()}~{last.id}"
        return summaries(session, rows[:limit], wanted.reader, wanted.only_of), following


def _in_order(query: Select[Record], wanted: Filter, cursor: str | None) -> Select[Record]:
    """Return a query for records in their order, from behind a cursor on. Raises Invalid."""
    is_rising = wanted.is_rising or wanted.upcoming_at is not None
    instant = Record.listed_at if wanted.finished_at is not None else Record.start_at
    if cursor is not None:
        at, record = _position(cursor)
        is_behind = operator.gt if is_rising else operator.lt
        query = query.where(
            or_(is_behind(instant, at), and_(instant == at, is_behind(Record.id, record)))
        )
    order = (instant, Record.id)
    query = query.order_by(*(order if is_rising else [column.desc() for column in order]))
    if wanted.is_finished_alone:
        # MariaDB would rather read and sort them all, for nearly all are finished.
        in_order = "FORCE INDEX (ix_records_listed_at)"
        query = query.with_hint(Record, in_order, "mysql").with_hint(Record, in_order, "mariadb")
    return query


def running_records(
    engine: Engine,
    most: int,
    only_of: int | None = None,
    rooms: Collection[int] | None = None,
    reader: int | None = None,
) -> list[dict[str, Any]]:
    """Return running and coming records, in order of their start: of each room the first few.

    Args:
        most: of each room.
        only_of: a user who sees no others.
        rooms: their ids; None for all.
        reader: who looks, as of a `Filter`.
    """
    wanted = Filter(statuses=("queued", "running"), only_of=only_of)
    in_order = (Record.start_at, Record.id)
    place = func.row_number().over(partition_by=Record.room_id, order_by=in_order)
    with reading(engine) as session:
        places = query_of(session, wanted).with_only_columns(Record.id, place.label("place"))
        if rooms is not None:
            places = places.where(Record.room_id.in_(rooms))
        ranked = places.subquery()
        query = select(Record).join(ranked, ranked.c.id == Record.id).where(ranked.c.place <= most)
        query = query.order_by(*in_order).options(*_LOADED)
        return summaries(session, session.scalars(query).all(), reader, only_of)


_LOADED = (
    joinedload(Record.room),
    selectinload(Record.users).joinedload(RecordUser.user).joinedload(User.confirmation),
)


def query_of(session: Session, wanted: Filter) -> Select[Record]:
    """Return the query for the records that are meant, in no order. Raises Invalid."""
    query = select(Record)
    if wanted.room is not None:
        query = query.where(Record.room_id == room_row(session, wanted.room).id)
    if wanted.statuses:
        query = query.where(Record.status.in_(wanted.statuses))
    if wanted.course is not None:
        query = query.where(Record.course_code == wanted.course)
    if wanted.text:
        theirs = select(RecordUser.record_id).where(
            RecordUser.user_id == wanted.reader,
            RecordUser.title.icontains(wanted.text, autoescape=True),
        )
        own = Record.event_name.icontains(wanted.text, autoescape=True)
        query = query.where(or_(own, Record.id.in_(theirs)))
    if wanted.words:
        query = query.where(shows_words(wanted.words))
    if wanted.about:
        query = query.where(_is_about(wanted.about))
    if wanted.meeting is not None:
        query = query.where(_is_of_meeting(wanted.meeting))
    if wanted.occurrence is not None:
        of_lecture = select(Occurrence.record_id).where(Occurrence.id == wanted.occurrence)
        query = query.where(Record.id.in_(of_lecture))
    if wanted.changed_since is not None:
        query = query.where(Record.updated_at >= wanted.changed_since)
    if wanted.user is not None:
        query = query.where(Record.id.in_(_of_user(User.email == normal_form(wanted.user))))
    if wanted.only_of is not None:
        visible: ColumnElement[bool] = Record.id.in_(_of_user(User.id == wanted.only_of))
        # Whose the recordings are that somebody only watches, they do not find out either.
        if not wanted.is_theirs and wanted.user is None:
            rooms = watched_rooms(session, wanted.only_of)
            visible = or_(visible, Record.room_id.in_(rooms)) if rooms else visible
        query = query.where(visible)
    if wanted.day is not None:
        query = query.where(or_(*_of_day(session, wanted.day)))
    if wanted.start_from is not None:
        query = query.where(Record.start_at >= wanted.start_from)
    if wanted.start_before is not None:
        query = query.where(Record.start_at < wanted.start_before)
    if wanted.upcoming_at is not None:
        query = query.where(_is_upcoming(wanted.upcoming_at))
    if wanted.finished_at is not None:
        query = query.where(not_(_is_upcoming(wanted.finished_at)))
    return query


def _is_about(words: str) -> ColumnElement[bool]:
    """Return the condition that words are the course or the room of a record, or in its name."""
    rooms = select(Room.id).where(Room.name == words)
    of_name = Record.event_name.icontains(words, autoescape=True)
    return or_(of_name, Record.course_code == words, Record.room_id.in_(rooms))


def _is_of_meeting(number: str) -> ColumnElement[bool]:
    """Return the condition that a record is of a meeting: recorded there, or by the timetable."""
    recorded = select(Offer.record_id).where(Offer.place == number, Offer.record_id.is_not(None))
    planned = (
        select(Occurrence.record_id)
        .join(Occurrence.series)
        .where(Series.meeting == number, Occurrence.record_id.is_not(None))
    )
    return or_(Record.id.in_(recorded), Record.id.in_(planned))


def _of_user(user: ColumnElement[bool]) -> Select[int]:
    return select(RecordUser.record_id).join(RecordUser.user).where(user)


def watched_rooms(session: Session, user: int) -> list[int]:
    """Return the rooms in which somebody may watch what others have requested."""
    email = session.scalar(select(User.email).where(User.id == user)) or ""
    rooms = session.execute(select(Room.id, Room.watchers).where(Room.watchers.is_not(None)))
    return [room for room, watchers in rooms if may_watch(policy_of_json(watchers), email)]


def watches_rooms(engine: Engine, only_of: int | None) -> bool:
    """Return whether there are rooms in which somebody may watch what others have requested."""
    with reading(engine) as session:
        return only_of is not None and bool(watched_rooms(session, only_of))


def _is_upcoming(now: datetime) -> ColumnElement[bool]:
    is_unfinished = and_(
        Record.status.in_(("queued", "running")), Record.delivered_version.is_(None)
    )
    return or_(Record.end_at > now, is_unfinished)


def _of_day(session: Session, day: date) -> Iterator[ColumnElement[bool]]:
    """Yield, for each zone that rooms have, that a record begins on a day of that zone."""
    yield false()
    for zone in session.scalars(select(Record.zone).distinct()):
        for span in days_of(day, [zone]):
            yield and_(
                Record.zone == zone, Record.start_at >= span.start, Record.start_at < span.end
            )


def days_of(day: date, zones: Iterable[str]) -> Iterator[Span]:
    """Yield a day by the clock of each zone that there is. Pure."""
    for zone in zones:
        try:
            midnights = [
                datetime.combine(day + timedelta(days=n), time(), zone_named(zone)).astimezone(UTC)
                for n in (0, 1)
            ]
        except (Refused, OverflowError):
            continue
        yield Span(*midnights)


def _position(cursor: str) -> tuple[datetime, int]:
    instant, _, record = cursor.partition("~")
    try:
        at = datetime.fromisoformat(instant)
        if at.tzinfo is None or not record.isascii() or not 0 <= int(record) < 2**63:
            raise ValueError(cursor)
        return at.astimezone(UTC), int(record)
    except (ValueError, OverflowError) as error:
        raise Invalid("cursor", "records.cursor") from error


def list_records(
    engine: Engine, *, room: str | None = None, status: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the records that were requested last, the last one last. Raises Refused."""
    wanted = Filter(room=room, statuses=(status,) if status else ())
    if status is not None and status not in STATUSES:
        raise Invalid("status", "records.no_status", value=status, choices=STATUSES)
    with reading(engine) as session:
        query = query_of(session, wanted).order_by(Record.id.desc()).limit(limit)
        return summaries(session, session.scalars(query).all()[::-1])
