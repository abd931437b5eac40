"""Chats and transcripts of meetings on the timeline of a record, as WebVTT. Pure.

Strangers wrote what is read: whatever it is, what is returned is valid WebVTT in which their text
is text. What makes no sense is left out; the files themselves are kept for who wants all of them.

A merge shows gaps and pauses at their full length, so every instant of its span has a place, and
nothing is moved. Only what a transcript holds behind the end of its recording is kept at that end.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from merger.i18n import say
from merger.timeline.clock import Span
from merger.timeline.plan import Chapter

# A message is shown until the next one, within these limits: long enough to be read, and not for so
# long that it seems to belong to what is said by then.
_SHORTEST, _LONGEST = timedelta(seconds=2), timedelta(seconds=10)
# A cue of a transcript that ends where it begins, or before.
_MOMENT = timedelta(seconds=1)
# By so much a transcript may go on behind its stretches; else they are not of it.
_LARGEST_DIFFERENCE = timedelta(seconds=2)
_MS = timedelta(milliseconds=1)
_LONGEST_TEXT = 1_000  # characters of one cue; more does not fit on any picture

_STAMP = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d)[ \t]+", re.ASCII)
_RECIPIENT = re.compile(r"(.*) to (.*)", re.IGNORECASE)
# What is for everybody who was there; the rest was private.
_EVERYBODY = ("everyone", "all panelists and attendees")
_TIME = r"(?:(\d{1,4}):)?([0-5]\d):([0-5]\d)[.,](\d{3})"
_TIMING = re.compile(rf"[ \t]*{_TIME}[ \t]*-->[ \t]*{_TIME}", re.ASCII)
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]([^<>]*)>")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&lrm;": "", "&rlm;": "", "&amp;": "&"}
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Control characters, and what some programs take for the end of a line.
_DROPPED = dict.fromkeys(
    code for code in (*range(0x20), *range(0x7F, 0xA0), 0xFEFF) if chr(code) not in "\t\n"
)
_CLEANED = str.maketrans({**_DROPPED, "\t": " ", "\u2028": " ", "\u2029": " "})


@dataclass(frozen=True)
class Transcript:
    """A chat or a transcript that belongs to a recording, and where its times lie.

    name: of its file. kind: `chat` or `transcript`. zero: the instant from which its times count;
    None where that is not known, or the same is in another file: then it is not placed.
    stretches: when the recording ran, where it was paused: the times of a transcript go on from the
    end of each with the beginning of the next.
    """

    name: str
    kind: str
    zero: datetime | None = None
    stretches: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Cue:
    """What was said, and when, in the time of its file."""

    start: timedelta
    end: timedelta
    text: str


@dataclass(frozen=True)
class _PlacedCue:
    span: Span
    text: str


def chat_captions(chats: Iterable[tuple[Transcript, bytes]], span: Span) -> str | None:
    """Return chats as WebVTT whose time 0 is the start of a record; None without any message.

    Args:
        chats: with what their files hold.
        span: of the record; what was written outside of it is left out.
    """
    written = [
        (chat.zero + at, text)
        for chat, content in chats
        if chat.zero is not None
        for at, text in parse_chat(decode_text(content))
    ]
    shown = sorted((pair for pair in written if pair[0] in span), key=lambda pair: pair[0])
    ends = [*(at for at, _ in shown[1:]), span.end]
    return _web_vtt(
        [
            _PlacedCue(Span(at, min(max(end, at + _SHORTEST), at + _LONGEST)), text)
            for (at, text), end in zip(shown, ends, strict=False)
        ],
        span,
    )


def transcript_captions(transcripts: Iterable[tuple[Transcript, bytes]], span: Span) -> str | None:
    """Return transcripts as WebVTT whose time 0 is the start of a record; None without any text.

    Args:
        transcripts: with what their files hold.
        span: of the record; what was said outside of it is left out.
    """
    cues = [
        cue
        for transcript, content in transcripts
        for cue in _place(transcript, parse_web_vtt(decode_text(content)))
    ]
    return _web_vtt(sorted(cues, key=lambda cue: cue.span), span)


def chapter_captions(chapters: Sequence[Chapter], span: Span, language: str) -> str | None:
    """Return the slides of a record as WebVTT chapters; None without any.

    Args:
        language: of the names of slides whose heading could not be read.
    """
    return _web_vtt(
        [
            _PlacedCue(chapter.span, chapter_name(chapter, number, language))
            for number, chapter in enumerate(chapters, 1)
        ],
        span,
    )


def chapter_name(chapter: Chapter, number: int, language: str) -> str:
    """Return the heading of a slide, or else its number, which counts from 1."""
    return _clean([chapter.title]) or say(language, "chapters.untitled", number=number)


# --- what is read ---------------------------------------------------------------------------------


def decode_text(content: bytes) -> str:
    """Return the text of a file in UTF-8, or in what its first bytes say; with `\\n` alone."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if is_utf16 else "utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def parse_chat(text: str) -> list[tuple[timedelta, str]]:
    """Return when each message of a chat was written, and `NAME: text`; not of private ones.

    In the file of a cloud recording, a message is `00:05:30 NAME: text`, with tabs. In one that a
    participant has saved, it is `00:05:30 From NAME to Everyone: text`, or the text is in the lines
    below. What does not begin with a time belongs to the message above.
    """
    messages: list[tuple[timedelta, str | None, list[str]]] = []
    for line in text.split("\n"):
        stamp = _STAMP.match(line)
        if stamp is None:
            if messages:
                messages[-1][2].append(line)
            continue
        hours, minutes, seconds = map(int, stamp.groups())
        at = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        who, text_here = _split_message(line[stamp.end() :])
        messages.append((at, _public_name(who), [text_here]))
    return [
        (at, f"{name}: {said}" if name else said)
        for at, name, lines in messages
        if name is not None and (said := _clean(lines))
    ]


def _split_message(line: str) -> tuple[str, str]:
    """Return who a message is from, perhaps to whom, and what stands behind the colon."""
    at = line.find(":")
    while at != -1 and line[at + 1 : at + 2] not in ("", " ", "\t"):  # such as in an address
        at = line.find(":", at + 1)
    return ("", line) if at == -1 else (line[:at], line[at + 1 :])


def _public_name(who: str) -> str | None:
    """Return who has written a message; None where it was not for everybody."""
    name = " ".join(_clean([who]).split())
    if not name.startswith("From "):
        return name
    name = name.removeprefix("From ")
    addressed = _RECIPIENT.fullmatch(name)
    if addressed is None:
        return name
    return addressed[1] if addressed[2].lower().startswith(_EVERYBODY) else None


def parse_web_vtt(text: str) -> list[Cue]:
    """Return the cues of a transcript in WebVTT, or in what is like it."""
    cues: list[tuple[timedelta, timedelta, list[str]]] = []
    is_text = False
    for line in text.split("\n"):
        timing = _TIMING.match(line) if "-->" in line else None
        if timing is not None:
            first, last = timing.groups()[:4], timing.groups()[4:]
            cues.append((_length_of(first), _length_of(last), []))
            is_text = True
        elif not line.strip():
            is_text = False
        elif is_text:
            cues[-1][2].append(line)
    return [
        Cue(start, end if end > start else start + _MOMENT, said)
        for start, end, lines in cues
        if (said := _clean(map(_plain_text, lines)))
    ]


def _length_of(groups: Sequence[str | None]) -> timedelta:
    hours, minutes, seconds, ms = (int(digits or 0) for digits in groups)
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=ms)


def _plain_text(line: str) -> str:
    """Return a line of a cue as it is to be read: who speaks, and characters for their names."""
    line = _VOICE.sub(lambda voice: f"{voice[1].strip()}: ", line).replace("</v>", "")
    for entity, character in _ENTITIES.items():
        line = line.replace(entity, character)
    return line


def _clean(lines: Iterable[str]) -> str:
    """Return lines without what no text needs, and without empty ones, which would end a cue."""
    kept = (line.translate(_CLEANED).strip() for line in lines)
    text = "\n".join(line for line in kept if line)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT].rstrip()}…"


# --- where it belongs -----------------------------------------------------------------------------


def _place(transcript: Transcript, cues: Sequence[Cue]) -> Iterator[_PlacedCue]:
    """Yield the cues of a transcript on the wall clock; nothing where it has no place there."""
    if transcript.zero is None or not cues:
        return
    stretches = transcript.stretches
    length = sum((stretch.length for stretch in stretches), timedelta())
    if max(cue.start for cue in cues) > length + _LARGEST_DIFFERENCE:
        stretches = ()  # a pause was not reported: the start alone is believed
    for cue in cues:
        at, until = _place_start(cue.start, transcript.zero, stretches)
        end = at + (cue.end - cue.start)
        # What was said before a pause is not shown in it.
        yield _PlacedCue(Span(at, max(min(end, until or end), at + _MOMENT)), cue.text)


def _place_start(
    at: timedelta, zero: datetime, stretches: Sequence[Span]
) -> tuple[datetime, datetime | None]:
    """Return the instant of a time of a transcript, and when its stretch ends, if it is in one."""
    if not stretches:
        return zero + at, None
    for stretch in stretches:
        if at < stretch.length:
            return stretch.start + at, stretch.end
        at -= stretch.length
    return stretches[-1].end, None


# --- what is written ------------------------------------------------------------------------------


def _web_vtt(cues: Iterable[_PlacedCue], span: Span) -> str | None:
    """Return cues as WebVTT with times from the start of a span; None where none is in there."""
    blocks = []
    for cue in cues:
        shown = cue.span.cut_to(span)
        if shown:
            start_ms = (shown.start - span.start) // _MS
            end_ms = max((shown.end - span.start) // _MS, start_ms + 1)
            timing = f"{_time_text(start_ms)} --> {_time_text(end_ms)}"
            blocks.append(f"{timing}\n{cue.text.translate(_ESCAPES)}\n")
    return "\n".join(["WEBVTT\n", *blocks]) if blocks else None


def _time_text(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{ms:03}"
