"""How near a result is to the ideal: the same composition before any encoding."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bench.contenders import PlannedLecture, split_command
from merger.render.ffmpeg import Tool
from merger.render.filtergraph import part_command


def ssim(tool: Tool, lecture: PlannedLecture, result: Path, seconds: int) -> float:
    """Return the SSIM (all planes, 0..1) of the merge over a stretch in its middle.

    The reference is drawn by the product's own graph, from the sources, and goes raw into the
    filter; so it is the encoding that is judged, not the room's recorders.
    """
    plan = lecture.plan
    frames = min(plan.frames, round(seconds * plan.rate))
    first = (plan.frames - frames) // 2
    spec = lecture.part(first, first + frames, backup=False)
    inputs, drawn, (ideal,) = split_command(part_command(spec, {"merge": "unused"}, {}))
    # Half a frame earlier, so that no rounding of the seek leaves the first one out.
    seek = ("-ss", f"{max(0.0, float((first - 0.5) / plan.rate)):.3f}") if first else ()
    number = inputs.count("-i")
    compared = (
        f"[{number}:v]settb={1 / plan.rate},setpts=N,trim=end_frame={frames}[result];"
        f"{ideal}[result]ssim=shortest=1"
    )
    command = [
        tool.path, *inputs, *seek, "-i", str(result),
        "-filter_complex", f"{drawn};{compared}", "-f", "null", "-",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"SSIM .*All:([\d.]+)", done.stderr)
    if done.returncode or not found:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return float(found[1])
