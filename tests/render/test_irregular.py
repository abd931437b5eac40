"""Files whose clock jumps, or whose streams change their numbers: shown and heard throughout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PITCHES, START, Room
from tests.render.test_time import check_instants, path_of
from tests.support.truth import frames_seen, pitch, sound_of

PACKET = 188
HOUR = 3600


def film_ts(room: Room, at_s: float, length_s: float, **changes: Any) -> Path:
    """Film a piece of the speaker as a transport stream whose clock shows the seconds of the room."""
    options = changes.pop("options", ())
    offset_s = changes.pop("clock_s", at_s)
    return room.film(
        "speaker", at_s, length_s, container="ts",
        options=("-output_ts_offset", str(offset_s), "-muxdelay", "0", "-muxpreload", "0", *options),
    )  # fmt: skip


def join(*pieces: Path) -> Path:
    """Join files as a recorder that writes on would."""
    pieces[0].write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    for piece in pieces[1:]:
        piece.unlink()
    return pieces[0]


def set_times(path: Path, pid: int, first: int, count: int, by_s: int) -> None:
    """Shift the times of some packets of a stream, in place: presentation and decoding."""
    data = bytearray(path.read_bytes())
    seen = 0
    for at in range(0, len(data), PACKET):
        begins = data[at + 1] & 0x40
        if (data[at + 1] & 0x1F) << 8 | data[at + 2] != pid or not begins:
            continue
        seen += 1
        if not first <= seen - 1 < first + count:
            continue
        pes = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        for n in range(2 if data[pes + 7] >> 6 == 3 else 1):
            shift(data, pes + 9 + 5 * n, by_s * 90_000)
    path.write_bytes(bytes(data))


def shift(data: bytearray, at: int, by: int) -> None:
    """Shift one time of 33 bits, which stands in five bytes."""
    b = data[at : at + 5]
    value = (b[0] >> 1 & 7) << 30 | b[1] << 22 | (b[2] >> 1) << 15 | b[3] << 7 | b[4] >> 1
    value = value + by & (1 << 33) - 1
    data[at : at + 5] = bytes([
        b[0] & 0xF1 | (value >> 30 & 7) << 1, value >> 22 & 0xFF, (value >> 15 & 0x7F) << 1 | 1,
        value >> 7 & 0xFF, (value & 0x7F) << 1 | 1,
    ])  # fmt: skip


def check(room: Room, length_s: float, most_missing_s: float = 0.2) -> None:
    """Merge, and check that the speaker is shown and heard but for a moment."""
    room.film("screen", 0, length_s, sound=False)
    result = room.merge(length_s)
    clips = [clip for track in result.plan.tracks for clip in track.clips]
    names = {Path(clip.segment.file).name.partition(".")[0] for clip in clips}
    assert names == {f"2026-11-20_10-00-00_504_{source}" for source in ("speaker", "screen")}
    seen = frames_seen(path_of(result))
    missing = [frame for frame in seen if frame.left is None]
    assert len(missing) <= most_missing_s * 25, [frame.frame for frame in missing]
    shown = [frame for frame in seen if frame.left is not None]
    check_instants(shown, START, 40 + 1000 * most_missing_s)
    sound = sound_of(path_of(result))
    for second in range(1, int(length_s)):
        assert pitch(sound, second + 0.01) == pytest.approx(PITCHES["speaker"], abs=8), second


@pytest.mark.parametrize(
    ("by_s", "count"), [(5 * HOUR, 1), (5 * HOUR, 3), (-HOUR, 1), (-HOUR, 3), (20, 3)]
)
def test_stray_times_cost_no_more_than_themselves(one_room: Room, by_s: int, count: int) -> None:
    path = film_ts(one_room, 0, 8, clock_s=2 * HOUR)
    set_times(path, 0x100, 60, count, by_s)
    check(one_room, 8)


def test_a_clock_that_was_set_in_the_middle(one_room: Room) -> None:
    join(film_ts(one_room, 0, 4, clock_s=7200), film_ts(one_room, 4, 4, clock_s=100))
    check(one_room, 8)


@pytest.mark.parametrize("clock_s", [4, 9000], ids=["goes on", "begins anew"])
def test_streams_that_go_on_under_other_numbers(one_room: Room, clock_s: int) -> None:
    other = (
        "-mpegts_start_pid",
        "0x300",
        "-mpegts_pmt_start_pid",
        "0x1010",
        "-mpegts_service_id",
        "7",
    )
    join(film_ts(one_room, 0, 4), film_ts(one_room, 4, 4, clock_s=clock_s, options=other))
    check(one_room, 8)


def test_numbers_that_are_swapped(one_room: Room) -> None:
    """The second half gives the pictures the number that sound had."""
    swapped = ("-streamid", "0:257", "-streamid", "1:256")
    join(film_ts(one_room, 0, 4), film_ts(one_room, 4, 4, options=swapped))
    check(one_room, 8)
