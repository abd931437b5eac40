"""What stands beside the speaker: the screen is watched or sampled, and what was seen is kept.

All is kept in the cache by what it depends on: who tries again decides the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

from merger.analysis.cards import Card
from merger.analysis.sampling import Look, sample_chunk
from merger.analysis.watching.summary import summarise
from merger.analysis.watching.watch import watch
from merger.analysis.words.networks import are_there
from merger.analysis.words.slide_text import SlideText, read_slide_text, reading_facts
from merger.i18n import Message, from_json, to_json
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.library import Library, segments
from merger.render.context import MergeRequest, RenderContext
from merger.render.screen.frozen import warn_of_frozen
from merger.render.screen.writing import find_writing
from merger.timeline.clock import Clip, Span, Stretch, Track, microseconds, picture_track
from merger.timeline.media import MediaFile
from merger.timeline.plan import Chapter, Chunk, Decision, Verdict
from merger.timeline.screen.both import find_standing, show_both, stand_longer
from merger.timeline.screen.chapters import Slide, find_slides, join_same
from merger.timeline.screen.decisions import decide_chunks, decide_instants, overrule
from merger.timeline.screen.signals import (
    NO_MEDIA,
    WINDOW_US,
    Change,
    Mark,
    Observation,
    Picture,
    ScreenSignal,
    Shown,
    screen_signal,
    windows_of,
)
from merger.timeline.screen.stills import Still, find_own, find_stills
from merger.timeline.zones import half_hour_chunks

# Raise it when the same pictures would be judged otherwise, such as by other cards that ship.
ANALYSIS = 6
_NO_WORDS = "no words were read"


@dataclass(frozen=True)
class Presence:
    """What the screen showed in each chunk, what was decided for each instant, and the slides.

    Attributes:
        warnings: about files that could not be looked at, and pictures that stand too long.
        stills: pictures that stood, of which a room learns its own.
        own: for how long each stood that is known to be the room's own, by its number.
    """

    looks: Sequence[Look]
    decisions: Sequence[Decision]
    warnings: Sequence[Message] = ()
    chapters: Sequence[Chapter] = ()
    stills: Sequence[Still] = ()
    own: Mapping[int, timedelta] = field(default_factory=dict)

    @property
    def chunks(self) -> list[Chunk]:
        return [look.chunk for look in self.looks]


def analyse_presence(context: RenderContext, request: MergeRequest, library: Library) -> Presence:
    """Decide what stands beside the speaker; what was looked at before is not looked at again."""
    screen = request.sources.screen
    still_us = microseconds(context.settings.screen_still)
    found = segments(library.entries, screen, {}, still_us)
    track = picture_track(screen, request.span, found) if screen else None
    cells = half_hour_chunks(request.span, request.chunk, request.zone)
    if request.decide == "chunk":
        looks = _sample(context, request, library, track, cells)
        unseen = [warning for look in looks for warning in look.warnings]
        decided = decide_chunks([look.chunk for look in looks])
        return Presence(looks, overrule(decided, request.overrules), unseen)
    signal, warnings = _screen_signal(context, request, library, track)
    warnings += warn_of_frozen(context, request, library, signal)
    looks = [summarise(signal, cell) for cell in cells]
    decided = decide_instants(signal)
    if request.both_after is not None:
        standing = find_standing(signal)
        late = stand_longer(standing, request.both_after)
        writing = find_writing(context, request, library, late)
        decided = show_both(decided, standing, writing, request.both_after)
    decisions = overrule(decided, request.overrules)
    chapters = _read_chapters(context, find_slides(signal, decisions))
    if request.screen_is_known:  # it never shows what nobody presents
        return Presence(looks, decisions, warnings, chapters)
    stills, own = find_stills(signal), find_own(signal)
    return Presence(looks, decisions, warnings, chapters, stills, own)


# --- every instant ----------------------------------------------------------------------------


def _screen_signal(
    context: RenderContext, request: MergeRequest, library: Library, track: Track | None
) -> tuple[ScreenSignal, list[Message]]:
    """Return what the screen shows, and warnings about files that could not be looked at."""
    if track is None:
        return ScreenSignal((Shown(request.span, "missing", NO_MEDIA),)), []
    wanted = list(dict.fromkeys(
        (clip.segment.file, n) for clip in track.clips for n in windows_of(clip)
    ))  # fmt: skip
    # Words of a screen whose recorder knows what it shows are evidence of nothing.
    reads = context.settings.read_words and are_there() and not request.screen_is_known
    seen: dict[tuple[str, int], Observation] = {}
    unseen: list[Message] = []
    for done, (file, n) in enumerate(wanted):
        context.progress(done, len(wanted))
        name = f"{_window_hash(library.identities[file], n, request.cards, reads)}.watched.json"
        facts = context.cache.recall(name, context.work)
        if facts:
            seen[file, n] = _observation_of(facts)
            continue
        media = library.media[file]
        try:
            with context.budget.slot(context.cancelled):
                seen[file, n] = watch_window(media, n, request.cards, reads)
        except Unreadable as error:  # the next run looks again: what ended may not end then
            unseen.append(Message("media.of_file", file=media.path.name, what=error.message))
            continue
        context.cache.remember(name, _facts_of_observation(seen[file, n]), context.work)
    signal = screen_signal(track, seen)
    if request.screen_is_known:
        signal = _believe(signal, track)
    return signal, list(dict.fromkeys(unseen))


def watch_window(file: MediaFile, n: int, own_cards: Sequence[Card], reads: bool) -> Observation:
    """Return what a window of a file shows. Raises Unreadable, Temporary or Broken."""
    stretch = Stretch(n * WINDOW_US, (n + 1) * WINDOW_US)
    return reader.call(watch, file, stretch, own_cards, reads=reads)


def _believe(signal: ScreenSignal, track: Track) -> ScreenSignal:
    """Return that a presentation is shown wherever there is media: the recorder knows."""
    known = Message("analysis.recorder_knows")
    shown = [
        Shown(item.span, "presentation", known)
        if isinstance(item, Clip)
        else Shown(item.span, "missing", NO_MEDIA)
        for item in track.items
    ]
    pictures = [replace(picture, kind="presentation") for picture in signal.pictures]
    return replace(signal, shown=tuple(shown), pictures=tuple(pictures))


def _window_hash(identity: str, n: int, own_cards: Sequence[Card], reads: bool) -> str:
    how = _card_facts(own_cards) if reads else [*_card_facts(own_cards), _NO_WORDS]
    return _hash([ANALYSIS, WINDOW_US, identity, n, how])


def _facts_of_observation(seen: Observation) -> list[Any]:
    return [
        [[mark.at_us, mark.kind, to_json(mark.reason)] for mark in seen.marks],
        [[change.at_us, change.is_build] for change in seen.changes],
        seen.looks_us,
        [_facts_of_picture(picture) for picture in seen.pictures],
        [_facts_of_picture(picture) for picture in seen.slides],
    ]


def _observation_of(facts: Sequence[Any]) -> Observation:
    marks, changes, looks_us, pictures, slides = facts
    return Observation(
        tuple(Mark(at_us, kind, from_json(reason)) for at_us, kind, reason in marks),
        tuple(Change(at_us, is_build) for at_us, is_build in changes),
        tuple(looks_us),
        tuple(_picture_of(*picture) for picture in pictures),
        tuple(_picture_of(*picture) for picture in slides),
    )


def _facts_of_picture(picture: Picture) -> list[Any]:
    return [picture.at_us, picture.kind, base64.b64encode(picture.jpeg).decode()]


def _picture_of(at_us: int, kind: Verdict, jpeg: str) -> Picture:
    return Picture(at_us, kind, base64.b64decode(jpeg))


# --- slides ------------------------------------------------------------------------------------


def _read_chapters(context: RenderContext, slides: Sequence[Slide]) -> list[Chapter]:
    """Return slides with their text: each is read once, whoever shows it again."""
    chapters = []
    for n, slide in enumerate(slides):
        context.progress(n, len(slides))
        text = _read_once(context, slide.jpeg) if slide.jpeg else _NO_TEXT
        chapters.append(Chapter(slide.span, text.title, text.words, text.picture))
    return join_same(chapters)


_NO_TEXT = SlideText("", "", b"")


def _read_once(context: RenderContext, jpeg: bytes) -> SlideText:
    reads = context.settings.read_words
    facts_of_reading = reading_facts() if reads else [_NO_WORDS]
    name = f"{_hash([*facts_of_reading, hashlib.sha256(jpeg).hexdigest()])}.slide.json"
    facts = context.cache.recall(name, context.work)
    if facts:
        title, words, picture = facts
        return SlideText(title, words, base64.b64decode(picture))
    with context.budget.slot(context.cancelled):
        try:
            text = read_slide_text(jpeg, reads=reads)
        except Unreadable:  # a chapter without a heading is one, too
            return _NO_TEXT
    facts = [text.title, text.words, base64.b64encode(text.picture).decode()]
    context.cache.remember(name, facts, context.work)
    return text


# --- half hours -------------------------------------------------------------------------------


def _sample(
    context: RenderContext,
    request: MergeRequest,
    library: Library,
    track: Track | None,
    cells: Sequence[Span],
) -> list[Look]:
    if request.screen_is_known:
        return [_look_at_shared(cell, track) for cell in cells]
    reads = context.settings.read_words and are_there()
    looks: list[Look] = []
    for n, cell in enumerate(cells):
        context.progress(n, len(cells))
        name = f"{_chunk_hash(cell, track, library.identities, request.cards, reads)}.chunk.json"
        facts = context.cache.recall(name, context.work)
        if facts:
            looks.append(_look_of(cell, facts))
            continue
        with context.budget.slot(context.cancelled):
            look = sample_chunk(cell, track, library.media, request.cards, reads=reads)
        if not look.warnings:  # else the next run looks again: what ended may not end then
            context.cache.remember(name, _facts_of(look), context.work)
        looks.append(look)
    return looks


def _look_at_shared(cell: Span, track: Track | None) -> Look:
    """Return that a presentation is shown in a chunk in which there is media of the screen."""
    is_there = any(clip.span.cut_to(cell) for clip in (track.clips if track else ()))
    chunk = Chunk(cell, is_there, "presentation" if is_there else "missing", Fraction(is_there), 0)
    return Look(chunk, [Message("analysis.recorder_knows")], [])


def _chunk_hash(
    cell: Span,
    track: Track | None,
    identities: Mapping[str, str],
    own_cards: Sequence[Card],
    reads: bool = True,
) -> str:
    """Return a name for all that a chunk's verdict depends on."""
    clips = [
        [
            str(clip.span), identities[clip.segment.file], str(clip.segment.clock),
            [str(stretch) for stretch in clip.segment.pictures],
        ]
        for clip in (track.clips if track else ())
        if clip.span.cut_to(cell)
    ]  # fmt: skip
    how = _card_facts(own_cards) if reads else [*_card_facts(own_cards), _NO_WORDS]
    return _hash([ANALYSIS, str(cell), track is None, clips, how])


def _facts_of(look: Look) -> list[Any]:
    chunk = look.chunk
    score = [chunk.score.numerator, chunk.score.denominator]
    reasons = [to_json(reason) for reason in look.reasons]
    return [chunk.presence, chunk.verdict, score, chunk.samples, reasons, look.pictures]


def _look_of(cell: Span, facts: Sequence[Any]) -> Look:
    presence, verdict, score, samples, reasons, pictures = facts
    chunk = Chunk(cell, presence, verdict, Fraction(*score), samples)
    return Look(chunk, [from_json(reason) for reason in reasons], pictures)


# --- names in the cache -----------------------------------------------------------------------


def _card_facts(own_cards: Sequence[Card]) -> list[Any]:
    return [
        [card.name, card.kind, card.spare, hashlib.sha256(card.signatures.tobytes()).hexdigest()]
        if card.learned is None
        else [
            card.name, card.kind, hashlib.sha256(card.signatures.tobytes()).hexdigest(),
            hashlib.sha256(card.learned.varies.tobytes()).hexdigest(),
        ]
        for card in own_cards
    ]  # fmt: skip


def _hash(facts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:40]
