"""What a file's own table says of pictures that stand, and files of few pictures."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from merger.analysis.decoding import sample_targets
from merger.analysis.targets import Target
from merger.media.damage import inspect_damage
from merger.media.index import read_media
from merger.media.library import Entry, segments
from merger.timeline.clock import ClockMap, Stretch
from tests.conftest import CARRIED

MS = Fraction(1, 1000)
TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)


def film(path: Path, times_ms: list[int], *, reorders: bool) -> None:
    """Write a file with pictures at some times, each of another grey; the last stands 5 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = MS
        stream.options = {"preset": "medium", "bf": "3" if reorders else "0", "b_adapt": "0"}
        packets = []
        for n, at_ms in enumerate(times_ms):
            grey = np.full((48, 64), n * 40 % 200, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = at_ms, MS
            packets += stream.encode(frame)
        packets += stream.encode(None)
        lengths = [b - a for a, b in pairwise([*times_ms, times_ms[-1] + 5000])]
        shown = dict(zip(times_ms, lengths, strict=True))
        for packet, length_ms in zip(packets, lengths, strict=True):
            # MP4 counts in the order of decoding.
            packet.duration = length_ms if path.suffix == ".mp4" else shown[packet.pts]
            container.mux(packet)


@pytest.mark.parametrize("reorders", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts"])
def test_a_file_of_few_pictures(tmp_path: Path, extension: str, count: int, reorders: bool) -> None:
    path = tmp_path / f"a.{extension}"
    film(path, list(range(0, count * 5000, 5000)), reorders=reorders)
    media = read_media(path)
    assert media.complaints == () and media.video is not None
    assert len(media.picture_us) == count
    assert inspect_damage(media, media.zero_us, media.picture_ends_us).holes == []
    if extension == "mp4":
        shown = media.pictures(still_us=60_000_000)
        assert shown == (Stretch(media.zero_us, media.zero_us + count * 5_000_000),)


def test_a_transport_stream_of_few_pictures_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    subprocess.run(
        [CARRIED.path, "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x48:r=1/5:d=10", "-f", "lavfi", "-i", "sine=d=10",
         "-c:v", "libx264", "-g", "1", "-c:a", "aac", str(path)], check=True,
    )  # fmt: skip
    media = read_media(path)
    wanted = [Target(str(path), n, int(at)) for n, at in enumerate(media.key_us)]
    assert [target for target, _ in sample_targets(media, wanted)] == wanted
    assert len(wanted) == 2


@pytest.mark.parametrize("reorders", [False, True])
def test_a_table_says_which_pictures_stand(tmp_path: Path, reorders: bool) -> None:
    bursts = [start + n * 100 for start in (0, 20_000, 50_000) for n in range(20)]
    for extension, told in (("mp4", True), ("mkv", True), ("ts", False)):
        path = tmp_path / f"a.{extension}"
        film(path, bursts, reorders=reorders)
        media = read_media(path)
        zero = media.zero_us
        stands = [(1_900_000, 20_000_000), (21_900_000, 50_000_000), (51_900_000, 56_900_000)]
        found = [(s.start_us - zero, s.end_us - zero) for s in media.still]
        assert found == (stands if told else [])
        assert len(media.pictures(still_us=60_000_000)) == (1 if told else 3)
        assert len(media.pictures()) == 3
        # Whoever stops decoding in a pause has what was shown before it.
        assert inspect_damage(media, zero, zero + 10_000_000).holes == []


@pytest.mark.parametrize(
    ("begins_s", "pictures", "ends_s"),
    [
        (4, (0, 1), 4),  # what is new is shown
        (1.5, (0, 1), 2),  # but a file has its own time
        (9, (0, 1), 6),
        (0.5, (0, 0.1), 6),  # nothing follows
    ],
)
def test_a_last_picture_stands_until_the_next_file(
    tmp_path: Path, begins_s: float, pictures: tuple[float, float], ends_s: float
) -> None:
    entries = []
    for n, (start_s, times_s) in enumerate([(0, (0, 1)), (begins_s, pictures)]):
        path = tmp_path / f"{n}.mp4"
        film(path, [round(t * 1000) for t in times_s], reorders=False)
        clock = ClockMap(TEN + timedelta(seconds=start_s), 0)
        entries.append(Entry("screen", read_media(path), clock, str(n)))
    if begins_s == 0.5:  # the second is over before the first is
        entries[1] = replace(entries[1], media=replace(entries[1].media, still=()))
    first, _ = segments(entries, "screen", {})
    assert first.pictures == (Stretch(0, round(ends_s * 1_000_000)),)


def test_sound_that_pauses_with_the_pictures_does_not_go_on(tmp_path: Path) -> None:
    """An MP4 gives the last packet of sound before a pause the pause, too."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        for n in (*range(50), *range(600, 650)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, n * 1024, Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    before, after = read_media(path).sound
    assert before.end_us < 2_000_000 and after.start_us > 12_000_000
