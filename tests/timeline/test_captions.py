"""Chats and transcripts on the timeline of a record, as WebVTT that is valid whatever came in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from merger.timeline.captions import (
    Transcript,
    chat_captions,
    decode_text,
    parse_chat,
    parse_web_vtt,
    transcript_captions,
)
from merger.timeline.clock import Span

pytestmark = pytest.mark.quick

TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOUR = Span(TEN, TEN + timedelta(hours=1))
# The grammar of https://www.w3.org/TR/webvtt1/, as far as it is used here.
_LINE = r"(?:[^&<\n\r\0]|&(?:amp|lt|gt);)+\n"
_VALID = re.compile(
    rf"WEBVTT\n(?:\n(\d\d+:[0-5]\d:[0-5]\d\.\d{{3}} --> \d\d+:[0-5]\d:[0-5]\d\.\d{{3}})\n(?:{_LINE})+)+"
)


def at(minutes: float = 0, seconds: float = 0) -> datetime:
    return TEN + timedelta(minutes=minutes, seconds=seconds)


def cues(text: str | None) -> list[tuple[float, float, str]]:
    """Return begin, end and text of each cue, as another program reads them."""
    assert text is not None and _VALID.fullmatch(text), text
    assert not re.search(r"-->(?!.*\d\d\.\d{3}$)", text, re.MULTILINE)
    found = [
        (c.start_in_seconds + c.start_time.milliseconds / 1000,
         c.end_in_seconds + c.end_time.milliseconds / 1000, c.raw_text)
        for c in webvtt.from_string(text, strict=True)
    ]  # fmt: skip
    assert len(found) == text.count(" --> ")
    assert all(0 <= start < end for start, end, _ in found)
    assert [start for start, _, _ in found] == sorted(start for start, _, _ in found)
    return found


def chat(text: str | bytes, zero: datetime | None = TEN, span: Span = HOUR) -> str | None:
    content = text if isinstance(text, bytes) else text.encode()
    return chat_captions([(Transcript("chat.txt", "chat", zero), content)], span)


def transcript(
    text: str | bytes, *stretches: Span, zero: datetime | None = TEN, span: Span = HOUR
) -> str | None:
    content = text if isinstance(text, bytes) else text.encode()
    return transcript_captions(
        [(Transcript("t.vtt", "transcript", zero, stretches), content)], span
    )


# --- chats ----------------------------------------------------------------------------------------


def test_a_message_stands_where_it_was_written() -> None:
    """Its time counts from the start of the meeting, wherever recording and record begin."""
    record = Span(at(5), at(60))
    assert cues(chat("00:05:30\tAnn:\tIs it on?", span=record)) == [(30.0, 40.0, "Ann: Is it on?")]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("00:05:30\tAnn:\tHello\r\n00:05:31\tBob:\tHi", ["Ann: Hello", "Bob: Hi"]),
        ("00:05:30 From Ann to Everyone: Hello", ["Ann: Hello"]),
        ("00:05:30\t From  Ann  to  Everyone : Hello", ["Ann: Hello"]),
        ("00:05:30\t From Ann : Hello", ["Ann: Hello"]),
        (
            "00:05:30 From Ann to Everyone:\n\tHello\n\n\tagain\n00:05:31 From Bob To Everyone:\n\tHi",
            ["Ann: Hello\nagain", "Bob: Hi"],
        ),
        ("00:05:30\tAnn:\tsee\nhttps://example.org/a:b", ["Ann: see\nhttps://example.org/a:b"]),
        ("00:05:30\tAnn:\thttps://example.org", ["Ann: https://example.org"]),
        ("00:05:30\tRoad to Nowhere:\tHello", ["Road to Nowhere: Hello"]),
        ("00:05:30 From Road to Nowhere to Everyone: Hello", ["Road to Nowhere: Hello"]),
        ("00:05:30\tAnn:\tone:\ttwo", ["Ann: one: two"]),
        ("00:05:30 only a text", ["only a text"]),
        ("written before\n00:05:30\tAnn:\tHello", ["Ann: Hello"]),
        ("00:05:30\tAnn:\t\n\n", []),
        ("00:05:30\tАнна:\tПривет 👋", ["Анна: Привет 👋"]),
        ("", []),
    ],
)  # fmt: skip
def test_forms_of_chats(text: str, messages: list[str]) -> None:
    assert [said for _, said in parse_chat(decode_text(text.encode()))] == messages


@pytest.mark.parametrize(
    "whom", ["Bob(Direct Message)", "Bob (Direct Message)", "Bob(Privately)", "Hosts and panelists"]
)
def test_what_was_private_stays_so(whom: str) -> None:
    text = f"00:00:10 From Ann to {whom}:\n\tpsst\n00:00:20 From Ann to Everyone:\n\tHello"
    assert [said for _, _, said in cues(chat(text))] == ["Ann: Hello"]


def test_how_long_a_message_is_shown() -> None:
    """Until the next one, but long enough to be read, and no longer than that."""
    text = "".join(f"00:00:{s:02}\tAnn:\t{s}\n" for s in (1, 1, 2, 7, 30))
    shown = [(start, end) for start, end, _ in cues(chat(text))]
    assert shown == [(1, 3), (1, 3), (2, 7), (7, 17), (30, 40)]
    last = cues(chat("00:59:58\tAnn:\tBye"))
    assert last == [(3598, 3600, "Ann: Bye")]


def test_the_chats_of_two_meetings_are_one() -> None:
    both = [
        (Transcript("b", "chat", at(30)), b"00:00:05\tBob:\tSecond"),
        (Transcript("a", "chat", at(0)), b"00:29:00\tAnn:\tFirst"),
    ]
    assert [start for start, _, _ in cues(chat_captions(both, HOUR))] == [1740, 1805]


def test_what_was_written_outside_of_a_record_is_left_out() -> None:
    text = (
        "00:04:59\tAnn:\tbefore\n00:05:00\tAnn:\tfirst\n00:09:59\tAnn:\tlast\n00:10:00\tAnn:\tlate"
    )
    span = Span(at(5), at(10))
    assert [said for _, _, said in cues(chat(text, span=span))] == ["Ann: first", "Ann: last"]
    assert chat("00:04:59\tAnn:\tbefore", span=span) is None
    assert chat("00:05:30\tAnn:\tHello", zero=None) is None


# --- transcripts ----------------------------------------------------------------------------------

SAID = """WEBVTT

1
00:00:01.000 --> 00:00:04.500
Ann: Good morning.

2
00:05:00.000 --> 00:05:02.000
Ann: Five minutes.
"""


def test_a_transcript_counts_from_the_start_of_its_recording() -> None:
    placed = cues(transcript(SAID, zero=at(2, 10), span=Span(at(2), at(60))))
    assert placed == [(11.0, 14.5, "Ann: Good morning."), (310.0, 312.0, "Ann: Five minutes.")]


def test_what_was_said_after_a_pause_stands_where_it_was_said() -> None:
    """Recorded from 2:10, paused from 4:10 for 3:30: the file's 5:00 is at 10:40."""
    ran = Span(at(2, 10), at(4, 10)), Span(at(7, 40), at(30))
    placed = cues(transcript(SAID, *ran, zero=at(2, 10), span=Span(at(2), at(60))))
    assert [start for start, _, _ in placed] == [11.0, 60 * 10 + 40 - 120]


def test_a_cue_does_not_reach_into_a_pause() -> None:
    ran = Span(at(0), at(0, 3)), Span(at(1), at(10))
    (first, second) = cues(transcript(SAID, *ran))
    assert first == (1.0, 3.0, "Ann: Good morning.")
    assert second[0] == 60 + 300 - 3


def test_what_is_a_moment_behind_the_recording_is_kept_at_its_end() -> None:
    ran = Span(at(0), at(1)), Span(at(2), at(5, 59))  # 4:59 in all
    assert [start for start, _, _ in cues(transcript(SAID, *ran))] == [1.0, 359.0]


def test_a_recording_that_is_longer_than_its_stretches_is_placed_by_its_start() -> None:
    ran = Span(at(0), at(1)), Span(at(2), at(3))
    assert [start for start, _, _ in cues(transcript(SAID, *ran))] == [1.0, 300.0]


def test_what_was_said_outside_of_a_record_is_left_out() -> None:
    span = Span(at(0, 3), at(5, 1))
    assert [c[:2] for c in cues(transcript(SAID, span=span))] == [(0.0, 1.5), (297.0, 298.0)]
    assert transcript(SAID, span=Span(at(1), at(2))) is None
    hardly = Span(TEN, at(0, 1) + timedelta(microseconds=500))
    assert [c[:2] for c in cues(transcript(SAID, span=hardly))] == [(1.0, 1.001)]
    assert transcript(SAID, zero=None) is None


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ("00:01.000 --> 00:02.000\nshort", "short"),
        ("00:00:01,000 --> 00:00:02,000\nas in SRT", "as in SRT"),
        ("00:00:01.000 --> 00:00:02.000 align:start position:0%\nset", "set"),
        ("00:00:01.000 --> 00:00:02.000\n<v Ann>Hi</v>", "Ann: Hi"),
        ("00:00:01.000 --> 00:00:02.000\n<v.loud Ann B>Hi", "Ann B: Hi"),
        ("00:00:01.000 --> 00:00:02.000\nx &lt; y &amp;&amp; z", "x &lt; y &amp;&amp; z"),
        ("00:00:01.000 --> 00:00:02.000\nx < y", "x &lt; y"),
        ("00:00:01.000 --> 00:00:01.000\nno length", "no length"),
        ("00:00:01.000 --> 00:00:00.000\nbackwards", "backwards"),
        ("00:00:01.000 --> 9999:00:00.000\nfor ever", "for ever"),
        ("NOTE a --> b\n\n00:00:01.000 --> 00:00:02.000\nnoted", "noted"),
    ],
)
def test_forms_of_transcripts(block: str, text: str) -> None:
    [(start, _, said)] = cues(transcript(f"WEBVTT\n\n{block}\n"))
    assert (start, said) == (1.0, text)


# --- whatever comes -------------------------------------------------------------------------------

HOSTILE = [
    "00:00:01\tAnn:\t00:00:09.000 --> 00:00:10.000 <script>alert(1)</script> & &amp; &bogus;",
    "\ufeff00:00:01\tAnn:\tWEBVTT\n\nNOTE\n\nSTYLE\n::cue {}\n\n00:00:00.000 --> 00:00:01.000\nx",
    "00:00:01\tA\0n\x08n:\tnu\0l\x0b\x0c\x1c\x85\u2028\u2029end\r\r\nnext\rlast",
    "999:59:59\tAnn:\tabsurd\n00:00:01\tAnn:\tHello\n00:99:99\tAnn:\tno time",
    "00:00:01\t" + ":" * 100_000,
    "00:00:01\tAnn:\t" + "<v " * 33_000,
    "00:00:01\tAnn:\t" + "<v." * 33_000,
    "00:00:01\tAnn:\t" + " " * 100_000 + "x",
    "00:00:01\tFrom " + " to " * 25_000 + " to Everyone: x",
    "00:00:01\tAnn:\tx\n" + "\n".join("--> <b>" + "y" * 12 for _ in range(5_000)),
    "00:00:01\tAnn:\t-->\n" * 6_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_hostile_chats(text: str, encoding: str) -> None:
    made = chat(text.encode(encoding))
    for _, _, said in cues(made) if made else ():
        assert len(said) < 20_000
    blocks = text.replace("00:00:01\t", "\n\n00:00:01.000 --> 00:00:02.000\n")
    made = transcript(f"WEBVTT\n{blocks}".encode(encoding))
    assert made is None or cues(made)


def test_text_stays_text() -> None:
    [(_, _, said)] = cues(chat(HOSTILE[0]))
    assert said == (
        "Ann: 00:00:09.000 --&gt; 00:00:10.000 &lt;script&gt;alert(1)&lt;/script&gt; &amp; &amp;amp;"
        " &amp;bogus;"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(encoding: str, newline: str) -> None:
    text = f"00:00:01\tАнна:\tone{newline}two{newline}00:00:09\tBob:\tthree"
    found = [(start, said) for start, _, said in cues(chat(text.encode(encoding)))]
    assert found == [(1, "Анна: one\ntwo"), (9, "Bob: three")]


def test_other_encodings_are_no_errors() -> None:
    [(_, _, said)] = cues(chat("00:00:01\tАнна:\tПривет".encode("cp1251")))
    assert said == "����: ������"


PIECES = st.sampled_from(
    ["00:00:01", "00:00:02.000", " --> ", "\t", "\n", "\n\n", "From ", " to ", "Everyone", ": ", "<v ",
     ">", "&", "WEBVTT", "NOTE", "\r", "\0", "\u2028", "я", "9999:00:00.000"]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=5), max_size=60).map("".join) | st.binary(max_size=300))
def test_whatever_comes_valid_captions_go(text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    parse_web_vtt(decode_text(content))
    for made in (chat(content), transcript(content), transcript(content, Span(at(0), at(1)))):
        if made is not None:
            cues(made)
            made.encode()
