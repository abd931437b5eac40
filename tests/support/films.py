"""Films of a clock, each of them filmed once: hundreds of tests look at the same lecture.

They are kept from run to run, in a folder that git ignores, until nobody has looked at them for a
few days. Another program to film with, or another ffmpeg, makes others.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from merger.render.ffmpeg import Tool
from recorders.testing import clock, speech
from recorders.testing.clock import Picture, write_segment
from recorders.testing.sample_lecture import write_sample

SHELF = Path(__file__).parents[1] / ".films"
_UNUSED_S = 3 * 24 * 3600
_shelf: Path | None = None  # none: whatever is asked for is filmed


def keep() -> None:
    """Have films kept for all processes of this run, and the runs to come."""
    global _shelf
    _shelf = SHELF
    _shelf.mkdir(exist_ok=True)


def throw_old_away() -> None:
    """Remove what nobody has used for some days; for one process before the others begin."""
    now = time.time()
    for path in SHELF.glob("*"):
        if now - path.stat().st_mtime > _UNUSED_S:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@cache
def _program(ffmpeg: str) -> str:
    """Return what films with: this ffmpeg, and what draws the clock."""
    sources = (Path(module.__file__).read_bytes() for module in (clock, speech))
    drawn = hashlib.sha256(b"".join(sources)).hexdigest()
    return f"{Path(ffmpeg).name} {Path(ffmpeg).stat().st_size} {drawn}"


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
    asked = (
        _program(ffmpeg),
        path.suffix,
        start.isoformat(),
        length,
        ground.shape,
        sorted(options.items()),
    )
    key = hashlib.sha256(repr(asked).encode() + ground.tobytes()).hexdigest()
    kept = _shelf / f"{key}{path.suffix}"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            filming = kept.with_name(f"filming-{kept.name}")
            write_segment(ffmpeg, filming, start, length, ground=ground, **options)
            filming.rename(kept)
    os.utime(kept)
    shutil.copyfile(kept, path)


def film_sample(folder: Path, tool: Tool, begin: datetime) -> None:
    """Write the sample lecture as `write_sample` does, which takes half a minute of a processor."""
    if _shelf is None:
        write_sample(folder, tool, begin)
        return
    kept = _shelf / f"sample-{begin:%Y-%m-%dT%H%M%S%z}"
    with FileLock(f"{kept}.lock"):
        write_sample(kept, tool, begin)  # what is there is kept
    os.utime(kept)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
