"""The notifications about a record: rows, written together with what they are about.

So nobody is notified of what did not happen, and nothing that happened is forgotten.
`merger.notifications` sends them. An identity makes each row unique: nothing is queued twice.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, or_, select
from sqlalchemy.orm import Session

from merger.config import Settings
from merger.db.engine import reading, writing
from merger.i18n import Message, document, to_json, verbatim
from merger.records.rules.server_paths import without_folders
from merger.timeline.report import warnings_of
from merger.timeline.zones import zone_named
from models import AccessRequest, Delivery, Notification, Record, RecordUser, Room, User

MAIL, WEBHOOK = "mail", "webhook"
PASSWORD_KINDS = ("password", "invited")  # of mails with which somebody sets their password
_KEPT = timedelta(days=90)
_EDITORS = ("editor", "admin")
_MOST_WARNINGS = 20
_MOST_MISSED = 20  # mails at once


def add_ready(session: Session, row: Record, now: datetime) -> None:
    """Queue the news that a version of a record is delivered."""
    mails = _mails_of(row, "ready")
    _add(session, row, "ready", f"{row.version}", mails, _facts(session, row), now)


def add_failed(session: Session, row: Record, now: datetime) -> None:
    """Queue the news that a record, or another version of it, failed."""
    of = f"{row.version} {row.attempt}"
    _add(session, row, "failed", of, _mails_of(row, "failed"), _facts(session, row), now)


def add_silent(session: Session, row: Record, message: Message, now: datetime) -> None:
    """Queue the news, for those who look after rooms, that a source is silent before a lecture."""
    editors = session.scalars(select(User).where(User.role.in_(_EDITORS)).order_by(User.id))
    mails = _recipients(row, editors, "silent")
    facts = {**_facts(session, row), "text": document(message)}
    _add(session, row, "silent", str(message), mails, facts, now)


def add_alarm(session: Session, reason: str, why: Message, now: datetime) -> None:
    """Queue mails to administrators about what is wrong with the service."""
    admins = session.scalars(select(User).where(User.role == "admin").order_by(User.id))
    for email in _mailable(None, admins, "alarm"):
        session.add(
            Notification(
                identity=_identity(MAIL, "alarm", reason, now.isoformat(), email), version=0,
                kind="alarm", channel=MAIL, recipient=email, status="pending", tries=0, due_at=now,
                created_at=now, facts={"text": document(why)},
            )
        )  # fmt: skip


def add_missed(session: Session, user: User, now: datetime) -> None:
    """Queue what somebody was not told until they confirmed: which of their videos are there."""
    wanted = (
        select(Record)
        .join(Record.users)
        .where(RecordUser.user_id == user.id, Record.status == "delivered")
        .order_by(Record.delivered_at.desc(), Record.id)
        .limit(_MOST_MISSED)
    )
    for row in session.scalars(wanted).all():
        for email in _recipients(row, [user], "ready"):
            identity = _identity(MAIL, "ready", row.id, f"{row.version}", email)
            titles = {entry.user.email: entry.title for entry in row.users}
            facts = _facts(session, row)
            facts["name"] = titles.get(email) or facts["name"]
            _add_one(session, row, identity, "ready", MAIL, email, facts, now)


def ask_to_confirm(session: Session, row: Record, user: User, now: datetime) -> None:
    """Queue the mail that asks an external user whether they want it; they get but one.

    It says nothing of the record, whose name somebody else has written.
    """
    if user.confirmation is None or user.confirmation.digest is not None:
        return
    identity = _identity(MAIL, "confirm", user.email)
    failed = session.scalars(
        select(Notification).where(
            Notification.identity == identity, Notification.status == "failed"
        )
    )
    for notification in failed.all():
        session.delete(notification)
    session.flush()
    _add_one(session, row, identity, "confirm", MAIL, user.email, {}, now)


def add_access(
    session: Session,
    access: AccessRequest,
    kind: str,
    users: Iterable[User],
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Queue mails about a request that needs leave: to whoever is asked, or to whoever has asked.

    Args:
        kind: leave, allowed, refused.
    """
    for email in _mailable(access.room, users, kind):
        identity = _identity(MAIL, "access", kind, access.id, email)
        if session.scalar(select(Notification.id).where(Notification.identity == identity)) is None:
            session.add(
                Notification(
                    identity=identity, access_id=access.id, version=1, kind=kind, channel=MAIL,
                    recipient=email, status="pending", tries=0, due_at=now, created_at=now,
                    facts=facts,
                )
            )  # fmt: skip


def _mails_of(row: Record, kind: str) -> list[str]:
    users = (entry.user for entry in row.users)
    return _recipients(row, (user for user in users if user.is_confirmed), kind)


def _recipients(row: Record, users: Iterable[User], kind: str) -> list[str]:
    """Return to whom of some people mails of a kind about a record go."""
    return _mailable(row.room, users, kind)


def _mailable(room: Room | None, users: Iterable[User], kind: str) -> list[str]:
    if room is not None and not room.mails:
        return []
    return [user.email for user in users if user.wants(kind) and _leads_somewhere(user.email)]


def _leads_somewhere(email: str) -> bool:
    """Return whether mails can get to an address; to that of the first account they cannot."""
    return not email.endswith("@localhost")


def add_password_link(engine: Engine, email: str, kind: str, now: datetime) -> None:
    """Queue a mail with a link with which somebody sets their password.

    Whether they get one is decided when it is sent: to ask for it is the same work for anybody's
    address, known or not.

    Args:
        kind: `password`, which whoever knows the address may ask for; `invited` of administrators.
    """
    row = Notification(
        identity=_identity(MAIL, kind, secrets.token_hex()), record_id=None, version=0, kind=kind,
        channel=MAIL, recipient=email, status="pending", tries=0, due_at=now, created_at=now,
        facts={},
    )  # fmt: skip
    writing(engine, lambda session: session.add(row))


def _add(
    session: Session,
    row: Record,
    kind: str,
    of: str,
    mails: Iterable[str],
    facts: dict[str, Any],
    now: datetime,
) -> None:
    titles = {entry.user.email: entry.title for entry in row.users}
    for channel, recipient in ((WEBHOOK, ""), *((MAIL, email) for email in mails)):
        identity = _identity(channel, kind, row.id, of, recipient)
        theirs = {**facts, "name": titles.get(recipient) or facts["name"]}
        if kind == "ready":
            theirs["changes"] = _changes(session, row, channel, recipient, theirs)
        _add_one(session, row, identity, kind, channel, recipient, theirs, now)


def _add_one(
    session: Session,
    row: Record,
    identity: str,
    kind: str,
    channel: str,
    recipient: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    if session.scalar(select(Notification.id).where(Notification.identity == identity)) is None:
        session.add(
            Notification(
                identity=identity, record_id=row.id, version=row.version, kind=kind,
                channel=channel, recipient=recipient, status="pending", tries=0, due_at=now,
                created_at=now, facts=facts,
            )
        )  # fmt: skip


def _identity(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def _changes(
    session: Session, row: Record, channel: str, recipient: str, facts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what is new for somebody, as messages: since they heard of the version before."""
    wanted = select(Notification.facts).where(
        Notification.record_id == row.id,
        Notification.kind == "ready",
        Notification.channel == channel,
        Notification.recipient == recipient,
        Notification.version < row.version,
    )
    before = session.scalar(wanted.order_by(Notification.version.desc()).limit(1))
    return [to_json(change) for change in what_changed(before, facts)] if before else []


def what_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Message]:
    """Return what is different between two versions of a record. Pure.

    Args:
        before: the facts of what somebody was told first; old ones know of no layout.
        now: those of what they are told next.
    """
    changes = []
    start, end = _span(now)
    if (start, end) != (was := _span(before)):
        length, length_before = end - start, was[1] - was[0]
        how = "shorter" if length < length_before else "longer"
        zone = zone_named(now["zone"])
        clocks = tuple(f"{at.astimezone(zone):%H:%M:%S}" for at in (start, end))
        key = "moved" if length == length_before else how
        changes.append(Message(f"mail.changed.{key}", start=clocks[0], end=clocks[1]))
    for what in ("layout", "profile"):
        if what in before and before[what] != now[what]:
            word = Message(f"{what}.{now[what]}")
            changes.append(Message(f"mail.changed.{what}", name=word))
    if before["name"] != now["name"]:
        changes.append(Message("mail.changed.name", name=now["name"]))
    return changes


def _span(facts: Mapping[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(facts["start"]), datetime.fromisoformat(facts["end"])


def forget_user(session: Session, row: Record, email: str) -> None:
    """Have somebody who is no user of a record any more not hear of it."""
    session.execute(
        delete(Notification).where(
            Notification.record_id == row.id,
            Notification.recipient == email,
            Notification.kind.in_(("ready", "failed")),
            Notification.status == "pending",
        )
    )


def _facts(session: Session, row: Record) -> dict[str, Any]:
    """Return what a notification holds of a record, as it is now."""
    deliveries = session.scalars(
        select(Delivery).where(Delivery.record_id == row.id).order_by(Delivery.id)
    )
    report = json.loads(row.report) if row.report else {}
    warnings = warnings_of(report)[:_MOST_WARNINGS]
    return {
        "record": row.id, "version": row.version, "name": row.event_name,
        "room": row.room.name if row.room else None, "zone": row.zone,
        "start": row.start_at.isoformat(), "end": row.end_at.isoformat(),
        "course_code": row.course_code, "description": row.description,
        "layout": row.layout, "profile": row.profile,
        "links": [
            {"destination": d.destination, "kind": d.kind, "link": d.link}
            for d in deliveries
            if d.link and d.status == "delivered"
        ],
        "warnings": [str(warning) for warning in warnings],
        "warning_messages": [to_json(warning) for warning in warnings],
        "error": error_document(row),
    }  # fmt: skip


def error_document(row: Record, only_of: int | None = None) -> dict[str, Any] | None:
    """Return why a record, or its newest version, failed; None where nothing did.

    Args:
        row: of the record.
        only_of: a user who is not told where files lie on the server.
    """
    if row.error_code is None:
        return None
    message = row.error_message or verbatim("")
    if only_of is not None:
        message = without_folders(message)
    return {"code": row.error_code, **document(message, "message")}


def can_mail_links(settings: Settings) -> bool:
    """Return whether mails with links to pages can be sent. Pure."""
    return bool(settings.mail_server and settings.web_address)


def channels(settings: Settings) -> list[str]:
    """Return the channels by which messages are sent."""
    used = [MAIL] if settings.mail_server else []
    return [*used, WEBHOOK] if settings.webhook_url else used


# --- what is waiting ------------------------------------------------------------------------------


def is_any_due(engine: Engine, now: datetime, channels: Iterable[str]) -> bool:
    """Return whether a message is to be sent now by one of some channels."""
    with reading(engine) as session:
        wanted = select(Notification.id).where(
            Notification.status == "pending",
            Notification.due_at <= now,
            Notification.channel.in_(list(channels)),
        )
        return session.scalar(wanted.limit(1)) is not None


def clear_old(engine: Engine, now: datetime, channels: Iterable[str]) -> None:
    """Forget old messages, and those for channels that nobody has set up.

    Whoever sets one up later is not notified of all that happened before.
    """
    statement = delete(Notification).where(
        or_(
            Notification.created_at < now - _KEPT,
            (Notification.status == "pending") & Notification.channel.not_in(list(channels)),
        )
    )
    writing(engine, lambda session: session.execute(statement))
