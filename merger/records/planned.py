"""Records that follow a plan, until work on them begins: an event of a calendar, or a timetable.

The plan says when and where, what it is called, and whether it takes place at all. What moves,
renames or calls off a record here is the plan, never a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from merger.accounts.external import Requester, name_users
from merger.i18n import Message, sentences
from merger.records import lookup, requests
from merger.records.processing.queue import add_history, release
from merger.timeline.clock import LONGEST_RECORD, Span
from models import Record, RecordLeaver, RecordUser, Room, User


@dataclass(frozen=True)
class Plan:
    """What a record is to be.

    kind: of the plan, by which the history calls it. span: None where nothing can be recorded.
    people: mail addresses, the owner first. why_off: it does not take place. naming: as whom the
    people are named; None where that word is enough.
    """

    kind: Literal["event", "lecture"]
    room: Room
    span: Span | None
    name: str
    course_code: str | None
    people: tuple[str, ...] = ()
    why_off: Message | None = None
    naming: Requester | None = None


def is_called_off(row: Record) -> bool:
    """Return whether a record was cancelled by what it follows, and not by a person."""
    return row.status == "cancelled" and row.error_code == requests.EVENT_OFF


def call_off(session: Session, row: Record, why: Message, now: datetime) -> None:
    """Cancel a record that has not started, for what it follows does not take place."""
    row.error_code, row.error_message = requests.EVENT_OFF, why
    release(row, "cancelled", now)
    add_history(session, row.id, row.attempt, now, "cancelled", why)


def follow(
    session: Session,
    row: Record,
    plan: Plan,
    now: datetime,
    *,
    keeps_texts: bool,
    is_worth_it: bool,
    on_move: Callable[[], None] = lambda: None,
) -> Record | None:
    """Have a record follow its plan; return another that shows the same, where there is one.

    A record that has started stays as it is.

    Args:
        row: locked.
        keeps_texts: people have given it another name or course.
        is_worth_it: whether one that was called off is made after all, if it takes place again.
        on_move: is called before the record gets another span.
    """
    was_off = is_called_off(row)
    if not (lookup.is_untouched(row) or was_off):
        return None
    if plan.why_off is not None or plan.span is None:
        if plan.why_off is not None and not was_off:
            call_off(session, row, plan.why_off, now)
        return None
    lines: list[Message] = []
    is_moved = (row.start_at, row.end_at) != (plan.span.start, plan.span.end)
    if row.room_id != plan.room.id:
        row.room_id, row.zone = plan.room.id, plan.room.zone
        lines.append(Message(f"history.{plan.kind}_of_room"))
    if was_off or is_moved or lines:
        other = lookup.find_equal(session, row, plan.room.id, plan.span)
        if other is not None:  # one video is enough
            if not was_off:
                call_off(session, row, Message("calendar.same_time", record=other.id), now)
            return other
    if is_moved:
        on_move()
        row.start_at, row.end_at = plan.span.start, plan.span.end
        row.run_after = max(plan.span.end, now)
        lines.append(Message(f"history.{plan.kind}_moved"))
    if not keeps_texts:
        lines += set_texts(row, plan)
    if set_people(session, row, plan, now):
        lines.append(Message(f"history.{plan.kind}_of_owner"))
    if was_off and is_worth_it:
        row.error_code = row.error_message = None
        release(row, "queued", now)
        lines.append(Message(f"history.{plan.kind}_on_again"))
    if lines:
        row.updated_at = now
        add_history(session, row.id, row.attempt, now, "event", sentences(lines))
    return None


def set_texts(row: Record, plan: Plan) -> list[Message]:
    """Give a record the name and the course of its plan; return what the history says of it."""
    lines = []
    if row.event_name != plan.name:
        row.event_name = plan.name
        lines.append(Message(f"history.{plan.kind}_renamed"))
    if row.course_code != plan.course_code:
        row.course_code = plan.course_code
        lines.append(Message(f"history.{plan.kind}_of_course"))
    return lines


def why_too_long(span: Span | None) -> Message | None:
    """Return why a span is no lecture, if so. Pure."""
    if span is None:
        return Message("calendar.whole_days")
    return Message("calendar.too_long") if span.length > LONGEST_RECORD else None


def set_people(session: Session, row: Record, plan: Plan, now: datetime) -> bool:
    """Make the first of the plan's people the owner, and add the others; whoever has it stays.

    Whoever has left stays away.

    Returns:
        Whether anything is different.
    """
    left = _leavers(session, row)
    owner = tuple(email for email in plan.people[:1] if email not in left)
    new = add_people(session, row, plan.people[1:], now, plan.naming)
    return _set_owner(session, row, owner, now) or bool(new)


def add_people(
    session: Session,
    row: Record,
    emails: Iterable[str],
    now: datetime,
    naming: Requester | None = None,
) -> list[str]:
    """Add the people of a plan to a record, but for those who have left it; return the new ones."""
    left = _leavers(session, row)
    staying = [email for email in emails if email not in left]
    return requests.add_users(session, row, staying, now, naming) if staying else []


def _leavers(session: Session, row: Record) -> set[str]:
    wanted = select(User.email).join(RecordLeaver, RecordLeaver.user_id == User.id)
    return set(session.scalars(wanted.where(RecordLeaver.record_id == row.id)))


def _set_owner(session: Session, row: Record, owner: tuple[str, ...], now: datetime) -> bool:
    if not owner or (row.users and row.users[0].user.email == owner[0]):
        return False
    others = [entry for entry in row.users if entry.user.email != owner[0]]
    for position, entry in enumerate(others, 1):
        entry.position = position
    mine = [entry for entry in row.users if entry.user.email == owner[0]]
    if mine:
        mine[0].position = 0
    else:
        [user] = name_users(session, owner, None, now)
        row.users.append(RecordUser(user=user, position=0))
    return True
