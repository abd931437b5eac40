"""Which rooms have lectures within some days."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Engine, func, select

from merger.db.engine import reading
from merger.errors import NotFound
from merger.timeline.clock import Span
from models import Occurrence, Room, Series, SeriesPerson


class Place(NamedTuple):
    """A room of a timetable."""

    id: int
    name: str
    zone: str


def rooms_with_lectures(
    engine: Engine,
    span: Span,
    most: int,
    *,
    only_of: int | None = None,
    after: str | None = None,
) -> tuple[list[Place], str | None]:
    """Return rooms in which lectures begin within a span, and after which name more follow, if any.

    Args:
        most: how many rooms.
        only_of: a user who sees those series alone of which they are among the people.
        after: the name after which these rooms begin.
    """
    held_in = (
        select(func.coalesce(Occurrence.room_id, Series.room_id))
        .join(Occurrence.series)
        .where(Occurrence.start_at >= span.start, Occurrence.start_at < span.end)
        .where(Series.mode != "no")
    )
    if only_of is not None:
        held_in = held_in.where(Series.people.any(SeriesPerson.user_id == only_of))
    query = select(Room.id, Room.name, Room.zone).where(Room.id.in_(held_in)).order_by(Room.name)
    if after is not None:
        query = query.where(Room.name > after)
    with reading(engine) as session:
        found = [Place(*row) for row in session.execute(query.limit(most + 1))]
    if len(found) <= most:
        return found, None
    return found[:most], found[most - 1].name


def read_room(engine: Engine, room: int) -> Place:
    """Return a room. Raises NotFound."""
    query = select(Room.id, Room.name, Room.zone).where(Room.id == room)
    with reading(engine) as session:
        row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound("room", "rooms.no_room", room=room)
    return Place(*row)
