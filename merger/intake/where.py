"""Where is a lecture? Found by the number of its meeting, its course, room, day or name.

The answer always has the same shape: meetings and rooms, with their timetable and live state, and
what was recorded there, the newest first. What is not known is no mistake: then nothing is found.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true
from sqlalchemy.orm import Session, joinedload

from merger.accounts.permissions import Principal
from merger.db.engine import reading
from merger.errors import Invalid
from merger.i18n import Message, to_json
from merger.intake.where_answer import Found, Known, describe
from merger.records.browse import lists
from merger.rooms import store
from merger.service import Service
from models import Offer, Record, Series, SeriesPerson

LONGEST_QUESTION = 200  # characters
_LENGTHS_OF_NUMBERS = (9, 10, 11)
_BETWEEN_DIGITS = re.compile(r"[\s*-]+")
_MOST_SERIES = 20


@dataclass(frozen=True)
class Question:
    """What somebody looks for: one of these.

    Attributes:
        number: of a meeting. words: a course, a room, or a part of a name. is_odd: they are digits,
            but no number of a meeting.
    """

    number: str | None = None
    day: date | None = None
    words: str | None = None
    is_odd: bool = False


def understand(text: str) -> Question:
    """Return what a text looks for. Pure."""
    words = " ".join(text.split())
    try:
        return Question(day=date.fromisoformat(words))
    except ValueError:
        pass
    number = number_of(words)
    if number is not None:
        return Question(number=number)
    return Question(words=words, is_odd=_without_spaces(words).isdecimal())


def number_of(text: str) -> str | None:
    """Return the digits of a meeting's number, however they are set apart; or None. Pure."""
    digits = _without_spaces(text)
    is_number = digits.isascii() and digits.isdecimal() and len(digits) in _LENGTHS_OF_NUMBERS
    return digits if is_number else None


def _without_spaces(text: str) -> str:
    return _BETWEEN_DIGITS.sub("", text)


def find(
    service: Service, text: str, who: Principal | None, cursor: str | None = None, limit: int = 20
) -> dict[str, Any]:
    """Return what is known of what somebody looks for, as plain values.

    Args:
        who: people see their own alone; None sees all.
        limit: of the recordings on a page.

    Raises:
        Invalid: the cursor is none.
    """
    question = understand(text)
    with reading(service.engine) as session:
        known = _read_rooms(session, service)
        after = _position(cursor) if cursor else None
        found, following = _recordings(session, question, known, who, after, limit)
        all_series = [] if after else _series(session, question, who)
        meetings = describe(session, service, known, found, all_series, who)
    note = None if meetings or after else _why_nothing(question)
    return {
        "meetings": meetings, "next": following, "note": str(note) if note else None,
        "note_message": to_json(note) if note else None,
    }  # fmt: skip


def _why_nothing(question: Question) -> Message:
    if question.is_odd:
        return Message("where.no_number")
    return Message("where.nothing")


def _read_rooms(session: Session, service: Service) -> Known:
    """Return the rooms, and the places of the recordings that they yield."""
    rooms = store.room_rows(session)
    places: dict[int, list[str]] = {}
    for room in rooms:
        places[room.id] = [
            place
            for source in room.sources
            if (discovery := service.offering.get(source.kind)) is not None
            and (place := discovery.place_of(source.address))
        ]
    return Known({room.id: room for room in rooms}, places)


# --- recordings -----------------------------------------------------------------------------------

# When a recording began, whether it has no record yet, and its id: the order of the answer.
_Position = tuple[datetime, bool, int]


def _position(cursor: str) -> _Position:
    instant, _, rest = cursor.partition("~")
    try:
        at, number = datetime.fromisoformat(instant), int(rest[1:])
        if at.tzinfo is None or rest[:1] not in ("r", "o") or not 0 <= number < 2**63:
            raise ValueError(cursor)
        return at.astimezone(UTC), rest[0] == "o", number
    except (ValueError, OverflowError) as error:
        raise Invalid("cursor", "records.cursor") from error


def _recordings(
    session: Session,
    question: Question,
    known: Known,
    who: Principal | None,
    after: _Position | None,
    limit: int,
) -> tuple[list[Found], str | None]:
    """Return a page of records, and of recordings without one, and the cursor of the next."""
    records = _records(session, question, who, after, limit + 1)
    offers = _offers(session, question, known, who, after, limit + 1)
    found = [Found(row.start_at, record=row) for row in records]
    found += [Found(row.start_at or row.offered_at, offer=row) for row in offers]
    found.sort(key=lambda one: (one.at, one.record is not None, one.id), reverse=True)
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = f"{last.at.isoformat()}~{'o' if last.record is None else 'r'}{last.id}"
    return found[:limit], following


def _records(
    session: Session, question: Question, who: Principal | None, after: _Position | None, most: int
) -> Sequence[Record]:
    wanted = lists.Filter(
        meeting=question.number, day=question.day, about=question.words,
        only_of=who.only_of if who else None, is_theirs=True, reader=who.user if who else None,
    )  # fmt: skip
    query = lists.query_of(session, wanted).options(joinedload(Record.room))
    if after is not None:
        at, is_offer, number = after
        same = false() if is_offer else Record.id < number
        query = query.where(_is_behind(Record.start_at, at, same))
    return session.scalars(
        query.order_by(Record.start_at.desc(), Record.id.desc()).limit(most)
    ).all()


def _offers(
    session: Session,
    question: Question,
    known: Known,
    who: Principal | None,
    after: _Position | None,
    most: int,
) -> Sequence[Offer]:
    """Return recordings without a record: what was ignored, waits, or has no room."""
    at_column = func.coalesce(Offer.start_at, Offer.offered_at, type_=Offer.offered_at.type)
    query = select(Offer).where(Offer.record_id.is_(None), _is_meant(question, known))
    if who is not None and who.only_of is not None:
        query = query.where(func.lower(Offer.owner) == who.email)
    if after is not None:
        at, is_offer, number = after
        same = Offer.id < number if is_offer else true()
        query = query.where(_is_behind(at_column, at, same))
    return session.scalars(query.order_by(at_column.desc(), Offer.id.desc()).limit(most)).all()


def _is_behind(column: Any, at: datetime, same: ColumnElement[bool]) -> ColumnElement[bool]:
    return or_(operator.lt(column, at), and_(column == at, same))


def _is_meant(question: Question, known: Known) -> ColumnElement[bool]:
    if question.number is not None:
        return Offer.place == question.number
    if question.day is not None:
        spans = lists.days_of(question.day, {room.zone for room in known.rooms.values()})
        return or_(
            false(), *(and_(Offer.start_at >= s.start, Offer.start_at < s.end) for s in spans)
        )
    words = question.words or ""
    places = [
        place
        for room in known.rooms.values()
        if room.name == words
        for place in known.places[room.id]
    ]
    return or_(Offer.name.icontains(words, autoescape=True), Offer.place.in_(places))


# --- the timetable --------------------------------------------------------------------------------


def _series(session: Session, question: Question, who: Principal | None) -> Sequence[Series]:
    """Return the series that are meant, whether or not anything of them was recorded."""
    query = select(Series).where(Series.state != "over").order_by(Series.id).limit(_MOST_SERIES)
    if who is not None and who.only_of is not None:
        query = query.where(Series.people.any(SeriesPerson.user_id == who.only_of))
    if question.number is not None:
        return session.scalars(query.where(Series.meeting == question.number)).all()
    if question.words:
        words = question.words
        of_name = Series.title.icontains(words, autoescape=True)
        of_room = Series.room.has(name=words)
        return session.scalars(
            query.where(or_(Series.course_code == words, of_name, of_room))
        ).all()
    return []
