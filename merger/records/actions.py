"""What people do with a record that is there: cancel, retry, merge again, leave.

Whoever acts is named in the history; the operator and programs of the service are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from merger.accounts.permissions import Principal
from merger.db.engine import writing
from merger.errors import Conflict
from merger.i18n import Message, Param
from merger.records import leave, versions
from merger.records.event_links import (
    forget_called_off,
    keep_for_people,
    note_removed,
)
from merger.records.lookup import check_owner, find_equal, lock_record, record_row
from merger.records.processing.queue import add_history, end_without_result, requeue
from merger.records.requests import EVENT_OFF, note_leavers
from merger.records.rules.progress import reached_share
from merger.timeline.clock import Span, record_span
from merger.timeline.layout import layout_named
from merger.timeline.plan import Overrule
from merger.timeline.profiles import profile_named
from merger.timeline.zones import zone_named
from models import ENDED, Record

MOST_OVERRULES = 100


def cancel(
    engine: Engine,
    record: int,
    now: datetime,
    only_of: int | None = None,
    *,
    by: Principal | None = None,
) -> str:
    """Ask to stop a record; return its status. Raises Conflict where it has ended already.

    Of several users, the owner alone may.

    Args:
        only_of: a user for whom the records of others do not exist; so it is below.
        by: who wants it; None for the operator. So it is below.
    """

    def ask_to_stop(session: Session) -> str:
        row = record_row(session, record, only_of, lock=True)
        check_owner(row, only_of)
        if row.status in ENDED:
            raise Conflict("status", "records.has_ended", record=record, status=row.status)
        if versions.is_put_back(row):
            key = "records.is_being_updated" if row.is_outdated else "records.is_put_back"
            raise Conflict("status", key, record=record, version=row.version)
        if row.status == "running":
            if row.cancel_requested_at is None:
                row.cancel_requested_at = now
                message = _by(by, "history.stop_requested")
                add_history(session, record, row.attempt, now, "cancel", message)
            return "running"
        message = _by(by, "history.cancelled_before")
        add_history(session, record, row.attempt, now, "cancelled", message)
        end_without_result(session, row, "cancelled", now)
        return row.status

    return writing(engine, ask_to_stop)


def retry(
    engine: Engine,
    record: int,
    now: datetime,
    only_of: int | None = None,
    *,
    asked_by: Principal | None = None,
    after: datetime | None = None,
) -> None:
    """Queue a record again. Raises Conflict where there is nothing to try again.

    Args:
        after: not before then; None for at once.
        asked_by: who wants it; with an editor, it gets the meetings that it had to do without.
    """

    def again(session: Session) -> None:
        row = lock_record(session, record, only_of)
        if row.status == "running":
            raise Conflict("status", "records.in_progress", record=record)
        is_wished = bool((row.delivered_as or {}).get("wished"))
        if row.status == "delivered" and row.error_code is None and not is_wished:
            raise Conflict("status", "records.nothing_failed", record=record)
        leave.give_leave(session, row, asked_by, now)
        if versions.is_put_back(row):
            row.run_after = now  # what failed is tried again when that is done
            return
        is_update = row.status == "delivered" and row.is_outdated and not is_wished
        reached = 0.0 if row.status == "delivered" else reached_share(row)
        if is_update:
            pass  # what failed is to give what was delivered its latest texts
        elif row.status == "delivered":
            versions.begin_version(session, row, as_wished=True)
        elif row.stage != "deliver" and row.status in ENDED:
            _mark_asked_again(row)
        if row.status == "cancelled" and row.error_code == EVENT_OFF:
            keep_for_people(session, row)
        _check_only(session, row)
        # What was missing, or refused, may have been put right at any stage.
        is_made = is_update or (row.stage == "deliver" and row.status != "delivered")
        requeue(row, after or now, now, "deliver" if is_made else "collect", reached)
        message = _by(asked_by, "history.retried")
        add_history(session, record, row.attempt, now, "retried", message)

    writing(engine, again)


def remerge(
    engine: Engine,
    record: int,
    now: datetime,
    only_of: int | None = None,
    *,
    layout: str | None = None,
    profile: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    overrules: Sequence[Overrule] | None = None,
    asked_by: Principal | None = None,
) -> None:
    """Queue another version of a record that has ended; None keeps what it is now.

    What was delivered stays until the new version is. Of several users, the owner alone may. Raises
    Refused.

    Args:
        overrules: what is to stand beside the speaker, in place of all that was wanted before.
        asked_by: who wants it; with an editor, it gets all meetings of its span.
    """

    def again(session: Session) -> None:
        row = lock_record(session, record, only_of)
        check_owner(row, only_of)
        if row.status not in ENDED:
            raise Conflict("status", "records.not_ended", record=record, status=row.status)
        span = record_span(start or row.start_at, end or row.end_at, now)
        before = Span(row.start_at, row.end_at)
        leave.give_leave(session, row, asked_by, now)
        if row.status == "delivered":
            versions.begin_version(session, row)
        else:
            _mark_asked_again(row)
        keep_for_people(session, row)
        row.layout = layout_named(layout or row.layout).name
        row.profile = profile_named(profile or row.profile).name
        row.start_at, row.end_at = span.start, span.end
        if overrules is not None:
            row.media = {**(row.media or {}), "overrules": [_facts_of(one) for one in overrules]}
        leave.limit_to_before(session, row, asked_by, before)
        _check_only(session, row)
        requeue(row, max(span.end, now), now)
        zone = zone_named(row.zone)
        begins, ends = (at.astimezone(zone) for at in (span.start, span.end))
        what = _by(
            asked_by, "history.remerged", layout=row.layout, profile=row.profile,
            span=f"{begins:%H:%M:%S}-{ends:%H:%M:%S}",
        )  # fmt: skip
        add_history(session, record, row.attempt, now, "remerged", what)

    writing(engine, again)


def withdraw(
    engine: Engine,
    record: int,
    now: datetime,
    only_of: int | None = None,
    *,
    by: Principal | None = None,
) -> bool:
    """Remove a user from a record, and the record itself where it has no other user.

    Without a user (whoever sees all), the record is removed. What was delivered stays where it is.
    Returns whether the record is gone. Raises Conflict for one that is in progress.
    """

    def remove(session: Session) -> bool:
        row = record_row(session, record, only_of, lock=True)
        others = [entry for entry in row.users if entry.user_id != only_of]
        if only_of is not None and others:
            note_leavers(session, row, [only_of])
            row.users = others
            for position, entry in enumerate(others):
                entry.position = position
            row.updated_at = now
            add_history(session, record, row.attempt, now, "left", _by(by, "history.left"))
            return False
        if row.status == "running":
            raise Conflict("status", "records.cancel_first", record=record)
        is_off = row.status == "cancelled" and row.error_code == EVENT_OFF
        if is_off:
            forget_called_off(session, row)
        else:
            note_removed(session, row, now)
        session.delete(row)
        return True

    return writing(engine, remove)


def _facts_of(overrule: Overrule) -> list[str]:
    span = overrule.span
    return [span.start.isoformat(), span.end.isoformat(), overrule.right]


def _by(who: Principal | None, key: str, **params: Param) -> Message:
    """Return a line of the history that says who did something, if it was a person. Pure."""
    if who is None:
        return Message(key, **params)
    return Message(f"{key}_by", email=who.email, **params)


def _check_only(session: Session, row: Record) -> None:
    """Raise Conflict where another record is, or will be, of what this one is to be made of."""
    with session.no_autoflush:
        other = find_equal(session, row, row.room_id or 0, Span(row.start_at, row.end_at))
    if other is not None:
        raise Conflict("conflict", "records.same_exists", record=other.id)


def _mark_asked_again(row: Record) -> None:
    """Have a record that failed look anew for all that it is made of."""
    row.media = {**(row.media or {}), "asked_again": True}
