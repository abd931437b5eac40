"""Warnings of hum, and of sound that is cut off where it is loud: neither is mended here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from merger.analysis.sound.hearing import hear_faults, windows_in
from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.library import Library
from merger.render.context import RenderContext
from merger.timeline.clock import Stretch
from merger.timeline.plan import Sound

_SHORTEST_US = 60_000_000  # of a file that is heard: of less, nobody can tell what it usually has


def warn_of_sound(
    context: RenderContext, library: Library, sound: Sequence[Sound]
) -> list[Message]:
    """Return what is wrong with the sound of each source, as far as it is heard."""
    warnings = []
    for (source, file), heard in _heard(sound).items():
        if sum(stretch.end_us - stretch.start_us for stretch in heard) < _SHORTEST_US:
            continue
        try:
            with context.budget.slot(context.cancelled):
                faults = reader.call(hear_faults, library.media[file], windows_in(heard))
        except Unreadable:  # whoever encodes it will say what is wrong with it
            continue
        if faults.hum_hz is not None:
            warnings.append(Message("timeline.hum", source=source, frequency=faults.hum_hz))
        if faults.is_clipped:
            warnings.append(Message("timeline.clipped", source=source))
    return list(dict.fromkeys(warnings))


def _heard(sound: Sequence[Sound]) -> dict[tuple[str, str], list[Stretch]]:
    """Return what is heard of each file, in its own time, by source and file."""
    heard: defaultdict[tuple[str, str], list[Stretch]] = defaultdict(list)
    for here in sound:
        if segment := here.segment:
            start_us, end_us = (
                segment.clock.file_us(at) for at in (here.span.start, here.span.end)
            )
            heard[segment.source, segment.file].append(Stretch(start_us, end_us))
    return heard
