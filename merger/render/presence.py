"""In which chunks a presentation is shown: looked at once, and kept in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from merger.analysis.cards import Card
from merger.analysis.sampling import Look, sample_chunk
from merger.i18n import Message, from_json, to_json
from merger.media.library import Library, segments
from merger.render.context import MergeRequest, RenderContext
from merger.timeline.clock import Span, Track, microseconds, picture_track
from merger.timeline.plan import Chunk
from merger.timeline.zones import half_hour_chunks

# Raise it when the same pictures would be judged otherwise, such as by other cards that ship.
ANALYSIS = 5


def analyse_presence(context: RenderContext, request: MergeRequest, library: Library) -> list[Look]:
    """Decide presence for each chunk; what was decided before is not looked at again."""
    screen = request.sources.screen
    still_us = microseconds(context.settings.screen_still)
    found = segments(library.entries, screen, {}, still_us)
    track = picture_track(screen, request.span, found) if screen else None
    cells = half_hour_chunks(request.span, request.chunk, request.zone)
    if request.screen_is_known:
        return [_look_at_shared(cell, track) for cell in cells]
    looks: list[Look] = []
    for n, cell in enumerate(cells):
        context.progress(n, len(cells))
        name = f"{_chunk_hash(cell, track, library.identities, request.cards)}.chunk.json"
        facts = context.cache.recall(name, context.work)
        if facts:
            looks.append(_look_of(cell, facts))
            continue
        with context.budget.slot(context.cancelled):
            look = sample_chunk(cell, track, library.media, request.cards)
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
    cell: Span, track: Track | None, identities: Mapping[str, str], own_cards: Sequence[Card]
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
    card_facts = [
        [card.name, card.kind, card.spare, hashlib.sha256(card.signatures.tobytes()).hexdigest()]
        for card in own_cards
    ]
    text = json.dumps([ANALYSIS, str(cell), track is None, clips, card_facts])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _facts_of(look: Look) -> list[Any]:
    chunk = look.chunk
    score = [chunk.score.numerator, chunk.score.denominator]
    reasons = [to_json(reason) for reason in look.reasons]
    return [chunk.presence, chunk.verdict, score, chunk.samples, reasons, look.pictures]


def _look_of(cell: Span, facts: Sequence[Any]) -> Look:
    presence, verdict, score, samples, reasons, pictures = facts
    chunk = Chunk(cell, presence, verdict, Fraction(*score), samples)
    return Look(chunk, [from_json(reason) for reason in reasons], pictures)
