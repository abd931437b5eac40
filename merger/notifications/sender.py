"""Sends what is waiting in the outbox: a mail at most once, a call of the webhook at least once.

A row becomes `sending`, in the database, before anything leaves; so after a crash nobody has to
guess whether a mail may have gone. It is `unknown` then, which people can read, and not repeated.
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

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from merger.accounts import external, password_links, users
from merger.backoff import backoff
from merger.db.connection_rules import rules_of
from merger.db.engine import reading, writing
from merger.errors import Broken, MergerError, Refused, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.notifications import smtp, webhook
from merger.notifications.mail import Letter, compose, spread_evenly
from merger.records.access import links
from merger.records.outbox import MAIL, PASSWORD_KINDS, WEBHOOK, channels
from merger.records.processing.queue import add_history
from merger.records.slides import pictures_of_slides
from merger.service import Service
from models import Chunk, Notification, Record, User

log = logging.getLogger(__name__)

TOO_OLD = timedelta(days=2)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)  # before another try
_INTERRUPTED_AFTER = timedelta(minutes=10)  # sending takes a minute at most
_BETWEEN_LINKS = timedelta(minutes=10)  # that somebody's address is asked for
_AT_ONCE = 50


@dataclass(frozen=True)
class _Claimed:
    """A notification that this process alone sends."""

    id: int
    record: int | None  # that it is about, or else a request for access, or neither
    access: int | None
    identity: str
    kind: str
    channel: str
    recipient: str
    tries: int
    facts: dict[str, Any]
    created_at: datetime

    @property
    def subject(self) -> str:
        if self.access is not None:
            return f"access request {self.access}"
        return f"notification {self.id}" if self.record is None else f"record {self.record}"


def send_due(
    service: Service, now: datetime, is_stopping: Callable[[], bool] = lambda: False
) -> int:
    """Send what is due; return how many notifications were sent."""
    engine, count = service.engine, 0
    resolve_interrupted(engine, now)
    for number in _list_due(engine, now, channels(service.settings)):
        if is_stopping():
            break
        claimed = writing(engine, lambda session, n=number: _claim(session, n, service.now()))  # type: ignore[misc]
        if claimed is None:
            continue
        failpoint("post.taken")
        try:
            count += _send(service, claimed)
        except (smtp.Away, Broken):  # no other mail would be accepted now either
            _defer_other_mails(engine, service.now(), claimed.tries)
    return count


def _list_due(engine: Engine, now: datetime, by: Sequence[str]) -> list[int]:
    with reading(engine) as session:
        due = (
            select(Notification.id)
            .where(
                Notification.status == "pending",
                Notification.due_at <= now,
                Notification.channel.in_(by),
            )
            .order_by(Notification.due_at, Notification.id)
            .limit(_AT_ONCE)
        )
        return list(session.scalars(due))


def _claim(session: Session, number: int, now: datetime) -> _Claimed | None:
    """Mark a notification as being sent, unless another daemon was quicker."""
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
    return _Claimed(
        row.id, row.record_id, row.access_id, row.identity, row.kind, row.channel, row.recipient,
        row.tries, row.facts, row.created_at,
    )  # fmt: skip


def _send(service: Service, claimed: _Claimed) -> bool:
    """Send a notification and store the outcome; return whether it was sent.

    Raises smtp.Away, or Broken, where no other mail could be sent either.
    """
    now = service.now()
    try:
        if now - claimed.created_at > TOO_OLD:
            return _finish(service, claimed, "failed", Message("notifications.too_old"))
        if claimed.kind in PASSWORD_KINDS:
            if not _send_password_link(service, claimed, now):
                return _drop(service, claimed)
        elif claimed.kind == "confirm":
            _ask_to_confirm(service, claimed, now)
        elif claimed.kind == "leave":
            _ask_for_leave(service, claimed, now)
        elif claimed.channel == MAIL:
            _send_mail(service, claimed, now)
        else:
            _call_webhook(service, claimed, now)
    except smtp.Unknown as error:
        return _finish(service, claimed, "unknown", error.message)
    except (Temporary, Broken) as error:
        log.warning(
            "%s: %s is not notified yet: %s",
            claimed.subject, claimed.recipient or "the webhook", error.message,
        )  # fmt: skip
        _defer(service, claimed, error)
        if isinstance(error, smtp.Away | Broken):
            raise
        return False
    except MergerError as error:
        return _finish(service, claimed, "failed", error.message)
    except Exception:  # the one place of this package: one notification never stops the others
        log.exception("%s: a bug in this program", claimed.subject)
        return _finish(service, claimed, "unknown", Message("error.program_mistake"))
    failpoint("post.sent")
    return _finish(service, claimed, "sent", None)


def _send_mail(service: Service, claimed: _Claimed, now: datetime) -> None:
    pictures = _pictures_of(service.engine, claimed.record) if claimed.kind == "ready" else ()
    _mail(service, claimed, now, pictures=pictures)


def _mail(
    service: Service,
    claimed: _Claimed,
    now: datetime,
    *,
    pictures: Sequence[bytes] = (),
    token: str = "",
) -> None:
    settings = service.settings
    language, has_account = _reader_of(service, claimed.recipient)
    letter = Letter(
        claimed.identity, claimed.kind, claimed.recipient, claimed.facts, language,
        settings.mail_from, settings.mail_redirect, settings.web_address, pictures, token,
        has_account,
    )  # fmt: skip
    server = smtp.server_of(settings.mail_server, settings.mail_password.reveal())
    smtp.send(server, compose(letter, now))


def _mail_token(
    service: Service, claimed: _Claimed, now: datetime, token: str, forget: Callable[[], None]
) -> None:
    """Send a mail with a link that only its reader knows, or forget the link."""
    try:
        _mail(service, claimed, now, token=token)
    except smtp.Unknown:  # it may have gone
        raise
    except MergerError:
        forget()
        raise


def _ask_to_confirm(service: Service, claimed: _Claimed, now: datetime) -> None:
    """Send an external user the one mail that they get before they confirm."""
    engine, email = service.engine, claimed.recipient
    _require_web_address(service)
    token = external.create_token(engine, email)
    _mail_token(service, claimed, now, token, lambda: external.forget_token(engine, email))


def _ask_for_leave(service: Service, claimed: _Claimed, now: datetime) -> None:
    """Ask somebody whether they allow a request, with a link that works without signing in."""
    engine, access, email = service.engine, claimed.access or 0, claimed.recipient
    _require_web_address(service)
    token = links.create_token(engine, access, email)
    _mail_token(service, claimed, now, token, lambda: links.forget_token(engine, access, email))


def _send_password_link(service: Service, claimed: _Claimed, now: datetime) -> bool:
    """Send somebody a link with which they set their password; return False if they get none."""
    engine, email, domains = service.engine, claimed.recipient, service.settings.oidc_domains
    _require_web_address(service)
    if claimed.kind == "password":
        if _has_link_lately(engine, claimed, now):
            return False
        token = password_links.create_token_for_address(engine, email, now, domains)
    else:
        person = users.get_user_by_address(engine, email)
        if person is None:
            return False
        token = password_links.create_token(engine, person["id"], now, domains)
    if token is None:
        return False
    _mail_token(service, claimed, now, token, lambda: password_links.forget_token(engine, token))
    return True


def _has_link_lately(engine: Engine, claimed: _Claimed, now: datetime) -> bool:
    """Return whether somebody got such a mail just now: strangers could have many sent to them."""
    others = select(Notification.id).where(
        Notification.kind == claimed.kind, Notification.recipient == claimed.recipient,
        Notification.status.in_(("sending", "sent", "unknown")), Notification.id != claimed.id,
        Notification.due_at > now - _BETWEEN_LINKS,
    )  # fmt: skip
    with reading(engine) as session:
        return session.scalar(others.limit(1)) is not None


def _require_web_address(service: Service) -> None:
    if not service.settings.web_address:
        raise Refused("web_address", "notifications.no_link")


def _call_webhook(service: Service, claimed: _Claimed, now: datetime) -> None:
    settings = service.settings
    old = settings.webhook_old_headers
    body = webhook.body_of(
        claimed.identity, claimed.kind, claimed.facts, claimed.created_at, settings.web_address,
        old=old,
    )  # fmt: skip
    secret = settings.webhook_secret.reveal()
    headers = webhook.headers_of(claimed.identity, secret, body, now, old=old)
    rules = rules_of(settings, service.engine, "webhooks")
    webhook.call_webhook(settings.webhook_url, headers, body, rules)


def _reader_of(service: Service, email: str) -> tuple[str, bool]:
    """Return the language in which somebody reads, and whether they may sign in."""
    with reading(service.engine) as session:
        user = session.scalars(select(User).where(User.email == email)).one_or_none()
        if user is None:
            return service.settings.language, False
        may_sign_in = users.may_sign_in(user, service.settings.oidc_domains)
        return user.language or service.settings.language, may_sign_in


def _pictures_of(engine: Engine, record: int | None) -> list[bytes]:
    """Return some JPEGs of what was on the screen: of slides, if there are any."""
    with reading(engine) as session:
        slides = pictures_of_slides(session, record)
        if slides:
            return spread_evenly(slides)
        texts = select(Chunk.pictures).where(Chunk.record_id == record).order_by(Chunk.start_at)
        chunks = [json.loads(text) for text in session.scalars(texts) if text]
    jpegs = []
    for picture in (picture for chunk in chunks for picture in chunk):
        try:
            jpegs.append(base64.b64decode(picture["jpeg"]))
        except (KeyError, TypeError, binascii.Error):
            continue
    return spread_evenly(jpegs)


# --- outcomes -------------------------------------------------------------------------------------


def _history_line(status: str, kind: str, recipient: str, why: Message | None) -> Message:
    """Return who was notified; a record's users do not read the addresses of editors."""
    whom: str | Message = recipient or Message("notifications.webhook")
    if kind == "silent" and recipient:
        whom = Message("notifications.editor")
    what = Message(f"notifications.kind.{kind}")
    if status == "sent":
        return Message("notifications.sent", whom=whom, what=what)
    return Message(f"notifications.{status}", whom=whom, what=what, why=why or "")


def _finish(service: Service, claimed: _Claimed, status: str, why: Message | None) -> bool:
    """Store how a notification ended; return whether it was sent."""
    now, is_sent = service.now(), status == "sent"

    def write(session: Session) -> None:
        row = session.get(Notification, claimed.id, with_for_update=True)
        if row is None:
            return  # its record was deleted
        row.status, row.error_message = status, why
        row.sent_at = now if is_sent else None
        if claimed.record is not None and session.get(Record, claimed.record) is not None:
            line = _history_line(status, claimed.kind, claimed.recipient, why)
            add_history(session, claimed.record, 0, now, "told" if is_sent else "untold", line)

    writing(service.engine, write)
    return is_sent


def _drop(service: Service, claimed: _Claimed) -> bool:
    """Remove a notification that nobody gets, and return that it was not sent."""
    statement = delete(Notification).where(Notification.id == claimed.id)
    writing(service.engine, lambda session: session.execute(statement))
    return False


def _defer(service: Service, claimed: _Claimed, error: MergerError) -> None:
    at = service.now() + backoff(claimed.tries, _FIRST_PAUSE, _LONGEST_PAUSE)
    if at - claimed.created_at > TOO_OLD:
        _finish(service, claimed, "failed", error.message)
        return

    def write(session: Session) -> None:
        row = session.get(Notification, claimed.id, with_for_update=True)
        if row is not None:
            row.status, row.due_at = "pending", at
            row.error_message = error.message

    writing(service.engine, write)


def _defer_other_mails(engine: Engine, now: datetime, tries: int) -> None:
    """Defer the mails that are due as long as one that found the server away."""
    statement = (
        update(Notification)
        .where(
            Notification.status == "pending",
            Notification.channel == MAIL,
            Notification.due_at <= now,
        )
        .values(due_at=now + backoff(tries, _FIRST_PAUSE, _LONGEST_PAUSE))
    )
    writing(engine, lambda session: session.execute(statement))


def resolve_interrupted(engine: Engine, now: datetime) -> None:
    """Decide about notifications whose sender died: a call is repeated, a mail becomes unknown."""

    def write(session: Session) -> None:
        interrupted = select(Notification).where(
            Notification.status == "sending", Notification.due_at < now - _INTERRUPTED_AFTER
        )
        for row in session.scalars(interrupted.with_for_update()):
            if row.channel == WEBHOOK:
                row.status = "pending"
                continue
            row.status = "unknown"
            row.error_message = Message("notifications.interrupted")
            if row.record_id is not None:
                line = _history_line("unknown", row.kind, row.recipient, row.error_message)
                add_history(session, row.record_id, 0, now, "untold", line)

    writing(engine, write)
