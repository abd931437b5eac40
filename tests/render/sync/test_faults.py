"""What is wrong with a sound is a warning about its source, if that is heard."""

from __future__ import annotations

import numpy as np
import pytest

from merger.config import load
from merger.media.library import read_library, segments
from merger.render.context import RenderContext, Watch
from merger.render.progress import Silent
from merger.render.sync.faults import warn_of_sound
from merger.storage.files import work_folder
from merger.timeline.plan import plan_sound
from recorders.testing.speech import SAMPLE_RATE, speech
from tests.conftest import Room
from tests.support.sounds import write_sound


def record_sound(room: Room, source: str, hum: float, length_s: int = 70) -> None:
    at_s = np.arange(length_s * SAMPLE_RATE) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * hertz * at_s) for hertz in (50, 100, 150))
    sound = np.asarray(speech(length_s, 1) + hum * tones, np.float32)[None]
    write_sound(room.library / f"2026-11-20_10-00-00_504_{source}.mp4", sound, SAMPLE_RATE)


@pytest.mark.parametrize(("until_s", "warned"), [(70, True), (50, False)])
def test_a_source_that_hums(one_room: Room, until_s: float, warned: bool) -> None:
    record_sound(one_room, "speaker", 0.02)
    record_sound(one_room, "screen", 0.05)  # nobody hears that beside the speaker
    request = one_room.request(until_s)
    library = read_library(
        one_room.library, request.room, request.sources.names, request.span, request.zone
    )
    found = segments(library.entries, "screen", {})
    sound = plan_sound(request.span, request.sources, found)
    one_room.cache.mkdir()
    configured = load({"MERGER_CACHE": str(one_room.cache)})
    with work_folder(one_room.cache) as work:
        context = RenderContext(configured, one_room.tool, Watch(Silent()), lambda: False, work)
        warnings = warn_of_sound(context, library, list(sound))
    assert [(w.key, w.params) for w in warnings] == [
        ("timeline.hum", {"source": "speaker", "frequency": 50})
    ] * warned
