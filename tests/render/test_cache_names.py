"""What the version before has encoded and looked at is used again: it has the same names.

`cache_names.json` holds what it called things. Where pictures or sound have to change for the same
spec, raise `SPEC_VERSION` (`ANALYSIS` for what a screen shows) and write the names anew.
"""

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from merger.analysis.cards import Card
from merger.render.screen.presence import _chunk_hash
from merger.timeline.clock import ClockMap, Segment, Span, Stretch, picture_track
from merger.timeline.specs import spec_hash
from tests.render.test_filtergraph import PARTS, SOUNDS

pytestmark = pytest.mark.quick

NAMES = json.loads(Path(__file__).with_name("cache_names.json").read_text())
START = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
HOUR = Span(START, START + timedelta(hours=1))


def test_every_spec_has_a_name() -> None:
    assert NAMES.keys() == {*PARTS, *SOUNDS, "chunk", "chunk_without_screen"}


@pytest.mark.parametrize("name", [*PARTS, *SOUNDS])
def test_what_is_encoded_keeps_its_name(name: str) -> None:
    assert spec_hash((PARTS | SOUNDS)[name], "ffmpeg 7.0.2") == NAMES[name]


def test_what_was_looked_at_keeps_its_name() -> None:
    clock = ClockMap(START, 40_000, Fraction(100_003, 100_000))
    pictures = (Stretch(40_000, 900_000_000), Stretch(903_000_000, 1_800_000_000))
    screen = Segment("screen", "/library/a.mp4", clock, pictures, ())
    track = picture_track("screen", HOUR, [screen])
    cards = [Card("plain", np.zeros((2, 3, 90, 160), np.float32), 0.25)]
    assert _chunk_hash(HOUR, track, {screen.file: "7-1-a"}, cards) == NAMES["chunk"]
    assert _chunk_hash(HOUR, None, {}, cards) == NAMES["chunk_without_screen"]
