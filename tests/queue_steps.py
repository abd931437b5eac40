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
from merger.ports.recorder import Collected, Item
from merger.records import queue, stage_results
from merger.records.queue import Claim
from merger.timeline.clock import Span
from merger.timeline.layout import Size
from merger.timeline.plan import Chunk
from merger.timeline.report import Rendition
from models import Record
from tests.line import HOUR, LEASE, NOON, Line

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


Write = Callable[[Line, Claim], object]


def keep_segments(line: Line, held: Claim) -> None:
    stage_results.save_segments(
        line.engine, held, Path("/data"), {"speaker": [Collected(ITEM, Path("/data/a.mp4"))]},
        {"speaker": 1}, [], line.clock,
    )  # fmt: skip


def keep_renditions(line: Line, held: Claim) -> None:
    made = Rendition("merge", Path("/data/a.mp4"), 1, Size(16, 9), "h264", 1, "0" * 64)
    stage_results.save_renditions(line.engine, held, Path("/data"), [made], {}, line.clock)


def keep_chunks(line: Line, held: Claim) -> None:
    seen = Chunk(SPAN, True, "presentation", Fraction(1), 1)
    stage_results.save_chunks(line.engine, held, [Look(seen, [], [])])


def no_more(line: Line, held: Claim) -> None:
    def write(session: Any, row: Record) -> None:
        row.event_name = "changed"

    queue.with_fence(line.engine, held, write)


WRITES: dict[str, Write] = {
    "renew": lambda line, held: queue.renew(line.engine, held, line.clock, LEASE, 0.5),
    "fenced": no_more,
    "enter": lambda line, held: queue.enter_stage(line.engine, held, "encode", line.clock),
    "hand_back": lambda line, held: queue.hand_back(line.engine, held, line.clock, "why"),
    "wait": lambda line, held: queue.wait_for_media(
        line.engine, held, line.clock, line.clock, "why"
    ),
    "put_off": lambda line, held: queue.defer(line.engine, held, line.clock, line.clock, AWAY),
    "fail": lambda line, held: queue.fail(line.engine, held, line.clock, WRONG),
    "cancelled": lambda line, held: queue.cancel_running(line.engine, held, line.clock),
    "keep_segments": keep_segments,
    "keep_chunks": keep_chunks,
    "keep_renditions": keep_renditions,
    "reserve": lambda line, held: ledger.reserve_name(
        line.engine, held, "folder", "backup", iter(["b.mp4"]), lambda name: False
    ),
    "keep": lambda line, held: ledger.save_state(line.engine, held, "folder", "merge", {"a": 1}),
    "done": lambda line, held: ledger.mark_delivered(
        line.engine, held, "folder", "merge", 1, "0" * 64, "link", line.clock
    ),
    "removed": lambda line, held: ledger.mark_removed(line.engine, held, "folder", "merge"),
    "complete": lambda line, held: ledger.complete_record(line.engine, held, line.clock, None, 0),
}


def taken_back(line: Line) -> None:
    line.clock += 2 * LEASE
    assert queue.take_back_lost(line.engine, line.clock) == [1]
