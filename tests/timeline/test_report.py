"""What a merge tells programs: sentences in English, and beside each its key and parameters."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from merger.errors import Invalid
from merger.i18n import Message, from_json, render
from merger.timeline.clock import Span
from merger.timeline.plan import Chunk, EditPlan, Sources, plan_edit
from merger.timeline.report import (
    MergeResult,
    failure_document,
    result_document,
    warnings_about,
    warnings_of,
)
from merger.timeline.screen.decisions import decide_chunks

pytestmark = pytest.mark.quick

START = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
MINUTE = Span(START, START + timedelta(minutes=1))
MOSCOW = ZoneInfo("Europe/Moscow")
SOURCES = Sources("camera", "slides")


def plan_of_nothing(layout: str = "side_by_side") -> EditPlan:
    chunk = Chunk(MINUTE, False, "missing", Fraction(0), 0)
    return plan_edit(MINUTE, Fraction(25), layout, SOURCES, [], [chunk], decide_chunks([chunk]))


def test_the_owner_reads_what_is_missing_in_any_language() -> None:
    warnings = warnings_about(plan_of_nothing(), MOSCOW, SOURCES, "side_by_side")
    assert [str(warning) for warning in warnings] == [
        "camera has no pictures from 10:00:00 to 10:01:00",
        "slides has no pictures from 10:00:00 to 10:01:00",
        "there is no sound for 60.0 s; the video is silent there",
        "neither screen nor board had anything to show: the video shows the speaker alone,"
        " and there is no backup",
    ]
    assert render("ru", warnings[0]) == "camera: нет картинки с 10:00:00 до 10:01:00"
    assert render("ru", warnings[2]) == "звука нет ни с одного источника (всего 60.0 с), там тишина"


def test_who_wanted_the_speaker_alone_is_not_told_that_there_is_no_screen() -> None:
    plan = plan_of_nothing("speaker_only")
    keys = [w.key for w in warnings_about(plan, MOSCOW, SOURCES, "speaker_only")]
    assert keys == ["timeline.gap", "timeline.gap", "timeline.silence"]


def test_each_sentence_stands_beside_its_message() -> None:
    reason = Message(
        "analysis.reason", count=3, verdict=Message("verdict.no_signal"),
        why=Message("analysis.matches_card", card="EBU bars, 75 %", likeness=0.98),
    )  # fmt: skip
    gap = Message("timeline.gap", source="camera", start="10:00:00", end="10:01:00")
    result = MergeResult(plan_of_nothing(), [], "libx264", [gap], [[reason]])
    document = result_document(result, MOSCOW)
    assert document["warnings"] == ["camera has no pictures from 10:00:00 to 10:01:00"]
    assert document["warning_messages"] == [
        {
            "key": "timeline.gap",
            "params": {"source": "camera", "start": "10:00:00", "end": "10:01:00"},
        }
    ]
    [chunk] = document["chunks"]
    assert chunk["reasons"] == [
        "3 pictures: no signal (matches the card 'EBU bars, 75 %', similarity 0.98)"
    ]
    assert [from_json(message) for message in chunk["reason_messages"]] == [reason]
    assert warnings_of(document) == [gap]


def test_a_report_that_holds_sentences_alone_says_the_same() -> None:
    """So wrote the version before messages had keys."""
    [warning] = warnings_of({"warnings": ["camera has no pictures"]})
    assert str(warning) == render("ru", warning) == "camera has no pictures"
    assert warnings_of({}) == []


def test_a_failure_has_its_key() -> None:
    error = Invalid("end", "timeline.too_long")
    document = failure_document(error, f"--end: {error}", MINUTE, MOSCOW)
    assert document["error"] == {
        "code": "end", "message": "--end: a recording can be at most 24 hours long",
        "key": "timeline.too_long", "params": {},
    }  # fmt: skip
    assert document["span"] == {
        "start": "2026-11-20T10:00:00+03:00", "end": "2026-11-20T10:01:00+03:00",
    }  # fmt: skip
    same = result_document(MergeResult(plan_of_nothing(), [], "x", [], [[]]), MOSCOW)
    assert document.keys() - {"error"} == same.keys()
