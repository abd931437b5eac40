"""One instant on both sides, by sound: which source is moved, and how its clocks stand then. Pure.

`merger/analysis/sync` measures; here it is decided what that means. See docs/decisions/0047.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Literal

from merger.i18n import Message, to_json
from merger.timeline.clock import ClockMap, Span, microseconds
from merger.timeline.plan import Sources

Relation = Literal["same", "unrelated", "too_short"]
Outcome = Literal["moved", "together", "apart", "unrelated", "too_short"]

# Nobody sees less, and clocks that are not moved leave what is encoded as it is.
TOGETHER_US = 10_000
# Two recorders that both know the time do not always agree to the frame.
APART_US = 80_000
_BILLION = 1_000_000_000


@dataclass(frozen=True)
class Measured:
    """How the sound of a source lies beside that of another.

    What is heard at a time t of it is heard offset_us + drift_ppb / 10^9 * t later by the clock of
    the other; t counts from the start of the record.

    windows, agreeing: how many pieces could be compared, and how many of them say so.
    """

    relation: Relation
    offset_us: int = 0
    drift_ppb: int = 0
    windows: int = 0
    agreeing: int = 0

    def offset_at_us(self, length: timedelta) -> int:
        """Return the offset at a time after the start of the record."""
        return self.offset_us + round(Fraction(microseconds(length) * self.drift_ppb, _BILLION))


@dataclass(frozen=True)
class Sync:
    """What was measured of a source, and what was done about it."""

    source: str
    reference: str
    measured: Measured
    outcome: Outcome

    @property
    def message(self) -> Message:
        """What people read of it."""
        return Message(
            f"sync.{self.outcome}", source=self.source, reference=self.reference,
            ms=round(self.measured.offset_us / 1000), ppm=round(self.measured.drift_ppb / 1000),
        )  # fmt: skip


def choose_reference(sources: Sources, heard: Sequence[str], timed: Sequence[str]) -> str:
    """Return whose clock counts: one that is known, and the speaker's before others.

    Args:
        heard: the sources that have sound, at least one.
        timed: those of them whose clocks are known.
    """
    order = (sources.speaker, *sources.by_sound)
    return min(heard, key=lambda name: (name not in timed, order.index(name)))


def decide(source: str, reference: str, measured: Measured, span: Span, *, is_timed: bool) -> Sync:
    """Return what becomes of a source that was measured.

    Args:
        is_timed: its own clock is known, and is believed.
    """
    if measured.relation != "same":
        return Sync(source, reference, measured, measured.relation)
    furthest_us = max(abs(measured.offset_at_us(at)) for at in (timedelta(0), span.length))
    outcome: Outcome
    if is_timed:
        outcome = "apart" if furthest_us > APART_US else "together"
    else:
        outcome = "moved" if furthest_us > TOGETHER_US else "together"
    return Sync(source, reference, measured, outcome)


def moved_clock(clock: ClockMap, measured: Measured, since: datetime) -> ClockMap:
    """Return the clock of a file of a source that is moved: by offset and drift, as one.

    Args:
        since: the start of the record.
    """
    rate = 1 + Fraction(measured.drift_ppb, _BILLION)
    later_us = measured.offset_at_us(clock.wall_zero - since)
    return replace(
        clock,
        wall_zero=clock.wall_zero + timedelta(microseconds=later_us),
        rate=clock.rate * rate,
    )


def sync_document(sync: Sync) -> dict[str, Any]:
    """Return what was measured and done as plain values. Fields are added, never renamed."""
    measured = sync.measured
    is_same = measured.relation == "same"
    confidence = measured.agreeing / measured.windows if measured.windows else 0.0
    return {
        "source": sync.source,
        "reference": sync.reference,
        "done": sync.outcome,
        "offset_ms": round(measured.offset_us / 1000, 3) if is_same else None,
        "ppm": round(measured.drift_ppb / 1000, 3) if is_same else None,
        "confidence": round(confidence, 3),
        "text": str(sync.message),
        "message": to_json(sync.message),
    }
