"""The housekeeping: what is looked for, and removed, now and then; in a process of its own."""

from __future__ import annotations

import logging
from datetime import datetime

from merger.daemon.late_media import find_late_media
from merger.daemon.retention import clean_destination, remove_expired
from merger.db import idempotency
from merger.db.engine import writing
from merger.delivery.viewers import grant_new_viewers
from merger.errors import MergerError
from merger.intake import meetings
from merger.intake.reconciliation import find_discovered
from merger.live.raw_uploads import upload_raw_segments
from merger.monitoring.alarms import raise_alarms
from merger.records import outbox
from merger.records.access import store as access
from merger.records.stills import learning
from merger.service import Service

log = logging.getLogger(__name__)


def keep_house(service: Service, now: datetime) -> None:
    """Look what has happened elsewhere: late media, new viewers; remove what nobody needs."""
    # First what reads no share: one that hangs holds up all that follows, until the housekeeping
    # is ended. Uploads last: they may take long.
    chores = (
        forget_old,
        raise_alarms,
        remove_expired,
        find_late_media,
        find_discovered,
        grant_new_viewers,
        clean_destination,
        upload_raw_segments,
    )
    for chore in chores:
        try:
            chore(service, now)
        except MergerError as error:
            log.warning("%s: %s", chore.__name__, error.message)
        except Exception:  # the one place of the housekeeping
            log.exception("%s: a bug in this program", chore.__name__)


def forget_old(service: Service, now: datetime) -> None:
    """Forget answers, requests for leave, messages, events and pictures that are too old."""
    idempotency.forget_answers(service.engine, now)
    meetings.forget_events(service.engine, now)
    access.end_old(service.engine, now)
    writing(service.engine, lambda session: learning.forget_stills(session, now))
    outbox.clear_old(service.engine, now, outbox.channels(service.settings))
