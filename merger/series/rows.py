"""Rows of series as plain values, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import cast

from sqlalchemy.orm import Session

from merger.accounts.external import Requester, name_users
from merger.timeline.clock import Span
from merger.timetable.recurrence import Override, Recurrence
from merger.timetable.spec import Mode, SeriesSpec
from models import Room, Series, SeriesPerson

PEOPLE = "people"  # the source of series that no timetable has
# That of series whose owner may request them, and has no say over what is another's.
REQUESTED = "requested"
_SECOND = timedelta(seconds=1)


def can_be_changed(source: str) -> bool:
    """Return whether a series of a source is changed here, and not in a timetable. Pure."""
    return source in (PEOPLE, REQUESTED)


def recurrence_of(row: Series) -> Recurrence:
    """Return when a series takes place."""
    return Recurrence(
        row.zone, row.starts_local, row.length_s * _SECOND, row.rule, row.until_day,
        tuple(_day_or_time(text) for text in row.exdates),
        tuple(datetime.fromisoformat(text) for text in row.rdates),
    )  # fmt: skip


def _day_or_time(text: str) -> date | datetime:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def overrides_of(row: Series) -> tuple[Override, ...]:
    """Return what the source of a series says of single occurrences."""
    return tuple(_override(*texts) for texts in row.overrides)


def _override(
    original: str | None, start: str | None, end: str | None, name: str | None
) -> Override:
    span = None
    if start is not None and end is not None:
        span = Span(datetime.fromisoformat(start), datetime.fromisoformat(end))
    return Override(datetime.fromisoformat(original or ""), span, name)


def spec_of(row: Series) -> SeriesSpec:
    """Return a series as its source has it; its room is that in which it is held."""
    return SeriesSpec(
        key=row.source_key, course=row.course_code or "", title=row.title,
        recurrence=recurrence_of(row), room=row.room.name, meeting=row.meeting,
        mode=cast(Mode, row.mode), owners=tuple(entry.user.email for entry in row.people),
        folder=row.drive_folder, layout=row.layout, profile=row.profile, external=row.external,
        overrides=overrides_of(row),
    )  # fmt: skip


def write_spec(
    session: Session,
    row: Series,
    spec: SeriesSpec,
    room: Room,
    now: datetime,
    naming: Requester | None = None,
) -> None:
    """Write what a source says of a series into its row; into one that is new, before the flush.

    Args:
        naming: as whom its people are named; None where the source's word is enough.
    """
    when = spec.recurrence
    row.room, row.source_key = room, spec.key
    row.course_code, row.title = spec.course or None, spec.title
    row.zone, row.starts_local, row.length_s = when.zone, when.starts_local, when.length // _SECOND
    row.rule, row.until_day = when.rule, when.until_day
    row.exdates = [day.isoformat() for day in when.exdates]
    row.rdates = [time.isoformat() for time in when.rdates]
    row.overrides = [_texts(override) for override in spec.overrides]
    row.mode, row.meeting, row.drive_folder = spec.mode, spec.meeting, spec.folder
    row.layout, row.profile, row.external = spec.layout, spec.profile, spec.external
    row.updated_at = now
    _write_people(session, row, spec.owners, now, naming)


def _texts(override: Override) -> list[str | None]:
    span = override.span
    return [
        override.original_at.isoformat(),
        span.start.isoformat() if span else None,
        span.end.isoformat() if span else None,
        override.name,
    ]


def _write_people(
    session: Session,
    row: Series,
    owners: Sequence[str],
    now: datetime,
    naming: Requester | None,
) -> None:
    if owners == tuple(entry.user.email for entry in row.people):
        return
    users = name_users(session, owners, naming, now)
    present = {entry.user.email: entry for entry in row.people}
    people = [present.get(user.email) or SeriesPerson(user=user) for user in users]
    for position, entry in enumerate(people):
        entry.position = position
    row.people = people
