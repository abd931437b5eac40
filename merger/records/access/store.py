"""Requests that wait for leave: entered, shown, allowed or refused, withdrawn, ended.

While one waits there is no record of it: nobody joins, and nothing is made. Its cameras record all
the same (`merger/live/bookings.py`), so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, exists, func, or_, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from merger.accounts.external import Requester
from merger.accounts.permissions import Principal
from merger.accounts.room_policy import may_watch, policy_of_json
from merger.db.engine import reading, writing
from merger.errors import Conflict, Forbidden, NotFound
from merger.records import lookup, outbox, requests
from merger.records.access.links import principal_of
from merger.records.access.rules import Mode, Recording, Ruling, decide, decide_by_room
from merger.timeline.clock import Span
from merger.timeline.zones import zone_named
from models import AccessAsk, AccessRequest, ApiKey, Record, RecordUser, Room, User

CODE = "access"  # of what is refused here
LASTS = timedelta(days=30)
MOST_PENDING = 20  # of one person: each sends mails to others
_EDITORS = ("editor", "admin")


# --- deciding -------------------------------------------------------------------------------------


def decision_on(
    session: Session,
    room: Room,
    who: Principal | None,
    span: Span,
    now: datetime,
    mode: Mode,
    *,
    without: int | None = None,
) -> Ruling:
    """Return what becomes of a request for a span of a room.

    Args:
        without: a record that does not count: the one that is to get another span.
    """
    policy = policy_of_json(room.requesters)
    decision = decide_by_room(policy, who, mode)
    if decision is not None:
        return decision
    recordings = [
        recording
        for row, recording in recordings_within(session, room, who, span)
        if row.id != without
    ]
    return decide(policy, who, span, now, recordings, mode)


def recordings_within(
    session: Session, room: Room, who: Principal | None, span: Span
) -> list[tuple[Record, Recording]]:
    """Return the records of a room that overlap with a span, and what they are to somebody."""
    return [(row, _recording(row, room, who)) for row in _overlapping(session, room.id, span)]


def _overlapping(session: Session, room: int, span: Span) -> Sequence[Record]:
    """Return the records of a room that overlap with a span, except those that were cancelled."""
    wanted = select(Record).where(
        Record.room_id == room,
        Record.start_at < span.end,
        Record.end_at > span.start,
        Record.status != "cancelled",
    )
    with_users = selectinload(Record.users).joinedload(RecordUser.user)
    return session.scalars(
        wanted.options(with_users.joinedload(User.confirmation)).order_by(Record.id)
    ).all()


def _recording(row: Record, room: Room, who: Principal | None) -> Recording:
    owner = row.users[0].user if row.users else None
    is_open = who is not None and (
        lookup.is_among(row, who.user) or may_watch(policy_of_json(room.watchers), who.email)
    )
    return Recording(
        Span(row.start_at, row.end_at),
        owner.email if owner is not None and owner.is_confirmed else None,
        is_open,
    )


# --- entering -------------------------------------------------------------------------------------


def enter(
    session: Session, room: Room, request: requests.Request, owners: Sequence[str], now: datetime
) -> AccessRequest:
    """Return the row of a request that needs leave, and ask those who can give it.

    The same request of the same person is the same row.

    Args:
        room: of the request, locked.
        request: as `requests.check_request` returns it.
        owners: whose leave it needs; with nobody, that of an editor.

    Raises:
        Forbidden: it was refused a short while ago.
        Conflict: too much that they have requested waits.
    """
    who = request.asked_by
    assert who is not None
    theirs = select(AccessRequest).where(AccessRequest.user_id == who.user)
    for row in session.scalars(theirs.where(is_waiting(now), _is_at(room.id, request))):
        if (row.asked["layout"], row.asked["profile"]) == (request.layout, request.profile):
            return row
    overlaps = theirs.where(
        AccessRequest.room_id == room.id,
        AccessRequest.start_at < request.end,
        AccessRequest.end_at > request.start,
        AccessRequest.state == "refused",
        AccessRequest.decided_at > now - LASTS,
    )
    if session.scalars(overlaps.limit(1)).first() is not None:
        raise Forbidden(CODE, "access.was_refused")
    waiting = select(func.count()).select_from(AccessRequest)
    count = session.scalar(waiting.where(AccessRequest.user_id == who.user, is_waiting(now)))
    if (count or 0) >= MOST_PENDING:
        raise Conflict(CODE, "access.too_many", most=MOST_PENDING)
    row = AccessRequest(
        user_id=who.user, room_id=room.id, start_at=request.start, end_at=request.end,
        asked={
            "name": request.name, "layout": request.layout, "profile": request.profile,
            "users": list(request.users), "course_code": request.course_code, "key": who.key,
        },
        state="pending", created_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    _ask(session, row, owners, now)
    return row


def is_waiting(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a request still waits for leave."""
    return (AccessRequest.state == "pending") & (AccessRequest.created_at > now - LASTS)


def _is_at(room: int, request: requests.Request) -> ColumnElement[bool]:
    return (
        (AccessRequest.room_id == room)
        & (AccessRequest.start_at == request.start)
        & (AccessRequest.end_at == request.end)
    )


def _ask(session: Session, row: AccessRequest, owners: Iterable[str], now: datetime) -> None:
    """Ask those who were not asked yet, by mail: the owners, or else the editors."""
    emails = list(owners)
    wanted = select(User).where(User.email.in_(emails) if emails else User.role.in_(_EDITORS))
    asked = {ask.user_id for ask in row.asks}
    new = [user for user in session.scalars(wanted.order_by(User.id)) if user.id not in asked]
    row.asks.extend(AccessAsk(user=user) for user in new)
    outbox.add_access(session, row, "leave", new, _facts(row), now)


# --- allowing and refusing ------------------------------------------------------------------------


def settle(engine: Engine, access: int, now: datetime, who: Principal, *, allow: bool) -> str:
    """Allow or refuse a request; return its state: it may still wait for the leave of others.

    Raises:
        NotFound: there is none that this person may allow.
        Conflict: it does not wait any more.
    """

    def write(session: Session) -> str:
        row = _row(session, access)
        room = session.get_one(Room, row.room_id, with_for_update=True)
        session.refresh(row, with_for_update=True)
        decision = _decision(session, row, room)
        is_asked = who.sees_all or who.user in [ask.user_id for ask in row.asks]
        if not _is_waiting(row, now) and is_asked:
            raise Conflict(CODE, "access.is_over")
        if not _is_waiting(row, now) or not _may_settle(row, decision, who):
            raise _not_found(access)
        if not allow:
            return _finish(session, row, "refused", who, now)
        if not who.sees_all:
            missing = _missing_leave(session, row, decision, who, now)
            if missing:
                _ask(session, row, missing, now)
                return row.state
        record, _ = requests.enter_request(session, _allowed_request(session, row, who), now)
        row.record_id = record
        return _finish(session, row, "granted", who, now)

    return writing(engine, write)


def _decision(session: Session, row: AccessRequest, room: Room) -> Ruling:
    """Return whose leave a request needs as things stand now."""
    asker, span = principal_of(row.user), Span(row.start_at, row.end_at)
    # What was not past when it was requested is not held against it now.
    return decision_on(session, room, asker, span, row.created_at, "ask")


def _may_settle(row: AccessRequest, decision: Ruling, who: Principal) -> bool:
    return who.sees_all or (who.email in decision.owners and who.user != row.user_id)


def _missing_leave(
    session: Session, row: AccessRequest, decision: Ruling, who: Principal, now: datetime
) -> list[str]:
    """Note the leave of an owner; return the addresses of those whose leave it still needs."""
    ask = next((ask for ask in row.asks if ask.user_id == who.user), None)
    if ask is None:
        ask = AccessAsk(user=session.get_one(User, who.user))
        row.asks.append(ask)
    ask.allowed_at = now
    given = {ask.user.email for ask in row.asks if ask.allowed_at is not None}
    return [owner for owner in decision.owners if owner not in given]


def _allowed_request(session: Session, row: AccessRequest, who: Principal) -> requests.Request:
    """Return a request as it is carried out once it is allowed.

    It may show what whoever has allowed it may: of meetings, their own (`merger/records/leave.py`).
    """
    asked = row.asked
    key = session.get(ApiKey, asked["key"]) if asked["key"] is not None else None
    return requests.Request(
        room=row.room.name, start=row.start_at, end=row.end_at, name=asked["name"],
        layout=asked["layout"], profile=asked["profile"], users=tuple(asked["users"]),
        course_code=asked["course_code"], asked_by=who, allowed_by=who.email,
        naming=Requester(row.user_id, key.id if key is not None else None),
    )  # fmt: skip


def _finish(session: Session, row: AccessRequest, state: str, who: Principal, now: datetime) -> str:
    row.state, row.decided_by, row.decided_at = state, who.user, now
    facts = {**_facts(row), "decider": who.email, "record": row.record_id}
    kind = "allowed" if state == "granted" else "refused"
    outbox.add_access(session, row, kind, [row.user], facts, now)
    return state


def withdraw(engine: Engine, access: int, now: datetime, who: Principal) -> None:
    """Take back a request that waits. Raises NotFound, or Conflict where it waits no more."""

    def write(session: Session) -> None:
        row = _row(session, access)
        session.refresh(row, with_for_update=True)
        if row.user_id != who.user:
            raise _not_found(access)
        if not _is_waiting(row, now):
            raise Conflict(CODE, "access.is_over")
        row.state, row.decided_at = "withdrawn", now

    writing(engine, write)


def end_old(engine: Engine, now: datetime) -> None:
    """End requests that nobody has answered for long."""
    old = AccessRequest.created_at <= now - LASTS
    statement = update(AccessRequest).where(AccessRequest.state == "pending", old)
    writing(engine, lambda session: session.execute(statement.values(state="expired")))


# --- showing --------------------------------------------------------------------------------------


def waiting_requests(engine: Engine, now: datetime, who: Principal) -> list[dict[str, Any]]:
    """Return what waits for leave: of somebody, and what they can allow; the oldest first."""
    owned = exists().where(
        RecordUser.record_id == Record.id,
        RecordUser.user_id == who.user,
        RecordUser.position == 0,
        Record.room_id == AccessRequest.room_id,
        Record.start_at < AccessRequest.end_at,
        Record.end_at > AccessRequest.start_at,
        Record.status != "cancelled",
    )
    wanted = _loaded().where(is_waiting(now)).order_by(AccessRequest.id)
    if not who.sees_all:
        wanted = wanted.where(or_(AccessRequest.user_id == who.user, owned))
    with reading(engine) as session:
        found = [_document(session, row, now, who) for row in session.scalars(wanted)]
    return [one for one in found if one["is_yours"] or one["can_decide"]]


def get_request(engine: Engine, access: int, now: datetime, who: Principal) -> dict[str, Any]:
    """Return a request for whoever has sent it, or is asked to allow it. Raises NotFound."""
    with reading(engine) as session:
        row = _row(session, access)
        document = _document(session, row, now, who)
        is_asked = who.user in [row.decided_by, *(ask.user_id for ask in row.asks)]
        if not (who.sees_all or document["is_yours"] or document["can_decide"] or is_asked):
            raise _not_found(access)
        return document


def _document(
    session: Session, row: AccessRequest, now: datetime, who: Principal
) -> dict[str, Any]:
    zone = zone_named(row.room.zone)
    decision = _decision(session, row, row.room)
    given = {ask.user.email for ask in row.asks if ask.allowed_at is not None}
    is_waiting, is_theirs = _is_waiting(row, now), row.user_id == who.user
    state = row.state if is_waiting or row.state != "pending" else "expired"
    can_decide = is_waiting and _may_settle(row, decision, who)
    start, end, created = (
        at.astimezone(zone).isoformat() for at in (row.start_at, row.end_at, row.created_at)
    )
    return {
        "id": row.id, "access": state, "room": row.room.name, "start": start, "end": end,
        "zone": row.room.zone, "name": _name(row), "layout": row.asked["layout"],
        "profile": row.asked["profile"], "user": row.user.email,
        "users": [email for email in row.asked["users"] if email != row.user.email],
        "asks": [o for o in decision.owners if o not in given] if is_waiting else [],
        "is_yours": is_theirs, "can_decide": can_decide,
        "has_allowed": is_waiting and who.email in given,
        "overlaps": _overlaps(session, row, who) if can_decide else [],
        "created_at": created,
        "decided_at": row.decided_at.astimezone(zone).isoformat() if row.decided_at else None,
        "decided_by": row.decider.email if row.decider else None,
        "record": row.record_id,
    }  # fmt: skip


def _overlaps(session: Session, row: AccessRequest, who: Principal) -> list[dict[str, Any]]:
    """Return the recordings that a request overlaps with, as far as somebody may know of them."""
    rows = _overlapping(session, row.room_id, Span(row.start_at, row.end_at))
    return [
        {"record": record.id, "name": _title(record, who)}
        for record in rows
        if lookup.is_among(record, who.only_of)
    ]


def _title(record: Record, who: Principal) -> str:
    titles = (entry.title for entry in record.users if entry.user_id == who.user)
    return next(titles, None) or record.event_name


def _is_waiting(row: AccessRequest, now: datetime) -> bool:
    return row.state == "pending" and row.created_at > now - LASTS


def _loaded() -> Select[AccessRequest]:
    return select(AccessRequest).options(
        joinedload(AccessRequest.user), joinedload(AccessRequest.room),
        selectinload(AccessRequest.asks).joinedload(AccessAsk.user),
    )  # fmt: skip


def _row(session: Session, access: int) -> AccessRequest:
    row = session.scalars(_loaded().where(AccessRequest.id == access)).one_or_none()
    if row is None:
        raise _not_found(access)
    return row


def _not_found(access: int) -> NotFound:
    return NotFound(CODE, "access.not_found", access=access)


def _name(row: AccessRequest) -> str:
    """Return what a request is called, whether or not somebody has named it."""
    return row.asked["name"] or requests.DEFAULT_NAME


def _facts(row: AccessRequest) -> dict[str, Any]:
    """Return what a mail says of a request."""
    return {
        "access": row.id, "who": row.user.email, "name": _name(row), "room": row.room.name,
        "zone": row.room.zone, "start": row.start_at.isoformat(), "end": row.end_at.isoformat(),
    }  # fmt: skip
