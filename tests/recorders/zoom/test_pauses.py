"""When a recording ran, from its files and from what was reported: known cases, in a table."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from merger.ports.meetings import MeetingEvent
from merger.timeline.clock import Span
from recorders.zoom.pauses import stretches

pytestmark = pytest.mark.quick

KINDS = {
    "start": "recording.started",
    "pause": "recording.paused",
    "resume": "recording.resumed",
    "stop": "recording.stopped",
    "end": "meeting.ended",
}


def events(text: str) -> list[MeetingEvent]:
    """Return events that are written as `pause 15:45:08, resume 15:45:17`."""
    found = []
    for entry in filter(None, text.split(", ")):
        kind, at = entry.split(" ")
        found.append(MeetingEvent("uuid", "123456789", KINDS[kind], instant(at)))
    return found


def instant(text: str) -> datetime:
    return datetime.fromisoformat(f"2023-09-13T{text}").replace(tzinfo=UTC)


def spans(text: str) -> list[Span]:
    """Return spans that are written as `15:44:21_15:46:09 15:46:23_15:47:24`."""
    return [Span(*map(instant, part.split("_"))) for part in text.split()]


PAUSED = "15:44:21_15:46:09 15:46:23_15:47:24"
PAUSES = (
    "start 15:44:21, pause 15:45:08, resume 15:45:17, pause 15:45:37, resume 15:45:52, "
    "stop 15:46:09, start 15:46:23, pause 15:46:37, resume 15:46:47, stop 15:47:24"
)
BETWEEN = (
    "15:44:21_15:45:08 15:45:17_15:45:37 15:45:52_15:46:09 15:46:23_15:46:37 15:46:47_15:47:24"
)

CASES = {
    "no events": (
        "15:29:32_16:07:00 16:29:32_18:07:26", "", "15:29:32_16:07:00 16:29:32_18:07:26",
    ),
    "two files, paused three times": (PAUSED, PAUSES, BETWEEN),
    "some events are missing": (
        PAUSED, "pause 15:45:08, pause 15:45:37, resume 15:45:52, resume 15:46:47",
        "15:44:21_15:45:08 15:45:52_15:46:09 15:46:23_15:47:24",
    ),
    "what came before the file that is kept": (
        "14:00:42_14:03:16",
        "start 14:00:06, pause 14:00:10, stop 14:00:20, start 14:00:42, pause 14:02:06, "
        "resume 14:02:23, stop 14:03:16",
        "14:00:42_14:02:06 14:02:23_14:03:16",
    ),
    "the end of a meeting is not that of a recording": (
        "15:44:21_15:46:09", "end 15:45:00", "15:44:21_15:46:09",
    ),
    "of two beginnings, the first": (
        "15:44:21_15:46:09", "pause 15:45:00, resume 15:45:10, start 15:45:20",
        "15:44:21_15:45:00 15:45:10_15:46:09",
    ),
    "paused until the end": ("15:44:21_15:46:09", "pause 15:45:00", "15:44:21_15:45:00"),
    "paused at once": ("15:44:21_15:46:09", "pause 15:44:21, resume 15:45:00", "15:45:00_15:46:09"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "reported", "expected"), CASES.values(), ids=CASES)
def test_when_a_recording_ran(files: str, reported: str, expected: str) -> None:
    found = [span for file in spans(files) for span in stretches(file, events(reported))]
    assert found == spans(expected)


@pytest.mark.parametrize("seed", range(5))
def test_neither_order_nor_number_matters(seed: int) -> None:
    shuffled = events(PAUSES) * 2
    random.Random(seed).shuffle(shuffled)
    assert [s for file in spans(PAUSED) for s in stretches(file, shuffled)] == spans(BETWEEN)


def test_no_stretch_is_empty() -> None:
    (file,) = spans("15:44:21_15:46:09")
    assert stretches(file, events("pause 15:44:21")) == []
    moments = [file.start + timedelta(seconds=n) for n in range(0, 108, 7)]
    kinds = ["recording.paused", "recording.resumed"] * len(moments)
    found = stretches(
        file, [MeetingEvent("u", "1", k, at) for k, at in zip(kinds, moments, strict=False)]
    )
    assert all(found) and found == sorted(found)
