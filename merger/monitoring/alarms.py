"""Alarms: mails to administrators about what needs one of them, at most once a day for each reason.

The mails wait in the outbox, which daemons send. That there is no daemon is seen by processes that
serve pages, and sent by them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.i18n import Message
from merger.monitoring import heartbeats
from merger.notifications.sender import send_due
from merger.records import outbox
from merger.service import Service
from models import Fact, Occurrence, Record, Series

log = logging.getLogger(__name__)

BETWEEN = timedelta(days=1)  # of one reason
LATE = timedelta(hours=1)
NO_DAEMON = timedelta(minutes=10)
_LATELY = timedelta(hours=1)
_DAY = timedelta(days=1)
# What was recorded elsewhere has come by then.
_ARRIVES_WITHIN = timedelta(hours=3)


def raise_alarms(service: Service, now: datetime) -> None:
    """Queue mails about what is wrong with the records."""
    for reason, look in _LOOKS.items():
        _raise(service, reason, look, now)


def watch_daemons(service: Service, now: datetime) -> None:
    """Mail administrators if there was a daemon, and none has given a sign of life for long."""
    last = heartbeats.last_heartbeat(service.engine)
    if last is None or now - last < NO_DAEMON:
        return
    minutes = (now - last) // timedelta(minutes=1)
    why = Message("alarm.no_daemon", count=minutes)
    _raise(service, "no_daemon", lambda *_: why, now)
    send_due(service, now)  # nobody else does


def _raise(
    service: Service,
    reason: str,
    look: Callable[[Session, datetime], Message | None],
    now: datetime,
) -> None:
    """Queue the mails of one reason, if there is one, and if there were none lately."""
    if outbox.MAIL not in outbox.channels(service.settings):
        return

    def act(session: Session) -> None:
        fact = session.get(Fact, f"alarm-{reason}", with_for_update=True)
        if fact is not None and now - datetime.fromisoformat(fact.value) < BETWEEN:
            return
        why = look(session, now)
        if why is None:
            return
        session.merge(Fact(name=f"alarm-{reason}", value=now.isoformat()))
        log.warning("alarm: %s", why)
        outbox.add_alarm(session, reason, why, now)

    writing(service.engine, act)


def _overdue(session: Session, now: datetime) -> Message | None:
    late = and_(Record.status == "queued", Record.run_after < now - LATE)
    count = session.scalar(select(func.count()).where(late)) or 0
    if not count:
        return None
    oldest = session.scalar(
        select(Record.id).where(late).order_by(Record.run_after, Record.id).limit(1)
    )
    return Message("alarm.overdue", count=count, record=oldest or 0)


def _failed(session: Session, now: datetime) -> Message | None:
    lately = and_(Record.status == "failed", Record.updated_at > now - _LATELY)
    count = session.scalar(select(func.count()).where(lately)) or 0
    if not count:
        return None
    newest = select(Record.id).where(lately).order_by(Record.updated_at.desc(), Record.id.desc())
    last = session.scalar(newest.limit(1))
    return Message("alarm.failed", count=count, record=last or 0)


def _nothing_recorded(session: Session, now: datetime) -> Message | None:
    """Return that lectures were planned in the last day, and not one of them was recorded."""
    planned = (
        select(Record.status, Record.stage)
        .select_from(Occurrence)
        .join(Occurrence.series)
        .outerjoin(Record, Record.id == Occurrence.record_id)
        .where(Occurrence.is_off.is_(False), Series.state == "active", Series.mode != "no")
        .where(or_(Record.id.is_(None), Record.status != "cancelled"))
        .where(Occurrence.end_at > now - _DAY, Occurrence.end_at < now - _ARRIVES_WITHIN)
    )
    rows = session.execute(planned).all()
    if not rows or any(_has_media(row.status, row.stage) for row in rows):
        return None
    return Message("alarm.nothing_recorded", count=len(rows))


def _has_media(status: str | None, stage: str | None) -> bool:
    return status == "delivered" or stage not in (None, "collect")


_LOOKS: Mapping[str, Callable[[Session, datetime], Message | None]] = {
    "overdue": _overdue,
    "failed": _failed,
    "nothing_recorded": _nothing_recorded,
}
