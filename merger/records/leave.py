"""Whose meetings a record may show, and who may join one that shows any.

A person who asks for a room and a span gets what the room itself films. Where a source of the room
is somebody's meeting, they get their own meetings and those that they were given; an editor, a
calendar of the room and the operator get all. What a person has asked for says so (`media.leave`);
a record without it may show all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from merger.accounts.permissions import Principal
from merger.errors import Forbidden
from merger.i18n import Message
from merger.ports.discovery import KINDS_OF_PEOPLE
from merger.ports.recorder import Leave, is_mostly_in
from merger.records.processing.queue import add_history
from merger.timeline.clock import Span
from models import Offer, Record, RecordMedia, RecordUser, Segment, Source, User

MEETING = "meeting"  # the code of what is refused here


def limited_to(media: RecordMedia | None) -> str | None:
    """Return the address of the only person whose meetings a record may show; None for all."""
    given = (media or {}).get("leave")
    return given["email"] if given else None


def new_leave(by: Principal | None) -> RecordMedia | None:
    """Return what a new record says of the leave of whoever asks for it."""
    return {"leave": {"email": by.email}} if by is not None and not by.sees_all else None


def leave_of(session: Session, media: RecordMedia) -> Leave | None:
    """Return which meetings a record may show; None for all."""
    given = media.get("leave")
    if given is None:
        return None
    span = given.get("span")
    within = Span(*map(datetime.fromisoformat, span)) if span else None
    return replace(leave_of_person(session, given["email"]), span=within)


def leave_of_person(session: Session, email: str) -> Leave:
    """Return which meetings somebody may have: their own, and those that were shared with them."""
    shared = select(RecordUser.record_id).join(RecordUser.user).where(User.email == email)
    origins = select(Offer.origin).where(
        Offer.kind.in_(KINDS_OF_PEOPLE),
        or_(func.lower(Offer.owner) == email, Offer.record_id.in_(shared)),
    )
    return Leave(email, origins=frozenset(session.scalars(origins)))


# --- joining --------------------------------------------------------------------------------------


def has_meetings(session: Session, room: int | None) -> bool:
    """Return whether a source of a room is of a kind whose recordings belong to people."""
    wanted = select(Source.id).where(Source.room_id == room, Source.kind.in_(KINDS_OF_PEOPLE))
    return session.scalar(wanted.limit(1)) is not None


def choose_joinable(
    session: Session, rows: Sequence[Record], by: Principal | None, owner: str | None
) -> Record | None:
    """Return which of the records of one room, span, layout and profile a request joins.

    Args:
        rows: in the order in which they were asked for.
        by: the person who asks; None for a calendar, a meeting that was recorded, an operator.
        owner: of what is asked for.

    Raises:
        Forbidden: others have asked for it, and what it shows may be theirs.
    """
    for row in rows:
        if not may_show_meetings(session, row):
            return row
    if by is None:
        # A meeting, or an event, is not to be lost in a record of somebody who may not have it.
        return next((row for row in rows if limited_to(row.media) in (None, owner)), None)
    if by.sees_all:
        return next(iter(rows), None)
    theirs = [row for row in rows if is_user(row, by)]
    if rows and not theirs:
        raise Forbidden(MEETING, "records.join_with_leave")
    return next(iter(theirs), None)


def may_show_meetings(session: Session, row: Record) -> bool:
    """Return whether a record shows somebody's meeting, or may come to do so."""
    if has_meetings(session, row.room_id):
        return True
    # Its room had such a source once.
    return session.scalar(select(Offer.id).where(Offer.record_id == row.id).limit(1)) is not None


def shows_the_same(session: Session, row: Record, other: Record) -> bool:
    """Return whether another record of the same span shows what a record may show."""
    if not may_show_meetings(session, other):
        return True
    owner = row.users[0].user.email if row.users else None
    return limited_to(other.media) in {limited_to(row.media), owner}


def is_user(row: Record, by: Principal) -> bool:
    """Return whether somebody is among the users of a record."""
    return by.user in [entry.user_id for entry in row.users]


def check_sharing(
    session: Session, row: Record, by: Principal | None, emails: Iterable[str]
) -> None:
    """Raise Forbidden where somebody would share a record with meetings that is not their own."""
    if by is None or by.owns([entry.user.email for entry in row.users]):
        return
    present = {entry.user.email for entry in row.users}
    if not present.issuperset(emails) and may_show_meetings(session, row):
        raise Forbidden(MEETING, "records.share_with_leave", record=row.id)


# --- other spans ----------------------------------------------------------------------------------


def limit_to_before(session: Session, row: Record, by: Principal | None, before: Span) -> None:
    """Have a record that somebody made longer show no more of others' meetings than it did.

    Args:
        before: the span that it had.
    """
    is_longer = row.start_at < before.start or row.end_at > before.end
    if by is None or by.sees_all or not is_longer or limited_to(row.media) == by.email:
        return
    span = [before.start.isoformat(), before.end.isoformat()]
    media: RecordMedia = {**(row.media or {}), "leave": {"email": by.email, "span": span}}
    if "items" in media and may_show_meetings(session, row):
        # What was collected is used again even if it is gone where it came from: also a whole piece
        # of which a minute was shown.
        media["items"] = {
            name: files if _is_rooms(session, row, name) else _covered(session, before, files)
            for name, files in media["items"].items()
        }
    row.media = media


def _is_rooms(session: Session, row: Record, name: str) -> bool:
    """Return whether a source that media was collected from is the room's own."""
    wanted = select(Source.kind).where(
        Source.room_id == row.room_id, Source.name == name.partition("/")[0]
    )
    kind = session.scalar(wanted)
    return kind is not None and kind not in KINDS_OF_PEOPLE


def _covered(session: Session, before: Span, files: list[list[str]]) -> list[list[str]]:
    """Return those of some collected files that a record of a span was made of."""
    wanted = select(Segment.origin, Segment.start_at, Segment.end_at).where(
        Segment.origin.in_([origin for origin, *_ in files])
    )
    spans = {origin: Span(start, end) for origin, start, end in session.execute(wanted) if end}
    return [f for f in files if (span := spans.get(f[0])) and is_mostly_in(span, before)]


def give_leave(session: Session, row: Record, by: Principal | None, now: datetime) -> None:
    """Have a record show all meetings of its span, where it is an editor who has it made again."""
    if by is None or not by.sees_all or limited_to(row.media) is None:
        return
    media: RecordMedia = {**(row.media or {})}
    del media["leave"]
    row.media = media
    message = Message("history.meetings_allowed", email=by.email)
    add_history(session, row.id, row.attempt, now, "allowed", message)
