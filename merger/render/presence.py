"""In which chunks a presentation is shown; what was decided before is not looked at again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from merger.analysis.cards import Card, shipped_cards
from merger.analysis.sampling import Look, sample_chunk
from merger.i18n import Message, from_json, to_json
from merger.media.library import Library, segments
from merger.render.context import MergeRequest, RenderContext
from merger.timeline.clock import Span, Track, picture_track
from merger.timeline.plan import Chunk
from merger.timeline.zones import half_hour_chunks

# Raise it when the same pictures would be judged otherwise.
ANALYSIS = 3


def analyse_presence(around: RenderContext, request: MergeRequest, library: Library) -> list[Look]:
    """Decide presence for each chunk; what was decided before is not looked at again."""
    screen = request.sources.screen
    here = segments(library.entries, screen, {})
    track = picture_track(screen, request.span, here) if screen else None
    cells = half_hour_chunks(request.span, request.chunk, request.zone)
    if request.screen_is_known:
        return [_known_seen(cell, track) for cell in cells]
    cards = (*shipped_cards(), *request.cards)
    seen: list[Look] = []
    for n, cell in enumerate(cells):
        around.progress(n, len(cells))
        name = f"{_chunk_hash(cell, track, library.identities, cards)}.chunk.json"
        known = around.cache.recall(name, around.work)
        if known:
            seen.append(_chunk_known(cell, known))
            continue
        with around.budget.slot(around.cancelled):
            one = sample_chunk(cell, track, library.media, cards)
        around.cache.remember(name, _facts(one), around.work)
        seen.append(one)
    return seen


def _known_seen(cell: Span, track: Track | None) -> Look:
    """Return that a presentation is shown in a chunk in which there is media of the screen."""
    is_there = any(clip.span.cut_to(cell) for clip in (track.clips if track else ()))
    chunk = Chunk(cell, is_there, "presentation" if is_there else "missing", Fraction(is_there), 0)
    return Look(chunk, [Message("analysis.recorder_knows")], [])


def _chunk_hash(
    cell: Span, track: Track | None, identities: Mapping[str, str], cards: Sequence[Card]
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
    known = [
        [card.name, card.spare, hashlib.sha256(card.signatures.tobytes()).hexdigest()]
        for card in cards
    ]
    text = json.dumps([ANALYSIS, str(cell), track is None, clips, known])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _facts(seen: Look) -> list[Any]:
    chunk = seen.chunk
    score = [chunk.score.numerator, chunk.score.denominator]
    reasons = [to_json(reason) for reason in seen.reasons]
    return [chunk.presence, chunk.verdict, score, chunk.samples, reasons, seen.pictures]


def _chunk_known(cell: Span, facts: Sequence[Any]) -> Look:
    presence, verdict, score, samples, reasons, pictures = facts
    chunk = Chunk(cell, presence, verdict, Fraction(*score), samples)
    return Look(chunk, [from_json(reason) for reason in reasons], pictures)
