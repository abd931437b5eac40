"""What a worker writes down of pictures that stood on a room's screen, and reads of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, undefer

from merger.records.processing.leases import Lease
from merger.timeline.plan import Verdict
from merger.timeline.screen.stills import Sighting, is_worth_asking
from merger.timeline.zones import zone_named
from models import Record, RecordUser, Room, Still, StillSighting

if TYPE_CHECKING:  # heavy: whoever answers questions does not pay for it
    from merger.analysis.cards import Card
    from merger.analysis.own_screens import Described

PRESENTATION = "presentation"
KEPT = timedelta(days=60)  # that nobody was asked about, since it was met last
MOST_STILLS = 600  # of a room, that nobody was asked about: some 25 kB each
_SECOND = timedelta(seconds=1)
_IS_OWNER = (RecordUser.record_id == Record.id) & (RecordUser.position == 0)
_COURSE = func.coalesce(Record.course_code, Record.event_name)


@dataclass(frozen=True)
class Seen:
    """A picture that stood in a record, and for how long."""

    described: Described
    length: timedelta
    at_start: bool
    at_end: bool


def load_own_cards(lease: Lease) -> list[Card]:
    """Return the cards of what the room of a record shows when nobody presents."""
    from merger.analysis.own_screens import own_card

    def query(session: Session) -> list[Card]:
        rows = session.scalars(
            select(Still)
            .join(Record, Record.room_id == Still.room_id)
            .where(Record.id == lease.record, Still.answer != PRESENTATION)
            .options(undefer(Still.picture), undefer(Still.differed))
            .order_by(Still.id)
        )
        cards = [
            own_card(row.id, _kind(row.answer), row.picture, row.differed, row.compared)
            for row in rows
        ]
        return [card for card in cards if card is not None]

    return lease.read(query)


def _kind(answer: str | None) -> Verdict:
    assert answer is not None
    return answer  # type: ignore[return-value]


def save_stills(
    lease: Lease, seen: Sequence[Seen], own: Mapping[int, timedelta], cards: Sequence[Card]
) -> None:
    """Write down which pictures stood in a record; those worth asking about become questions.

    Args:
        own: for how long each stood that was known, by its number.
        cards: of the room's own screens, by which the record was decided.
    """
    kinds = {int(card.name): card.kind for card in cards}

    def write(session: Session, row: Record) -> None:
        if row.room_id is None:
            return
        # Of two workers, each is to find what the other adds.
        session.execute(select(Room.id).where(Room.id == row.room_id).with_for_update())
        _settle_known(session, row, own, kinds)
        now = lease.now()
        touched = _add_sightings(session, row, seen, kinds.keys())
        session.flush()
        _ask(session, row.room_id, touched, now)
        _forget_surplus(session, row.room_id)

    lease.write(write)


def _settle_known(
    session: Session, row: Record, own: Mapping[int, timedelta], kinds: Mapping[int, str]
) -> None:
    """Write down as what the record was decided, for all stills that were seen in it."""
    before = session.scalars(select(StillSighting).where(StillSighting.record_id == row.id)).all()
    for sighting in before:
        sighting.decided = kinds.get(sighting.still_id, PRESENTATION)
    new = own.keys() - {sighting.still_id for sighting in before}
    there = session.scalars(select(Still.id).where(Still.id.in_(new)))
    session.add_all(
        StillSighting(
            still_id=number, record_id=row.id, seconds=own[number] / _SECOND, at_start=False,
            at_end=False, decided=kinds[number],
        )
        for number in there
    )  # fmt: skip


def _add_sightings(
    session: Session, row: Record, seen: Sequence[Seen], applied: Collection[int]
) -> set[int]:
    """Write down what was seen in a record; return the numbers of the stills.

    Only what stood at an edge of the record is new; in the middle, slides are.

    Args:
        applied: the numbers of those that were cards: what they have not matched is no sighting.
    """
    from merger.analysis.own_screens import roughly_alike

    known = list(
        session.scalars(select(Still).where(Still.room_id == row.room_id).order_by(Still.id))
    )
    again = {
        sighting.still_id: sighting
        for sighting in session.scalars(
            select(StillSighting).where(StillSighting.record_id == row.id)
        )
    }
    fresh: dict[int, StillSighting] = {}
    for one in seen:
        alike = roughly_alike(one.described.rough, [still.rough for still in known])
        still = _find_same(session, one, [known[n] for n in alike], again.keys() | fresh.keys())
        if still is None:
            if not (one.at_start or one.at_end):
                continue
            still = Still(
                room_id=row.room_id, rough=one.described.rough, picture=one.described.picture,
                differed=b"", compared=0, last_at=row.start_at,
            )  # fmt: skip
            session.add(still)
            session.flush()
            known.append(still)
        if still.id in applied:
            continue
        still.last_at = max(still.last_at, row.start_at)
        if still.id not in fresh:
            if (before := again.get(still.id)) is None:
                before = StillSighting(still_id=still.id, record_id=row.id, decided=PRESENTATION)
                session.add(before)
            before.seconds, before.at_start, before.at_end = 0.0, False, False
            fresh[still.id] = before
        sighting = fresh[still.id]
        sighting.seconds += one.length / _SECOND
        sighting.at_start |= one.at_start
        sighting.at_end |= one.at_end
    return set(fresh)


def _find_same(
    session: Session, one: Seen, candidates: Sequence[Still], counted: Collection[int]
) -> Still | None:
    """Return which still a picture is; what differs on it is learned once of each record."""
    from merger.analysis.own_screens import count_differences, differences_between, look_at

    looked = look_at(one.described.picture)
    for still in candidates:
        session.refresh(still, ["picture", "differed"])
        before = look_at(still.picture)
        if looked is None or before is None:
            continue
        mask = differences_between(looked, before, still.differed, still.compared)
        if mask is None:
            continue
        # Once it is a card, that stays as it was answered.
        if still.answer is None and still.id not in counted:
            still.differed = count_differences(still.differed, mask)
            still.compared += 1
        return still
    return None


def _ask(session: Session, room: int, numbers: Collection[int], now: datetime) -> None:
    """Make questions of the stills that are worth it, once each."""
    wanted = select(Still).where(Still.id.in_(numbers), Still.asked_at.is_(None))
    found = session.scalars(wanted).all()
    by_owner = _count_people(session, room, RecordUser.user_id)
    by_course = _count_people(session, room, _COURSE)
    for still in found:
        # One person may have had the recordings of all made.
        person, people = (RecordUser.user_id, by_owner) if by_owner > 1 else (_COURSE, by_course)
        if is_worth_asking(_sightings_of(session, still.id, person), people):
            still.asked_at = now


def _sightings_of(session: Session, still: int, person: Any) -> list[Sighting]:
    rows = session.execute(
        select(StillSighting, Record.start_at, Record.zone, person)
        .join(Record, Record.id == StillSighting.record_id)
        .outerjoin(RecordUser, _IS_OWNER)
        .where(StillSighting.still_id == still)
    )
    return [
        Sighting(
            start_at.astimezone(zone_named(zone)), timedelta(seconds=sighting.seconds),
            sighting.at_start, sighting.at_end, whose,
        )
        for sighting, start_at, zone, whose in rows
    ]  # fmt: skip


def _count_people(session: Session, room: int, person: Any) -> int:
    query = (
        select(func.count(person.distinct()))
        .select_from(Record)
        .outerjoin(RecordUser, _IS_OWNER)
        .where(Record.room_id == room)
    )
    return session.scalars(query).one()


def _forget_surplus(session: Session, room: int) -> None:
    """Forget what was met longest ago and on few days, where a room has too many stills."""
    unasked = (Still.room_id == room, Still.asked_at.is_(None))
    surplus = session.scalars(select(func.count()).select_from(Still).where(*unasked)).one()
    if surplus <= MOST_STILLS:
        return
    met = (
        select(func.count())
        .where(StillSighting.still_id == Still.id)
        .correlate(Still)
        .scalar_subquery()
    )
    oldest = session.scalars(
        select(Still.id)
        .where(*unasked)
        .order_by(met > 1, Still.last_at, Still.id)
        .limit(surplus - MOST_STILLS)
    ).all()
    session.execute(delete(Still).where(Still.id.in_(oldest)))


def forget_stills(session: Session, now: datetime) -> None:
    """Forget stills that were met last long ago, and that nobody was asked about."""
    session.execute(delete(Still).where(Still.asked_at.is_(None), Still.last_at < now - KEPT))
