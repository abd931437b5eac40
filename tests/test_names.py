"""Names and titles: what of them is shown, wherever they come from."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from google_apis.calendar.events import calendar_event
from merger.names import clean_name
from merger.timeline.clock import Span
from merger.timeline.files.filenames import result_stem

pytestmark = pytest.mark.quick

BACKWARDS = "\u202egnp.\u2066exe\u2069\x00 \x1b[2J\u200b\u00ad\u2028x\ufeff"
MOSCOW = ZoneInfo("Europe/Moscow")
START = datetime(2026, 11, 20, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (BACKWARDS, "gnp.exe [2J x"),
        ("  Матан,  часть\t2 \n", "Матан, часть 2"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a word of Persian
        ("👩\u200d🔬 e\u0301", "👩\u200d🔬 e\u0301"),
        ("a\ud800b", "ab"),
        ("\u202e\u200d\x00 ", ""),
        ("", ""),
    ],
)
def test_what_decides_how_text_is_shown_is_taken_out(typed: str, kept: str) -> None:
    assert clean_name(typed) == kept == clean_name(kept)


def test_no_file_name_has_it() -> None:
    span = Span(START, START + timedelta(hours=1))
    stem = result_stem(BACKWARDS, BACKWARDS, span, MOSCOW)
    assert {unicodedata.category(c) for c in stem} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()


def test_an_event_of_a_calendar_has_clean_names() -> None:
    event = {
        "id": "a", "summary": f"Algebra {BACKWARDS}", "description": "course: M\u202eATH-101",
        "start": {"dateTime": "2026-11-20T10:00:00Z"}, "end": {"dateTime": "2026-11-20T11:00:00Z"},
    }  # fmt: skip
    found = calendar_event("room", event, MOSCOW)
    assert found is not None
    assert (found.name, found.course_code) == ("Algebra gnp.exe [2J x", "MATH-101")
