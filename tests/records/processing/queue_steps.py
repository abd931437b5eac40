"""What tests of the queue do to it more than once: rivals, writes of workers, workers that are gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from merger.analysis.sampling import Look
from merger.db.engine import LostRace, writing
from merger.delivery import ledger
from merger.errors import Broken, Temporary
from merger.i18n import Message
from merger.ports.recorder import Collected, Item
from merger.records.processing import queue, stage_results
from merger.records.processing.leases import Lease
from merger.timeline.clock import Span
from merger.timeline.layout import Size
from merger.timeline.plan import Chunk
from merger.timeline.report import Rendition
from models import Record
from tests.support.line import HOUR, LEASE, NOON, Line

SECOND = timedelta(seconds=1)
AWAY = Temporary("share", "the share is away")
WRONG = Broken("ffmpeg", "there is no ffmpeg")


SPAN = Span(NOON - HOUR, NOON)
ITEM = Item("a.mp4", "1", NOON - HOUR, NOON, 1, True)


def rival_first(
    monkeypatch: pytest.MonkeyPatch, interfere: Callable[[], object]
) -> Callable[[], int]:
    """Have somebody do something once the next candidates are known, but none is taken yet."""
    taken = count()

    def write(engine: Engine, act: Any) -> Any:
        if next(taken) == 0:
            monkeypatch.undo()
            interfere()
        return writing(engine, act)

    monkeypatch.setattr(queue, "writing", write)
    return lambda: next(taken)


def quicker() -> None:
    """Say that others were quicker, this time."""
    raise LostRace("database_race", "others were quicker")


Write = Callable[[Lease], object]


def save_segments(lease: Lease) -> None:
    stage_results.save_segments(
        lease,
        Path("/data"),
        {"speaker": [Collected(ITEM, Path("/data/a.mp4"))]},
        {"speaker": 1},
        {},
    )


def save_renditions(lease: Lease) -> None:
    made = Rendition("merge", Path("/data/a.mp4"), 1, Size(16, 9), "h264", 1, "0" * 64)
    stage_results.save_renditions(lease, Path("/data"), [made], {})


def save_chunks(lease: Lease) -> None:
    seen = Chunk(SPAN, True, "presentation", Fraction(1), 1)
    stage_results.save_chunks(lease, [Look(seen, [], [])])


def rename(lease: Lease) -> None:
    def write(session: Any, row: Record) -> None:
        row.event_name = "changed"

    lease.write(write)


WHY = Message("history.handed_back")

WRITES: dict[str, Write] = {
    "renew": lambda lease: lease.renew(LEASE, 0.5),
    "write": rename,
    "enter": lambda lease: lease.enter_stage("encode"),
    "hand_back": lambda lease: lease.hand_back(WHY),
    "wait": lambda lease: lease.wait_for_media(lease.now(), WHY),
    "defer": lambda lease: lease.defer(lease.now(), AWAY),
    "fail": lambda lease: lease.fail(WRONG),
    "cancel": lambda lease: lease.cancel(),
    "save_segments": save_segments,
    "save_chunks": save_chunks,
    "save_renditions": save_renditions,
    "reserve": lambda lease: ledger.reserve_name(
        lease, "folder", "backup", iter(["b.mp4"]), lambda name: False
    ),
    "save_state": lambda lease: ledger.save_state(lease, "folder", "merge", {"a": 1}),
    "delivered": lambda lease: ledger.mark_delivered(lease, "folder", "merge", 1, "0" * 64, "link"),
    "removed": lambda lease: ledger.mark_removed(lease, "folder", "merge"),
    "complete": lambda lease: ledger.complete_record(lease, None, 0),
}


def taken_back(line: Line) -> None:
    line.clock += 2 * LEASE
    assert queue.take_back_lost(line.engine, line.clock) == [1]
