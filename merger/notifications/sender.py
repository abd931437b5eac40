"""Sends what is waiting in the outbox. A mail at most once, a call of the webhook at least once.

A row is `sending`, written down, before anything leaves; so after a crash nobody has to guess that
a mail may have gone. It is `unknown` then, which people can read, and is not repeated.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.errors import Broken, MergerError, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message, Param
from merger.notifications import smtp, webhook
from merger.notifications.mail import Letter, compose, spread_evenly
from merger.records.outbox import MAIL, WEBHOOK, channels
from merger.records.queue import add_history
from merger.records.retry import delay
from merger.service import Service
from models import Chunk, Notification, Record, User

log = logging.getLogger(__name__)

TOO_OLD = timedelta(days=2)
_LOST_AFTER = timedelta(minutes=10)  # sending one takes a minute at most
_AT_ONCE = 50
_LONGEST_TEXT = 500
_WORDS = {"sent": "was told", "failed": "could not be told", "unknown": "may have been told"}


@dataclass(frozen=True)
class _Post:
    """A message that is this process's to send."""

    id: int
    record: int
    identity: str
    kind: str
    channel: str
    recipient: str
    tries: int
    facts: dict[str, Any]
    created_at: datetime


def send_due(service: Service, now: datetime, asked: Callable[[], bool] = lambda: False) -> int:
    """Send what is due; return how many were sent. asked: whether somebody asked to stop."""
    engine, sent = service.engine, 0
    _find_lost(engine, now)
    for number in _due(engine, now, channels(service.settings)):
        if asked():
            break
        one = writing(engine, lambda session, n=number: _taken(session, n, service.now()))  # type: ignore[misc]
        if one is None:
            continue
        failpoint("post.taken")
        try:
            sent += _sent(service, one)
        except (smtp.Away, Broken):  # no other mail would be taken now either
            _put_off_others(engine, service.now(), one.tries)
    return sent


def _due(engine: Engine, now: datetime, by: Sequence[str]) -> list[int]:
    with reading(engine) as session:
        wanted = (
            select(Notification.id)
            .where(
                Notification.status == "pending",
                Notification.due_at <= now,
                Notification.channel.in_(by),
            )
            .order_by(Notification.due_at, Notification.id)
            .limit(_AT_ONCE)
        )
        return list(session.scalars(wanted))


def _taken(session: Session, number: int, now: datetime) -> _Post | None:
    """Take a message, unless another daemon was quicker; write down that it is being sent."""
    changed = session.execute(
        update(Notification)
        .where(
            Notification.id == number, Notification.status == "pending", Notification.due_at <= now
        )
        .values(status="sending", due_at=now, tries=Notification.tries + 1)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        return None
    row = session.get_one(Notification, number)
    return _Post(
        row.id, row.record_id, row.identity, row.kind, row.channel, row.recipient, row.tries,
        row.facts, row.created_at,
    )  # fmt: skip


def _sent(service: Service, one: _Post) -> bool:
    """Send a message and write down what became of it; return whether it was sent.

    Raises smtp.Away, or Broken, where no other mail could be sent either.
    """
    now = service.now()
    try:
        if now - one.created_at > TOO_OLD:
            return _ended(service, one, "failed", Message("notifications.too_old"))
        if one.channel == MAIL:
            _mail(service, one, now)
        else:
            _call(service, one, now)
    except smtp.Unknown as error:
        return _ended(service, one, "unknown", error.message)
    except (Temporary, Broken) as error:
        log.warning("record %s: not told to %s yet: %s", one.record, _whom(one), error.message)
        _put_off(service, one, error)
        if isinstance(error, smtp.Away | Broken):
            raise
        return False
    except MergerError as error:
        return _ended(service, one, "failed", error.message)
    except Exception:  # the one place of posting: one message never stops the others
        log.exception("record %s: a mistake in this program", one.record)
        return _ended(service, one, "unknown", Message("error.program_mistake"))
    failpoint("post.sent")
    _ended(service, one, "sent", None)
    return True


def _mail(service: Service, one: _Post, now: datetime) -> None:
    known = service.settings
    letter = Letter(
        one.identity, one.kind, one.recipient, one.facts, _language(service, one.recipient),
        known.mail_from, known.mail_redirect, known.web_address,
        _pictures(service.engine, one.record) if one.kind == "ready" else (),
    )  # fmt: skip
    server = smtp.server_of(known.mail_server, known.mail_password.reveal())
    smtp.send(server, compose(letter, now))


def _call(service: Service, one: _Post, now: datetime) -> None:
    known = service.settings
    body = webhook.body_of(one.identity, one.kind, one.facts, known.web_address)
    secret = known.webhook_secret.reveal()
    webhook.call_webhook(known.webhook_url, secret, body, one.identity, now)


def _language(service: Service, email: str) -> str:
    with reading(service.engine) as session:
        known = session.scalar(select(User.language).where(User.email == email))
    return known or service.settings.language


def _pictures(engine: Engine, record: int) -> list[bytes]:
    """Return some of what was seen on the screen."""
    with reading(engine) as session:
        wanted = select(Chunk.pictures).where(Chunk.record_id == record).order_by(Chunk.start_at)
        found = [json.loads(text) for text in session.scalars(wanted) if text]
    jpegs = []
    for picture in (one for chunk in found for one in chunk):
        try:
            jpegs.append(base64.b64decode(picture["jpeg"]))
        except (KeyError, TypeError, binascii.Error):
            continue
    return spread_evenly(jpegs)


def _whom(one: _Post) -> str:
    return one.recipient or "the webhook"


def _history_line(status: str, kind: str, recipient: str, why: Message | None) -> Message:
    """Return who was notified; a record's users do not read the addresses of editors."""
    whom: Param = recipient or Message("notifications.webhook")
    if kind == "silent" and recipient:
        whom = Message("notifications.editor")
    what = Message(f"notifications.kind.{kind}")
    if status == "sent":
        return Message("notifications.sent", whom=whom, what=what)
    return Message(f"notifications.{status}", whom=whom, what=what, why=why or "")


def _ended(service: Service, one: _Post, status: str, why: Message | None) -> bool:
    now = service.now()
    text = _history_line(status, one.kind, one.recipient, why)

    def write(session: Session) -> None:
        row = session.get(Notification, one.id, with_for_update=True)
        if row is None:
            return  # its record was deleted
        row.status, row.error_message = status, why
        row.sent_at = now if status == "sent" else None
        if session.get(Record, one.record) is not None:
            add_history(session, one.record, 0, now, "told" if status == "sent" else "untold", text)

    writing(service.engine, write)
    return status == "sent"


def _put_off(service: Service, one: _Post, error: MergerError) -> None:
    at = service.now() + delay(one.tries)
    if at - one.created_at > TOO_OLD:
        _ended(service, one, "failed", error.message)
        return

    def write(session: Session) -> None:
        row = session.get(Notification, one.id, with_for_update=True)
        if row is not None:
            row.status, row.due_at = "pending", at
            row.error_message = error.message

    writing(service.engine, write)


def _put_off_others(engine: Engine, now: datetime, tries: int) -> None:
    """Put off the mails that are due, as one for which the server was away: it is asked once."""
    statement = (
        update(Notification)
        .where(
            Notification.status == "pending",
            Notification.channel == MAIL,
            Notification.due_at <= now,
        )
        .values(due_at=now + delay(tries))
    )
    writing(engine, lambda session: session.execute(statement))


def _find_lost(engine: Engine, now: datetime) -> None:
    """Decide about messages whose sender died: a call is made again, of a mail nobody knows."""

    def write(session: Session) -> None:
        wanted = select(Notification).where(
            Notification.status == "sending", Notification.due_at < now - _LOST_AFTER
        )
        for row in session.scalars(wanted.with_for_update()):
            if row.channel == WEBHOOK:
                row.status = "pending"
                continue
            row.status = "unknown"
            row.error_message = Message("notifications.interrupted")
            text = _history_line("unknown", row.kind, row.recipient, row.error_message)
            add_history(session, row.record_id, 0, now, "untold", text)

    writing(engine, write)
