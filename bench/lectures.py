"""Lectures of an hour on a screen, drawn and encoded: how exactly decisions and chapters follow.

`python -m bench.lectures [NAME ...]`; everything but the drawing is what a merge does before it
encodes. Boundaries are compared frame by frame, chapters to the second.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import av
import cv2
import numpy as np

from merger.config import load
from merger.media.library import read_library
from merger.render import ffmpeg
from merger.render.context import MergeRequest, RenderContext, Watch
from merger.render.progress import Silent
from merger.render.screen.presence import Presence, analyse_presence
from merger.storage.files import work_folder
from merger.timeline.clock import Span
from merger.timeline.plan import Sources
from tests.analysis.watching.screens import Draw, Picture, film, still
from tests.analysis.words.drawn import ENGLISH, draw_slide

SIZE = (640, 360)
RATE = 25
HOUR_S = 3600
START = datetime(2026, 11, 20, 7, tzinfo=UTC)
GROUP = 50  # frames from key frame to key frame
FAR_FRAMES = 250  # a switch that is farther from any true one is false
CHAPTER_S = 2.0  # a chapter begins so near to its slide


@dataclass(frozen=True)
class Shot:
    """What the screen shows for some time, and what is to stand beside the speaker.

    slide: begins a new slide.
    """

    seconds: float
    draw: Draw
    right: str
    slide: bool = False


# --- lectures -----------------------------------------------------------------------------------


def slides(seconds: float, first: int, pace_s: tuple[float, float] = (40, 150)) -> Iterator[Shot]:
    """Yield slides of random lengths, each built of one to four bullets."""
    random = np.random.default_rng(first)
    number = first
    while seconds > 0:
        length = min(seconds, float(random.uniform(*pace_s)))
        if seconds - length < pace_s[0] / 2:
            length = seconds
        seconds -= length
        steps = int(random.integers(1, 5)) if length > 20 else 1
        for step in range(steps):
            picture = small(draw_slide(ENGLISH[number % len(ENGLISH)], number, "en", 2 + step))
            yield Shot(length / steps, still(picture), "screen", slide=step == 0)
        number += 1


def small(picture: Picture) -> Picture:
    return np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def dark() -> Draw:
    return still(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))


def words(ground: tuple[int, int, int], *lines: str) -> Draw:
    """Draw a card that is in no book: a maker's name, and what it says."""
    picture = np.full((720, 1280, 3), ground, np.uint8)
    for n, line in enumerate(lines):
        size = 72 if n == 0 else 36
        width = cv2.getTextSize((0, 0), line, (0, 0), cv2.FontFace("sans"), size, 500)[2]
        at = ((1280 - width) // 2, 340 + 80 * n)
        cv2.putText(picture, line, at, (240, 240, 240), cv2.FontFace("sans"), size, 500)
    return still(small(picture))


def large_film() -> Draw:
    whole = film(3)
    return lambda n: np.asarray(cv2.resize(whole(n), SIZE), np.uint8)


def in_turn(on_s: float, off_s: float, off: Draw) -> Iterator[Shot]:
    at_s, number = 0.0, 0
    while at_s < HOUR_S:
        yield from slides(min(on_s, HOUR_S - at_s), 3 + 7 * number)
        at_s += on_s
        if at_s < HOUR_S:
            yield Shot(min(off_s, HOUR_S - at_s), off, "board")
        at_s, number = at_s + off_s, number + 1


CARD = words((80, 20, 20), "ACME SCALER 400", "No input: check the cable on HDMI 2")
PLUGGED_S = 737.36
LECTURES: dict[str, list[Shot]] = {
    "plugged in late": [Shot(PLUGGED_S, CARD, "board"), *slides(HOUR_S - PLUGGED_S, 1)],
    "slides and board, 5 minutes each": list(in_turn(300, 300.44, dark())),
    "4 minutes of slides, 6 of board": list(in_turn(240.2, 360, dark())),
    "a card that nobody knows": list(in_turn(420, 96.6, CARD)),
    "a film": [*slides(1500, 1), Shot(600.12, large_film(), "screen"), *slides(1499.88, 30)],
    "a slide for 25 minutes": [*slides(900, 1), *slides(1500, 14, (1500, 1501)), *slides(1200, 20)],
}


def write_lecture(path: Path, shots: Sequence[Shot], size: tuple[int, int] = SIZE) -> None:
    """Encode shots as a screen's encoder does: a key frame every two seconds."""
    count = 0
    with av.open(str(path), "w") as container:
        stream = cast(Any, container.add_stream("libx264", rate=RATE))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "26", "g": str(GROUP), "sc_threshold": "0"}
        for first, shot in zip(firsts(shots), shots, strict=True):
            drawn, frame = None, None
            for n in range(first[1] - first[0]):
                picture = shot.draw(n)
                if picture is not drawn or frame is None:
                    drawn = picture
                    frame = av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format="yuv420p")
                frame.pts, count = count, count + 1
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def firsts(shots: Sequence[Shot]) -> list[tuple[int, int]]:
    """Return the frames [first, end) of shots."""
    edges = [0, *np.round(np.cumsum([shot.seconds for shot in shots]) * RATE).astype(int).tolist()]
    return list(pairwise(edges))


# --- what came of them ----------------------------------------------------------------------------


def analysed(folder: Path, shots: Sequence[Shot]) -> Presence:
    """Do what a merge does before it encodes."""
    library = folder / "library"
    library.mkdir()
    write_lecture(library / "2026-11-20_10-00-00_504_screen.mp4", shots)
    zone = ZoneInfo("Europe/Moscow")
    span = Span(START, START + timedelta(seconds=firsts(shots)[-1][1] / RATE))
    request = MergeRequest("504", span, zone, Sources("camera", "screen", "board"))
    cache = folder / "cache"
    cache.mkdir()
    settings = load({"MERGER_CACHE": str(cache), "MERGER_READ_WORDS": "yes"})
    found = read_library(library, "504", request.sources.names, span, zone)
    with work_folder(cache) as work:
        tool = ffmpeg.find_tool(None)
        context = RenderContext(settings, tool, Watch(Silent()), lambda: False, work)
        return analyse_presence(context, request, found)


@dataclass(frozen=True)
class Score:
    """How decisions and chapters of a lecture compare with the truth. errors: in frames."""

    errors: list[int]
    missed: int
    false: int
    wrong_share: float
    slides: int
    found: int
    false_chapters: int
    hours: float


def score(shots: Sequence[Shot], presence: Presence) -> Score:
    spans = firsts(shots)
    frames = spans[-1][1]
    wanted = np.empty(frames, "U8")
    got = np.empty(frames, "U8")
    for (first, end), shot in zip(spans, shots, strict=True):
        wanted[first:end] = shot.right
    for decision in presence.decisions:
        first, end = (frame_at(at) for at in (decision.span.start, decision.span.end))
        got[first:end] = decision.right
    switches = (np.flatnonzero(wanted[1:] != wanted[:-1]) + 1).tolist()
    seen = (np.flatnonzero(got[1:] != got[:-1]) + 1).tolist()
    nearest = [min((other - at for other in seen), key=abs, default=frames) for at in switches]
    errors = [error for error in nearest if abs(error) <= FAR_FRAMES]
    false = len(seen) - len(errors)
    begins = [first / RATE for (first, _), shot in zip(spans, shots, strict=True) if shot.slide]
    chapters = [(c.span.start - START) / timedelta(seconds=1) for c in presence.chapters]
    hits = [min((abs(at - c) for c in chapters), default=1e9) <= CHAPTER_S for at in begins]
    strays = [min((abs(at - c) for at in begins), default=1e9) > CHAPTER_S for c in chapters]
    return Score(
        errors, len(switches) - len(errors), max(0, false), float((wanted != got).mean()),
        len(begins), sum(hits), sum(strays), frames / RATE / 3600,
    )  # fmt: skip


def frame_at(at: datetime) -> int:
    return round(Fraction((at - START) // timedelta(microseconds=1)) * RATE / 1_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lectures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of a lecture's name")
    names = parser.parse_args().names
    print("| lecture | switches | within 2 frames | farthest | missed | false an hour | wrong, % "
          "| slides | found | false an hour |")  # fmt: skip
    print("| --- |" + " ---: |" * 9)
    for name, shots in LECTURES.items():
        if names and not any(part in name for part in names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            one = score(shots, analysed(Path(folder), shots))
        near = sum(abs(error) <= 2 for error in one.errors)
        count = len(one.errors) + one.missed
        print(
            f"| {name} | {count} | {near} | {max(map(abs, one.errors), default=0)} | {one.missed} "
            f"| {one.false / one.hours:.1f} | {100 * one.wrong_share:.2f} | {one.slides} "
            f"| {one.found} | {one.false_chapters / one.hours:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
