"""Films of a clock, each of them filmed once in a run: hundreds of tests look at the same lecture."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from merger.render.ffmpeg import Tool
from recorders.testing.clock import Picture, write_segment
from recorders.testing.sample_lecture import write_sample

_shelf: Path | None = None  # none: whatever is asked for is filmed


def keep_in(folder: Path) -> None:
    """Have films kept in a folder, for all processes of a run."""
    global _shelf
    folder.mkdir(exist_ok=True)
    _shelf = folder


def film(
    ffmpeg: str,
    path: Path,
    start: datetime,
    length: timedelta,
    *,
    ground: Picture | Callable[[datetime], Picture],
    **options: Any,
) -> None:
    """Write a segment as `write_segment` does. The file is the test's own, to do with as it likes."""
    if _shelf is None or not isinstance(ground, np.ndarray):
        write_segment(ffmpeg, path, start, length, ground=ground, **options)
        return
    asked = (ffmpeg, path.suffix, start.isoformat(), length, ground.shape, sorted(options.items()))
    key = hashlib.sha256(repr(asked).encode() + ground.tobytes()).hexdigest()
    kept = _shelf / f"{key}{path.suffix}"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            filming = kept.with_name(f"filming-{kept.name}")
            write_segment(ffmpeg, filming, start, length, ground=ground, **options)
            filming.rename(kept)
    shutil.copyfile(kept, path)


def film_sample(folder: Path, tool: Tool, begin: datetime) -> None:
    """Write the sample lecture as `write_sample` does, which takes half a minute of a processor."""
    if _shelf is None:
        write_sample(folder, tool, begin)
        return
    kept = _shelf / f"sample-{begin:%Y-%m-%dT%H%M%S%z}"
    with FileLock(f"{kept}.lock"):
        write_sample(kept, tool, begin)  # what is there is kept
    shutil.copytree(kept, folder, dirs_exist_ok=True)
