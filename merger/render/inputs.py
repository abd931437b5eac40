"""What a command of ffmpeg reads. Pure, and without anything heavy: every worker imports it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def input_files(arguments: Sequence[str]) -> list[tuple[str, int | None]]:
    """Return the files that a command reads, in order, each with its seek time in microseconds."""
    files: list[tuple[str, int | None]] = []
    seek: int | None = None
    for option, value in pairwise(arguments):
        if option == "-ss":
            seek = int(value.removesuffix("us"))
        elif option == "-i":
            files.append((value, seek))
            seek = None
    return files
