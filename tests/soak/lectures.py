"""Random lectures, damaged and interrupted at random, and read back: `script/soak --rounds 200`.

Each round films a room with random rates, sizes, containers, gaps, overlaps, drift and damage,
starts the merge, kills it with -9 at a random moment (or not), runs it again, and reads every
frame of the result. What is shown must be of its instant; how much is shown is counted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.conftest import CARRIED, NUMBERS, Room, seconds, system_ffmpeg
from tests.support.truth import error_ms, frames_seen, instant_of

ROOT = Path(__file__).parents[2]
ZONE = ZoneInfo("Europe/Berlin")
# The two nights on which the clocks are changed, midnight, and an ordinary morning (UTC).
STARTS = (
    "2026-03-29T00:59:40",
    "2026-10-25T00:59:40",
    "2026-11-19T22:59:40",
    "2026-11-20T09:01:40",
)
CODECS = (
    ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25"),
    ("-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3"),
    ("-c:v", "mpeg4", "-q:v", "3", "-bf", "2", "-g", "25"),
)
RATES = (Fraction(5), Fraction(25), Fraction(30000, 1001), Fraction(60))


PAUSE_MS = 2000  # what is missing inside a damaged file for less than this is held


def film(room: Room, chance: random.Random, start: datetime, length_s: float) -> dict[str, float]:
    """Film three sources at random; return by how much each may be late, in milliseconds."""
    slowest: dict[str, float] = {}
    for source in ("speaker", "screen", "board"):
        rate, at = chance.choice(RATES), chance.uniform(-6, 4)
        slowest[source] = max(40.0, 1000 / float(rate))
        while at < length_s:
            lasts = chance.uniform(3, 14)
            drift = chance.choice((Fraction(1), Fraction(1), Fraction(1003, 1000)))
            path = room.film(
                source, at, lasts, start=start, container=chance.choice(("mp4", "mkv", "ts")),
                name=None, rate=rate, size=chance.choice(((320, 180), (240, 180))), media_rate=drift,
                codec=chance.choice(CODECS), sound=chance.random() < 0.8,
            )  # fmt: skip
            begun = start + seconds(at)
            pictures = round(seconds(lasts) / seconds(1) * float(rate) * float(drift))
            ends = begun + timedelta(seconds=float(pictures / rate / drift))
            told = {"start": begun.isoformat(), "end": ends.isoformat()}
            told["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            path.with_suffix(".json").write_text(json.dumps(told))
            if drift == 1 and chance.random() < 0.25:
                damage(path, chance)
                slowest[source] = PAUSE_MS
            at += lasts + chance.choice((0.0, 0.0, -1.0, 2.7))
    return slowest


def damage(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if chance.random() < 0.5:
        del data[int(len(data) * chance.uniform(0.3, 0.95)) :]
    for _ in range(chance.randrange(8)):
        data[chance.randrange(len(data) // 4, len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def merge(room: Room, start: datetime, length_s: float, kill_after_s: float | None) -> int:
    command = [
        sys.executable, "app.py", "merge", "--library", str(room.library), "--room", "504",
        "--start", start.isoformat(), "--end", (start + seconds(length_s)).isoformat(),
        "--zone", ZONE.key, "--speaker", "speaker", "--screen", "screen", "--board", "board",
        "--profile", "540p", "--chunk", "10s", "--output", str(room.output), "--json",
    ]  # fmt: skip
    environ = {
        **os.environ,
        "MERGER_CACHE": str(room.cache),
        "MERGER_ENCODER": "software",
        "MERGER_FFMPEG": room.tool.path,
    }
    with (
        (room.folder / "said").open("w") as said,
        (room.folder / "told").open("w") as told,
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=said, stderr=told) as child,
    ):
        try:
            return child.wait(kill_after_s)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def one_round(seed: int, counts: Counter[str]) -> None:
    chance = random.Random(seed)
    tools = [tool for tool in (CARRIED, system_ffmpeg()) if tool]
    start = datetime.fromisoformat(chance.choice(STARTS) + "+00:00")
    length_s = chance.choice((12.0, 31.48, 40.0))
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder), chance.choice(tools), ZONE)
        slowest = film(room, chance, start, length_s)
        while chance.random() < 0.5:
            if merge(room, start, length_s, chance.uniform(0.3, 6)) == -9:
                counts["killed with -9"] += 1
        code = merge(room, start, length_s, None)
        assert code == 0, (room.folder / "told").read_text()
        said = json.loads((room.folder / "said").read_text())
        counts["merged"] += 1
        counts["warnings"] += len(said["warnings"])
        counts["damaged stretches left out"] += sum("damaged" in w for w in said["warnings"])
        leftovers = [*room.output.glob(".*"), *room.cache.glob(".*")]
        assert not leftovers, leftovers
        read_back(said, start, length_s, slowest, counts)


def read_back(
    said: dict, start: datetime, length_s: float, slowest: dict[str, float], counts: Counter[str]
) -> None:
    merge = said["renditions"][0]
    assert merge["frames"] == round(length_s * 25)
    width = merge["width"]
    scenes = [(datetime.fromisoformat(s["start"]), s) for s in said["scenes"]]
    names = {number: name for name, number in NUMBERS.items()}
    # Cells differ in width by what was filmed; the left one is as wide as the widest speaker.
    left_width = width if len(said["renditions"]) == 1 else width - said["renditions"][1]["width"]
    for frame in frames_seen(Path(merge["path"]), left_width=left_width):
        instant = instant_of(start, frame.frame)
        scene = [s for at, s in scenes if at <= instant + timedelta(microseconds=1)][-1]
        if scene["layout"] == "speaker_only":
            continue  # the speaker is centred: the lanes cannot be read apart
        for side, clock in (("left", frame.left), ("right", frame.right)):
            if clock is None:
                shown = scene[side] not in ("slate", None)
                counts["views of a source that could not be read" if shown else "slates"] += 1
                continue
            counts["views read"] += 1
            source = names[clock.source]
            assert source == scene[side], (frame, scene)
            error = error_ms(clock, instant)
            assert -slowest[source] - 1 <= error <= 41, (frame, scene, error)
            counts["worst error in ms"] = max(
                counts["worst error in ms"], abs(error_ms(clock, instant))
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    begun = time.monotonic()
    failed = 0
    for seed in range(options.seed, options.seed + options.rounds):
        try:
            one_round(seed, counts)
        except AssertionError as error:
            failed += 1
            print(f"round {seed} failed: {error}", flush=True)
    print(
        f"{options.rounds} rounds from seed {options.seed}, {failed} failed, in {time.monotonic() - begun:.0f} s"
    )
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
