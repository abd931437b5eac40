"""The rows of discovered recordings: what is known of each, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from merger.db.engine import reading
from merger.errors import Invalid
from merger.i18n import to_json
from merger.names import LONGEST_NAME, clean_name
from merger.ports.discovery import DiscoveredRecording
from merger.timeline.clock import Span
from models import Offer as OfferRow


def row_of(
    session: Session, recording: DiscoveredRecording, *, lock: bool = False
) -> OfferRow | None:
    """Return the row of a recording, if it has one."""
    wanted = select(OfferRow).where(
        OfferRow.kind == recording.kind, OfferRow.origin == recording.origin
    )
    return session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()


def upsert(
    session: Session, recording: DiscoveredRecording, now: datetime
) -> tuple[int | None, bool]:
    """Insert or update the row of a recording, except its span.

    Returns:
        Its record, if any, and whether somebody has removed the record that it had.
    """
    row = row_of(session, recording, lock=True)
    if row is None:
        row = OfferRow(
            kind=recording.kind, origin=recording.origin, state="waiting", offered_at=now
        )
        session.add(row)
    row.place, row.name = recording.place, name_of(recording)
    row.owner = recording.owner[:LONGEST_NAME] or None
    return row.record_id, was_removed(row)


def set_span(row: OfferRow, span: Span | None) -> None:
    """Set which span of the recording its record covers."""
    row.start_at, row.end_at = (span.start, span.end) if span else (None, None)


def save_span(session: Session, recording: DiscoveredRecording) -> None:
    """Save that its record covers all of a recording."""
    row = row_of(session, recording, lock=True)
    if row is not None:
        set_span(row, recording.span)


def is_covered(row: OfferRow, span: Span) -> bool:
    """Return whether the record of a row covers a span already."""
    return (row.start_at, row.end_at) == (span.start, span.end)


def was_removed(row: OfferRow) -> bool:
    """Return whether somebody has removed the record that a recording had."""
    return row.state == "record" and row.record_id is None


def name_of(recording: DiscoveredRecording) -> str:
    """Return the name of a recording, fit for its row and its record."""
    return clean_name(recording.name)[:LONGEST_NAME]


@dataclass(frozen=True)
class Filter:
    """Which discovered recordings are meant; None: all. since: when they were found first."""

    kind: str | None = None
    state: str | None = None
    place: str | None = None
    since: datetime | None = None


def page_of_discovered(
    engine: Engine, wanted: Filter, cursor: str | None = None, limit: int = 100
) -> tuple[list[dict[str, Any]], str | None]:
    """Return discovered recordings as plain values, newest first, and the next page's cursor.

    Raises:
        Invalid: the cursor is none.
    """
    query = select(OfferRow).order_by(OfferRow.id.desc()).limit(limit + 1)
    for name in ("kind", "state", "place"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(getattr(OfferRow, name) == value)
    if wanted.since is not None:
        query = query.where(OfferRow.offered_at >= wanted.since)
    if cursor is not None:
        if not cursor.isascii() or not cursor.isdecimal() or int(cursor) >= 2**63:
            raise Invalid("cursor", "records.cursor")
        query = query.where(OfferRow.id < int(cursor))
    with reading(engine) as session:
        rows = session.scalars(query).all()
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    return [offer_document(row) for row in rows[:limit]], following


def list_discovered(engine: Engine, limit: int = 100) -> list[dict[str, Any]]:
    """Return discovered recordings as plain values, newest first."""
    return page_of_discovered(engine, Filter(), limit=limit)[0]


def offer_document(row: OfferRow) -> dict[str, Any]:
    """Return a discovered recording as plain values."""
    return {
        "id": row.id, "kind": row.kind, "origin": row.origin,
        "address": f"{row.kind}:{row.place}", "name": row.name, "owner": row.owner,
        "start": row.start_at.isoformat() if row.start_at else None,
        "end": row.end_at.isoformat() if row.end_at else None,
        "state": row.state, "reason": str(row.reason) if row.reason else None,
        "reason_message": to_json(row.reason) if row.reason else None,
        "record": row.record_id,
        "offered_at": row.offered_at.isoformat(),
    }  # fmt: skip
