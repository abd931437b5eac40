"""Slides become chapters of the video, with their headings."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import cv2
import pytest

from merger.analysis.words.networks import are_there
from merger.media.verify import has_moov_in_front
from merger.render import ffmpeg
from merger.render.arguments import join_command
from merger.timeline.clock import Span
from merger.timeline.plan import Chapter
from merger.timeline.report import result_document
from merger.timeline.screen.chapter_marks import (
    ChapterMark,
    chapter_marks,
    marks_bytes,
    metadata_of,
)
from tests.analysis.watching.screens import Scene, still, write_screen
from tests.analysis.words.drawn import draw_slide
from tests.conftest import MOSCOW, START, Room
from tests.render.test_time import path_of
from tests.support.selection import BOTH_FFMPEGS

RATE = Fraction(5)
SIZE = (640, 360)


def shown(heading: str, number: int, length_s: float, bullets: int = 3) -> Scene:
    picture = draw_slide(heading, number, "en", bullets)
    small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
    return Scene(round(length_s * RATE), still(small))


def chapters_of(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]  # fmt: skip


def test_each_slide_is_a_chapter_of_the_video(one_room: Room) -> None:
    room = one_room
    room.film("speaker", 0, 28)
    path = room.library / "2026-11-20_10-00-04_504_screen.mp4"
    write_screen(
        path,
        [
            shown("Limits of functions", 0, 3, bullets=1),
            shown("Limits of functions", 0, 3, bullets=2),
            shown("The chain rule", 1, 5),
            shown("Hash tables", 2, 1),
            shown("Convex sets", 3, 5),
            shown("Game theory", 4, 3, bullets=1),
            shown("Game theory", 4, 4, bullets=4),
        ],
        rate=RATE, group=10, size=SIZE,
    )  # fmt: skip
    room.environ["MERGER_READ_WORDS"] = "yes"
    result = room.merge(28)
    expected = [
        (0, 4, "Without slides"), (4, 10, "Limits of functions"), (10, 15, "The chain rule"),
        (15, 21, "Convex sets"), (21, 28, "Game theory"),
    ]  # fmt: skip
    if not are_there():
        expected = [(a, b, f"Slide {n}" if n else name) for n, (a, b, name) in enumerate(expected)]
    assert chapters_of(path_of(result)) == [
        (a, pytest.approx(b, abs=0.1), n) for a, b, n in expected
    ]
    assert has_moov_in_front(path_of(result))
    document = result_document(result, MOSCOW)
    [caption], chapters = document["captions"], document["chapters"]
    assert Path(caption["path"]).name.endswith("_chapters.vtt")
    text = Path(caption["path"]).read_text(encoding="utf-8")
    assert f"00:00:15.000 --> 00:00:21.000\n{expected[3][2]}\n" in text
    plan = json.loads(next(room.output.glob("*.plan.json")).read_text())
    for told, (start, _, name) in zip(chapters, expected[1:], strict=True):
        assert datetime.fromisoformat(told["start"]) == START + timedelta(seconds=start)
        assert not are_there() or (told["title"] == name and told["words"].startswith(name))
    assert [c["title"] for c in plan["chapters"]] == [c["title"] for c in chapters]
    assert all(chapter.picture[:3] == b"\xff\xd8\xff" for chapter in result.plan.chapters)


@pytest.mark.quick
def test_what_is_between_slides_is_a_chapter_too() -> None:
    span = Span(START, START + timedelta(seconds=100))
    at = [START + timedelta(seconds=n) for n in (10, 30, 60, 100)]
    chapters = [Chapter(Span(at[0], at[1]), "Суммы"), Chapter(Span(at[2], at[3]))]
    assert chapter_marks([], span, "en") == []
    assert chapter_marks(chapters, span, "ru") == [
        ChapterMark(0, 10_000, "Без слайдов"), ChapterMark(10_000, 30_000, "Суммы"),
        ChapterMark(30_000, 60_000, "Без слайдов"), ChapterMark(60_000, 100_000, "Слайд 2"),
    ]  # fmt: skip


@BOTH_FFMPEGS
def test_names_are_names_whatever_they_hold_and_the_index_has_room(
    tmp_path: Path, tool: ffmpeg.Tool
) -> None:
    names = ["a=b;c#d\\e", "[CHAPTER]", "title=x", "ж" * 127, *(f"Slide {n}" for n in range(1000))]
    marks = [ChapterMark(n, n + 1, name) for n, name in enumerate(names)]

    def run(*arguments: str) -> None:
        command = [tool.path, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "chapters").write_text(metadata_of(marks), encoding="utf-8")
    run("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=2", "-c:v", "libx264", "v.mp4")
    run("-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac", "a.m4a")
    (tmp_path / "list").write_text("ffconcat version 1.0\nfile v.mp4\n")
    index = ("-moov_size", str(marks_bytes(marks) + 65_536))
    run(*join_command("list", "a.m4a", "out.mp4", index, "chapters"))
    assert [name for *_, name in chapters_of(tmp_path / "out.mp4")] == names
    assert has_moov_in_front(tmp_path / "out.mp4")
