"""A camera that sends us elsewhere is not followed: only the host of its address was checked.

FFmpeg follows such an answer by itself, with user and password, and has no option against that. But
it says so before it does (libavformat/rtsp.c), in the very thread that connects: there it is
stopped, and nothing but the end of the process can stop it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import av.logging

_FOLLOWS = re.compile(r"Redirecting to (.*)", re.DOTALL)


@contextmanager
def refuse_redirects(report: Callable[[str | None], None]) -> Iterator[None]:
    """End this process as soon as FFmpeg is about to follow a camera elsewhere.

    Args:
        report: called before that, with the place to which it was sent (`place_of`).
    """
    logger = logging.getLogger("libav.rtsp")

    def guard(line: logging.LogRecord) -> bool:
        if follows := _FOLLOWS.search(line.getMessage()):
            report(place_of(follows[1]))
            os._exit(1)
        return line.levelno >= logging.ERROR

    level = logger.level
    logger.addFilter(guard)
    logger.setLevel(logging.INFO)
    av.logging.set_level(av.logging.INFO)
    try:
        yield
    finally:
        av.logging.set_level(av.logging.ERROR)
        logger.setLevel(level)
        logger.removeFilter(guard)


def place_of(url: str) -> str | None:
    """Return the host and port of an address that a camera gave; None where it has none. Pure."""
    try:
        parts = urlsplit(url)
        place = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:  # what it likes
        place = ""
    return place if place.isprintable() and 0 < len(place) <= 255 else None
