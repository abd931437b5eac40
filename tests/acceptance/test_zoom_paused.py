"""A recording that was paused twice, beside a camera: both sides show one time, before and after."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from recorders.testing.clock import plain
from tests.acceptance.test_zoom import (
    FILE_RATE,
    RATE,
    START,
    add_room,
    call,
    made,
    tell,
    zoom,
)
from tests.conftest import CARRIED, SMALL
from tests.fakes.zoom import NUMBER, UUID, ZoomServer
from tests.support import films
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.truth import error_ms, frames_seen, instant_of

__all__ = ["zoom"]

pytestmark = ON_SQLITE

CAMERA = "testpattern:?size=320x180&rate=5&code=5&segment=1m"
RAN = ((0, 8), (12, 17), (23, 31))  # seconds: from, to
END_S = RAN[-1][1]
LATE_MS = 400  # so much later than Zoom's recorder did, its events say when it did something
# Zoom's times are whole seconds: nothing is asked for that is nearer to a pause.
EXACT_S = 1
WANTED = sorted({*range(5, END_S * RATE, 10), END_S * RATE - 1})


def film_paused(zoom: ZoomServer, folder: Path) -> None:
    """Have a screen be recorded in one file that holds nothing of the pauses."""
    whole, cut = folder / "whole.mp4", folder / "cut.mp4"
    films.film(
        CARRIED.path, whole, START, timedelta(seconds=END_S), ground=plain(*SMALL), source=2,
        rate=Fraction(FILE_RATE), pitch_hz=440.0,
    )  # fmt: skip
    ran = "+".join(f"gte(t,{first})*lt(t,{end})" for first, end in RAN)
    command = [
        CARRIED.path, "-v", "error", "-i", str(whole),
        "-vf", f"select='{ran}',setpts=N/{FILE_RATE}/TB", "-r", str(FILE_RATE),
        "-af", f"aselect='{ran}',asetpts=N/SR/TB",
        "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-c:a", "aac", str(cut),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    zoom.add_file("shared_screen", START, END_S, cut.read_bytes())


def reports() -> list[dict[str, Any]]:
    """Return the calls that Zoom makes while the meeting goes on."""
    (first, _), *later = RAN
    at_s = {"recording.started": [first], "recording.stopped": [END_S], "meeting.ended": [END_S]}
    at_s["recording.paused"] = [end for _, end in RAN[:-1]]
    at_s["recording.resumed"] = [begins for begins, _ in later]
    meeting = {"uuid": UUID, "id": str(NUMBER), "topic": "Algebra"}
    start_ms = round(START.timestamp() * 1000)
    return [
        {"event": kind, "event_ts": start_ms + s * 1000 + LATE_MS, "payload": {"object": meeting}}
        for kind, instants in at_s.items()
        for s in instants
    ]


def shuffled(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return calls twice, in another order; the end of a meeting is not its first."""
    first, *rest = calls
    rest = [*calls, *rest]
    random.Random(7).shuffle(rest)
    return [first, *rest]


def is_recorded(at_s: float, margin_s: float) -> bool:
    """Return whether a recording ran at a time, and a moment before and after it."""
    return any(first + margin_s <= at_s < end - margin_s for first, end in RAN)


def plan_of(site: Site, record: int) -> dict[str, Any]:
    (path,) = (site.settings.data / "records" / str(record)).rglob("plan.json")
    return dict(json.loads(path.read_text()))


def segments_of(plan: dict[str, Any], source: str) -> list[tuple[str, int]]:
    """Return when each segment of a source begins, and its length in microseconds."""
    return sorted(
        (segment["wall_zero"], sum(end - begin for begin, end in segment["pictures_us"]))
        for segment in plan["segments"].values()
        if segment["source"] == source
    )


@pytest.mark.parametrize("order", [list, shuffled], ids=["in order", "shuffled and doubled"])
def test_what_follows_a_pause_stands_where_it_was(
    site: Site, zoom: ZoomServer, tmp_path: Path, order: Any
) -> None:
    film_paused(zoom, tmp_path)
    add_room(site, ("speaker", "testpattern", CAMERA), ("screen", "zoom", f"zoom:{NUMBER}"))
    call(site, zoom, *order(reports()))
    record = tell(site, zoom)
    video = made(site, record)

    compared = 0
    for frame in frames_seen(video, wanted=WANTED):
        at_s = frame.frame / RATE
        assert frame.left is not None and frame.left.source == 5
        if is_recorded(at_s, EXACT_S):
            assert frame.right is not None and frame.right.source == 2, frame
            apart = error_ms(frame.right, instant_of(START, frame.frame))
            assert abs(apart) <= EXACT_S * 1000, (frame, apart)
            assert abs(error_ms(frame.left, instant_of(START, frame.frame))) <= 220
            compared += 1
        elif not is_recorded(at_s, -EXACT_S):
            assert frame.right is None, frame  # a slate
    assert compared > 20

    details = site.details(record)
    assert not [w for w in details["warnings"] if "pause" in w], details["warnings"]
    assert [gap["source"] for gap in details["gaps"]] == ["zoom-screen"] * 2
    late_us, second_us = LATE_MS * 1000, 1_000_000
    expected = []
    for n, (first, end) in enumerate(RAN):
        begins_us = first * second_us + (late_us if n else 0)
        ends_us = end * second_us + (late_us if n + 1 < len(RAN) else 0)
        at = START + timedelta(microseconds=begins_us)
        expected.append((at.isoformat().replace("+00:00", "Z"), ends_us - begins_us))
    # However the events came, it is this plan.
    assert segments_of(plan_of(site, record), "zoom-screen") == expected


def test_without_events_a_warning_names_the_file(
    site: Site, zoom: ZoomServer, tmp_path: Path
) -> None:
    film_paused(zoom, tmp_path)
    add_room(site, ("speaker", "testpattern", CAMERA), ("screen", "zoom", f"zoom:{NUMBER}"))
    record = tell(site, zoom)
    made(site, record)
    (warning,) = [text for text in site.details(record)["warnings"] if "paused" in text]
    assert f"{UUID} shared_screen" in warning and "10.0 s less" in warning, warning
