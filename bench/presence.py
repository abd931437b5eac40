"""Presence analysis beside a bare loop that decodes the same key frames and does not look."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import av

from bench.contenders import PlannedLecture
from merger.analysis.sampling import sample_chunk
from merger.analysis.targets import Target, targets
from merger.timeline.media import MediaFile

WARM_UP = 1


def presence_rounds(lecture: PlannedLecture, repetitions: int) -> list[dict[str, float]]:
    """Return the seconds that both took, in turn, and how many pictures they decoded."""
    plan, media = lecture.plan, lecture.library.media
    track = next(track for track in plan.tracks if track.source == "screen")
    cells = [chunk.span for chunk in plan.chunks]
    wanted = [target for cell in cells for target in targets(cell, track, media)[0]]
    rounds = []
    for _ in range(WARM_UP + repetitions):
        ours = _measure(lambda: [sample_chunk(cell, track, media) for cell in cells])
        bare = _measure(lambda: _decode_bare(wanted, media))
        rounds.append({"pictures": len(wanted), **_named("ours", ours), **_named("bare", bare)})
    return rounds[WARM_UP:]


def _named(who: str, took: tuple[float, float]) -> dict[str, float]:
    return {f"{who}_wall_s": round(took[0], 5), f"{who}_cpu_s": round(took[1], 5)}


def _measure(work: Callable[[], object]) -> tuple[float, float]:
    begun, used = time.perf_counter(), _cpu_s()
    work()
    return time.perf_counter() - begun, _cpu_s() - used


def _cpu_s() -> float:
    """Return the seconds that this process and its readers have computed."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    stats = (Path(f"/proc/{child}/stat").read_text() for child in children)
    ticks = sum(sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in stats)
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _decode_bare(wanted: Sequence[Target], media: Mapping[str, MediaFile]) -> None:
    by_file: dict[str, list[Target]] = {}
    for target in wanted:
        by_file.setdefault(target.file, []).append(target)
    for file, some in by_file.items():
        times_us = [int(media[file].key_us[target.key]) for target in some]
        seen = _decode_keys(media[file].path, times_us)
        if seen != len(some):
            raise RuntimeError(f"{file}: {seen} pictures instead of {len(some)}")


def _decode_keys(path: Path, times_us: Sequence[int]) -> int:
    """Seek to each key frame and decode it; return how many pictures came out."""
    seen = 0
    with av.open(str(path)) as container:
        stream = cast(Any, container.streams.video[0])
        context = stream.codec_context
        context.skip_frame = "NONKEY"
        for at_us in times_us:
            ticks = round(at_us / stream.time_base / 1_000_000)
            container.seek(ticks, stream=stream)
            packet = next(container.demux(stream))
            seen += sum(frame.pts == ticks for frame in (*packet.decode(), *context.decode(None)))
    return seen
