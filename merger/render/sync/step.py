"""One instant on both sides, by sound: sources without a known clock are moved to one with.

Each is listened to once; what was measured is kept in the cache, so that a retry moves it the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from merger.analysis.sync.listening import Piece, SampleFile, write_samples
from merger.analysis.sync.loudness import SAMPLE_RATE, Samples
from merger.analysis.sync.measure import SHORTEST_S, align
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.library import Library, segments
from merger.render.context import MergeRequest, RenderContext
from merger.storage.files import translate_write_errors
from merger.timeline.clock import Clip, Span, microseconds, sound_track
from merger.timeline.media import MediaFile
from merger.timeline.sync.outcome import Measured, Sync, choose_reference, decide, moved_clock

# Raise it when the same sound would be measured otherwise.
MEASURING = 1
_FOLDER = "sync"  # of the work folder: samples, while they are compared

Heard = Mapping[str, Sequence[Clip]]  # the sound of each source, by its name


def synchronise(context: RenderContext, request: MergeRequest, library: Library) -> list[Sync]:
    """Move the sources of a library whose clocks are not known; return what was measured and done.

    Nothing is moved to a sound that is not of the same room.
    """
    heard = _heard(request, library) if context.settings.sync else {}
    if len(heard) < 2:
        return []
    timed = {entry.source for entry in library.entries if entry.is_timed}
    reference = choose_reference(request.sources, list(heard), list(timed))
    syncs = []
    for source in heard:
        if source == reference:
            continue
        measured = _measured(context, request.span, library, heard, (reference, source))
        syncs.append(decide(source, reference, measured, request.span, is_timed=source in timed))
    shutil.rmtree(context.work / _FOLDER, ignore_errors=True)
    for sync in syncs:
        if sync.outcome == "moved":
            _move(library, sync, request.span)
    return syncs


def _heard(request: MergeRequest, library: Library) -> Heard:
    """Return the sources that have enough sound to go by."""
    found = segments(library.entries, None, {})
    tracks = {n: sound_track(n, request.span, found).clips for n in request.sources.by_sound}
    lengths = {n: sum(clip.span.length.total_seconds() for clip in tracks[n]) for n in tracks}
    return {name: clips for name, clips in tracks.items() if lengths[name] >= SHORTEST_S}


def _move(library: Library, sync: Sync, span: Span) -> None:
    library.entries = [
        dataclasses.replace(entry, clock=moved_clock(entry.clock, sync.measured, span.start))
        if entry.source == sync.source
        else entry
        for entry in library.entries
    ]


# --- measuring ------------------------------------------------------------------------------------


def _measured(
    context: RenderContext, span: Span, library: Library, heard: Heard, pair: tuple[str, str]
) -> Measured:
    """Return how the second source of a pair lies beside the first."""
    name = f"{_hash(span, library.identities, [heard[source] for source in pair])}.sync.json"
    facts = context.cache.recall(name, context.work)
    if facts:
        return Measured(*facts)
    with context.budget.slot(context.cancelled):
        reference, other = (
            _samples(context, span, library.media, source, heard[source]) for source in pair
        )
        measured = _align(reference, other)
    context.cache.remember(name, list(dataclasses.astuple(measured)), context.work)
    return measured


def _hash(span: Span, identities: Mapping[str, str], tracks: Sequence[Sequence[Clip]]) -> str:
    """Return a name for all that a measurement depends on."""
    clips = [
        [
            [str(clip.span), identities[clip.segment.file], str(clip.segment.clock)]
            for clip in track
        ]
        for track in tracks
    ]  # fmt: skip
    text = json.dumps([MEASURING, str(span), clips])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _align(reference: Samples, other: Samples) -> Measured:
    found = align(reference, other)
    if isinstance(found, str):
        return Measured(found)
    offset_us, drift_ppb = round(found.offset_s * 1e6), round(found.drift * 1e9)
    return Measured("same", offset_us, drift_ppb, found.windows, found.agreeing)


def _samples(
    context: RenderContext,
    span: Span,
    media: Mapping[str, MediaFile],
    source: str,
    clips: Sequence[Clip],
) -> Samples:
    """Return the sound of a source over a record, in a file: memory does not hold a day of it."""
    folder = context.work / _FOLDER
    target = folder / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.pcm"
    if not target.exists():
        with translate_write_errors(context.work):
            folder.mkdir(exist_ok=True)
            with target.open("wb") as file:
                file.truncate(2 * _sample(microseconds(span.length)))
        files = list(dict.fromkeys(clip.segment.file for clip in clips))
        for n, file_name in enumerate(files):
            context.progress(n, len(files))
            pieces = [
                piece
                for clip in clips
                if clip.segment.file == file_name
                for piece in _pieces(span, media[file_name], clip)
            ]
            with translate_write_errors(context.work):
                _listen(media[file_name], pieces, target)
    return SampleFile(target)


def _listen(media: MediaFile, pieces: Sequence[Piece], target: Path) -> None:
    with suppress(Unreadable):  # it stays silent: whoever encodes it will say what is wrong
        reader.call_writing(target.parent, write_samples, media, pieces, target)


def _pieces(span: Span, media: MediaFile, clip: Clip) -> list[Piece]:
    """Return what of a file is heard in a clip, one piece for each of its sound streams."""
    clock = clip.segment.clock
    start_us, end_us = (clock.file_us(at) for at in (clip.span.start, clip.span.end))
    changes = media.audio_between(start_us, end_us)
    starts = [start_us, *(change.at_us for change in changes[1:])]
    return [
        Piece(
            change.audio.stream, begins_us, until_us,
            _sample(microseconds(clock.wall(begins_us) - span.start)), clock.rate,
        )
        for change, begins_us, until_us in zip(changes, starts, [*starts[1:], end_us], strict=True)
    ]  # fmt: skip


def _sample(after_us: int) -> int:
    return round(Fraction(after_us * SAMPLE_RATE, 1_000_000))
