"""What runs against what: whole commands, each of which makes its files in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.media import ROOM, ZONE, Lecture, recorded_at
from merger.analysis.sampling import sample_chunk
from merger.media.library import Library, read_library, segments
from merger.render.arguments import GLOBAL_OPTIONS
from merger.render.ffmpeg import Tool
from merger.render.filtergraph import part_command
from merger.render.soundgraph import sound_command
from merger.timeline import profiles
from merger.timeline.clock import Span, picture_track, utc
from merger.timeline.parts import part_spec
from merger.timeline.plan import EditPlan, Part, Sources, plan_edit
from merger.timeline.screen.decisions import decide_chunks
from merger.timeline.sound import sound_spec
from merger.timeline.specs import PartSpec, SoundSpec
from merger.timeline.zones import half_hour_chunks

_REPOSITORY = Path(__file__).parent.parent
_CHUNK = timedelta(minutes=30)
_SOURCES = Sources("speaker", "screen", "board")


@dataclass(frozen=True)
class PlannedLecture:
    """A lecture as the product plans it: what the bare command has to draw, too."""

    library: Library
    plan: EditPlan
    profile: profiles.Profile

    def part(self, first: int, end: int, *, backup: bool = True) -> PartSpec:
        """Return some frames of the record as one part."""
        return part_spec(
            self.plan, Part(first, end), self.library.media, self.library.identities,
            "side_by_side", self.profile.lines, profiles.software(self.profile),
            language="en", backup=backup,
        )  # fmt: skip

    def sound(self) -> SoundSpec:
        library = self.library
        return sound_spec(self.plan, library.media, library.identities, profiles.SOUND_BITRATE)


def plan_lecture(lecture: Lecture, profile: str) -> PlannedLecture:
    """Read the library and plan the lecture as `merger.render.merge` does."""
    span = Span(utc(lecture.start), utc(lecture.end))
    library = read_library(lecture.library, ROOM, _SOURCES.names, span, ZONE)
    here = segments(library.entries, _SOURCES.screen, {})
    track = picture_track("screen", span, here)
    cells = half_hour_chunks(span, _CHUNK, ZONE)
    seen = [sample_chunk(cell, track, library.media).chunk for cell in cells]
    table = profiles.profile_named(profile)
    plan = plan_edit(span, table.rate, "side_by_side", _SOURCES, here, seen, decide_chunks(seen))
    if plan.gaps() or not all(chunk.presence for chunk in seen):
        raise RuntimeError("the lecture has gaps, or its slides are not taken for a presentation")
    return PlannedLecture(library, plan, table)


def our_command(lecture: Lecture, profile: str) -> list[str]:
    """Return the whole command: both renditions, all checks, into `result`."""
    return [
        sys.executable, str(_REPOSITORY / "app.py"), "merge",
        "--library", str(lecture.library), "--room", ROOM, "--zone", ZONE.key,
        "--start", lecture.start.isoformat(), "--end", lecture.end.isoformat(),
        "--speaker", "speaker", "--screen", "screen", "--board", "board",
        "--profile", profile, "--output", "result", "--json",
    ]  # fmt: skip


def our_environment(folder: Path) -> Mapping[str, str]:
    """Return the environment of our command: a cache of its own, that is empty, and no GPU."""
    return {**os.environ, "MERGER_CACHE": str(folder / "cache"), "MERGER_ENCODER": "software"}


def bare_command(tool: Tool, lecture: PlannedLecture) -> list[str]:
    """Return one bare ffmpeg command that makes the same two files: what cannot be beaten.

    It draws the same graph with the same encoder settings. Nothing is looked at, cut into parts or
    checked; the two files share one encoding of the sound, as ours do.
    """
    names = {"merge": "merge.mp4", "backup": "backup.mp4"}
    pictures = part_command(lecture.part(0, lecture.plan.frames), names, {})
    inputs, drawn, maps = split_command(pictures)
    sound = sound_command(lecture.sound(), "sound.mp4")
    sound_inputs, heard, sound_maps = split_command(sound)
    sound_inputs = sound_inputs[len(GLOBAL_OPTIONS) :]
    # The inputs of the second graph come after those of the first.
    before = inputs.count("-i")
    heard = re.sub(r"\[(\d+):", lambda found: f"[{int(found[1]) + before}:", heard)
    heard, label = (re.sub(r"\[s(\d+)\]", r"[sound\1]", text) for text in (heard, sound_maps[0]))
    encoding = _options(pictures, "merge.mp4") | _options(sound, "sound.mp4")
    muxing = f"f=mp4:video_track_timescale={encoding.pop('-video_track_timescale')}"
    files = "|".join(
        rf"[{muxing}:select=\'v:{n},a\']{name}" for n, name in enumerate(names.values())
    )
    return [
        tool.path, *inputs, *sound_inputs, "-filter_complex", drawn, "-filter_complex", heard,
        *(word for one in (*maps, label) for word in ("-map", one)),
        *(word for option in encoding.items() for word in option),
        "-flags", "+global_header", "-f", "tee", files,
    ]  # fmt: skip


def split_command(command: list[str]) -> tuple[list[str], str, list[str]]:
    """Return what a command says of its inputs, its graph, and what the graph gives out."""
    at = command.index("-filter_complex")
    maps = [command[n + 1] for n, word in enumerate(command) if word == "-map"]
    return command[:at], command[at + 1], maps


def _options(command: list[str], output: str) -> dict[str, str]:
    """Return the options of an output file, but for its streams and its container."""
    end = command.index(output)
    begin = end - command[:end][::-1].index("-map") + 1
    words = command[begin:end]
    options = dict(zip(words[::2], words[1::2], strict=True))
    return {k: v for k, v in options.items() if k not in ("-f", "-map_metadata")}


def common_command(tool: Tool, lecture: Lecture) -> list[str]:
    """Return what people do without us: join and cut by copying, stack with the defaults."""
    run = f"{shlex.quote(tool.path)} -hide_banner -y"
    script = []
    for source in ("speaker", "screen"):
        files = lecture.segments(source)
        began = recorded_at(files[0])
        start, end = ((at - began).total_seconds() for at in (lecture.start, lecture.end))
        listed = " ".join(shlex.quote(f"file '{path}'") for path in files)
        script += [
            f"printf '%s\\n' {listed} >{source}.txt",
            f"{run} -f concat -safe 0 -i {source}.txt -c copy {source}.mp4",
            f"{run} -ss {start} -to {end} -i {source}.mp4 -c copy {source}_cut.mp4",
        ]
    stacked = '-filter_complex "[0:v][1:v]hstack" merge.mp4'
    script.append(f"{run} -i speaker_cut.mp4 -i screen_cut.mp4 {stacked}")
    return ["sh", "-ec", "\n".join(script)]
