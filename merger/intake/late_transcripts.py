"""Transcripts that come after their recording: the records that show it get captions of them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.intake.placing import rooms_of
from merger.ports.discovery import DiscoveredRecording
from merger.records.processing.queue import queue_update
from merger.service import Service
from models import Offer, Record


def take_up_transcript(service: Service, recording: DiscoveredRecording) -> list[int]:
    """Have the records that show a recording get captions of its transcript; return which.

    One that is not made yet collects it by itself.

    Args:
        recording: whose span is that of the transcript, if it is known.
    """
    return writing(service.engine, lambda session: _take_up(session, service, recording))


def _take_up(session: Session, service: Service, recording: DiscoveredRecording) -> list[int]:
    now, span = service.now(), recording.span
    offer = select(Offer.record_id).where(
        Offer.kind == recording.kind, Offer.origin == recording.origin
    )
    shows: ColumnElement[bool] = Record.id.in_(offer)
    if span is not None:
        discovery = service.offering[recording.kind]
        rooms = [room.id for room in rooms_of(session, recording, discovery)]
        is_then = (Record.start_at < span.end) & (Record.end_at > span.start)
        shows = or_(shows, Record.room_id.in_(rooms) & is_then)
    wanted = select(Record).where(shows, Record.status.not_in(("failed", "cancelled")))
    rows = session.scalars(wanted.order_by(Record.id).with_for_update()).all()
    for row in rows:
        row.media = {**(row.media or {}), "late_transcripts": now.isoformat()}
        if row.status == "delivered":
            queue_update(row, now)
    return [row.id for row in rows]
