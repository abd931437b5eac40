"""Damaged and odd files of a speaker beside a good screen: `script/soak files --damaged 500`.

Whatever a file holds, the lecture is made: what cannot be used of it is left out with a warning that
names it, and the other side is shown at every instant. Nothing is raised, and no process of ours ends.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from merger.timeline import profiles
from merger.timeline.profiles import Profile
from tests.conftest import CARRIED, START, Room
from tests.support import films
from tests.support.truth import error_ms, frames_seen, instant_of

LENGTH_S = 4.0
NAME = "2026-11-20_10-00-00_504_speaker"
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p")
PICTURES, TONE = ("testsrc2=s=320x180:r=10:d=4",), "sine=frequency=440:sample_rate=48000:duration=4"

# What is damaged: a file of each kind that recorders write.
WHOLE: dict[str, tuple[str, ...]] = {
    "h264.mp4": (*H264, "-c:a", "aac"),
    "fragmented.mp4": (*H264, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
    "pcm.mov": (*H264, "-c:a", "pcm_s16le"),
    "h264.mkv": (*H264, "-c:a", "libopus"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "10", "-c:a", "libopus"),
    "h264.ts": (*H264, "-c:a", "aac"),
    "mpeg2.ts": ("-c:v", "mpeg2video", "-g", "10", "-c:a", "mp2"),
    "hevc.mp4": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=10", "-c:a", "aac"),
    "mjpeg.mov": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_s16le"),
}  # fmt: skip

# What is odd: streams, timestamps and shapes that are allowed and rare.
SHAPES = ("320x180", "318x178", "64x64", "16x16", "180x320", "322x18")
RATES = ("1/3", "1", "7", "24000/1001", "90", "240")
LAYOUTS = ("mono", "2.1", "quad", "5.1", "6.1", "7.1", "hexagonal", "FR+FL", "FL+FR+FL+FR", "LFE")
SAMPLES = ("8000", "11025", "32000", "96000")
FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray", "yuvj420p")
EXTRAS: tuple[tuple[str, ...], ...] = (
    (), ("-movflags", "+faststart"), ("-video_track_timescale", "1000000"), ("-output_ts_offset", "90000"),
    ("-output_ts_offset", "-3"), ("-avoid_negative_ts", "disabled"), ("-metadata", "title=\u202e\x07 \U0001f3a5"),
    ("-aspect", "1:7"), ("-write_tmcd", "1"), ("-frames:v", "1"), ("-frames:v", "2"), ("-an",), ("-vn",),
    ("-t", "0.1"), ("-shortest",), ("-disposition:v", "attached_pic"), ("-bsf:v", "noise=drop=not(mod(n\\,7))"),
)  # fmt: skip


def write(path: Path, *options: str, pictures: str = PICTURES[0], sound: str = TONE) -> bool:
    """Write a file by ffmpeg; return whether it could."""
    command = [
        CARRIED.path, "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound,
        *options, str(path),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, check=False)
    return ran.returncode == 0 and path.exists()


def damage(data: bytearray, chance: random.Random) -> None:
    """Do to a file what disks, cables and people do."""
    where = lambda: chance.randrange(len(data)) if chance.random() < 0.6 else chance.randrange(min(4096, len(data)))  # noqa: E731 # fmt: skip
    for _ in range(chance.choice((1, 1, 2, 8, 60))):
        at, size = where(), chance.choice((1, 4, 188, 4096))
        how = chance.randrange(7)
        if how == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            data[at : at + 4] = b"\xff\xff\xff\xff"
        elif how == 2:
            data[at : at + size] = bytes(size)
        elif how == 3:
            data[at : at + size] = chance.randbytes(size)
        elif how == 4:
            del data[at : at + size]
        elif how == 5:
            data[at:at] = data[max(0, at - size) : at]
        elif len(data) > 64:
            del data[max(64, at) :]
        if len(data) < 64:
            return


def odd(path: Path, chance: random.Random) -> bool:
    """Write a file that is allowed and rare."""
    pictures = f"testsrc2=s={chance.choice(SHAPES)}:r={chance.choice(RATES)}:d=4,format={chance.choice(FORMATS)}"
    layout, rate = chance.choice(LAYOUTS), chance.choice(SAMPLES)
    channels = layout.count("+") + 1
    sound = f"sine=frequency=440:sample_rate={rate}:duration=4"
    if "+" in layout:
        sound += f",channelmap=map={'|'.join('0' * channels)}:channel_layout={layout}"
    else:
        sound += f",aformat=channel_layouts={layout}"
    codec = chance.choice(
        (H264[:4], ("-c:v", "mpeg4"), ("-c:v", "mjpeg", "-strict", "-1"), ("-c:v", "ffv1"))
    )
    audio = chance.choice(("aac", "pcm_s16le", "pcm_f32le", "flac", "pcm_u8"))
    return write(
        path, *codec, "-c:a", audio, *chance.choice(EXTRAS), pictures=pictures, sound=sound
    )


def one_round(seed: int, folder: Path, make: Callable[[Path, random.Random], Path | None]) -> str:
    """Merge a lecture with one file of chance; return what became of the file."""
    chance = random.Random(seed)
    room = Room(folder)
    room.library.mkdir()
    speaker = make(room.library, chance)
    if speaker is None:
        return "files that could not be written"
    room.film("screen", 0, LENGTH_S, rate=Fraction(10))
    kept = Path(tempfile.gettempdir()) / f"soak-{seed}{speaker.suffix}"
    kept.write_bytes(speaker.read_bytes())  # to look at where the process ends
    result = room.merge(LENGTH_S)
    merge = next(r for r in result.renditions if r.kind == "merge")
    assert merge.frames == round(LENGTH_S * 25), merge
    backup = next(r for r in result.renditions if r.kind == "backup")
    seen = frames_seen(backup.path, left_width=backup.size.width, wanted=range(0, 100, 7))
    for frame in seen:
        assert frame.left is not None and frame.left.source == 2, frame
        assert abs(error_ms(frame.left, instant_of(START, frame.frame))) <= 101, frame
    kept.unlink()
    warnings = " ".join(map(str, result.warnings))
    if NAME not in warnings and "speaker" not in warnings:
        return "used without a warning"
    return (
        "left out, with a warning" if "is left out" in warnings else "used in part, with a warning"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--damaged", type=int, default=500)
    parser.add_argument("--odd", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first file")
    options = parser.parse_args()
    films.keep()
    profiles.PROFILES = {**profiles.PROFILES, "tiny": Profile("tiny", 180, "h264")}
    counts: Counter[str] = Counter()
    begun, failed = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        wholes = [Path(folder) / name for name in WHOLE]
        for path in wholes:
            assert write(path, *WHOLE[path.name]), path

        def damaged(library: Path, chance: random.Random) -> Path:
            whole = chance.choice(wholes)
            data = bytearray(whole.read_bytes())
            damage(data, chance)
            path = library / f"{NAME}{whole.suffix}"
            path.write_bytes(data)
            return path

        def strange(library: Path, chance: random.Random) -> Path | None:
            path = library / f"{NAME}{chance.choice(('.mp4', '.mov', '.mkv', '.ts'))}"
            return path if odd(path, chance) else None

        makers = [damaged] * options.damaged + [strange] * options.odd
        for seed, make in enumerate(makers, options.seed):
            with tempfile.TemporaryDirectory() as room:
                try:
                    counts[f"{make.__name__}: {one_round(seed, Path(room), make)}"] += 1
                except Exception as error:
                    failed += 1
                    print(
                        f"file {seed} ({make.__name__}): {type(error).__name__}: {error}",
                        flush=True,
                    )
    print(
        f"{len(makers)} files from seed {options.seed}, {failed} failed, in {time.monotonic() - begun:.0f} s"
    )
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
