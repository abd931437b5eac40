"""A room whose lecture was filmed, as its tests need it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.timeline.clock import utc
from models import Record, Room, Source
from tests.conftest import START, seconds
from tests.support.site import LENGTH_S, Site

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def put(site: Site, room: str = "504", **changes: Any) -> int:
    """Write a row by hand, as nobody checks it; return its id."""
    values: dict[str, Any] = {
        "start_at": utc(START), "end_at": utc(START + seconds(LENGTH_S)), "zone": "Europe/Moscow",
        "event_name": "Lecture", "layout": "side_by_side", "profile": "tiny",
        "created_at": utc(START), "updated_at": utc(START), "run_after": utc(START), **changes,
    }  # fmt: skip

    def write(session: Session) -> int:
        row = Record(**values)
        row.room_id = session.scalar(select(Room.id).where(Room.name == room))
        session.add(row)
        session.flush()
        return row.id

    return writing(site.engine, write)


def source(site: Site, room: str, name: str = "screen", **changes: Any) -> None:
    """Change a source of a room behind everybody's back."""

    def write(session: Session) -> None:
        wanted = select(Room.id).where(Room.name == room).scalar_subquery()
        session.execute(
            update(Source).where(Source.room_id == wanted, Source.name == name).values(**changes)
        )

    writing(site.engine, write)


def in_room(roles: tuple[str, ...] = ("speaker", "screen"), **room: Any) -> Callable[[Site], int]:
    def make(site: Site) -> int:
        site.add_room("odd", roles, **room)
        return put(site, "odd")

    return make


def filmed_room(site: Site) -> Site:
    site.add_room()
    site.film("speaker")
    site.film("screen", sound=False)
    return site
