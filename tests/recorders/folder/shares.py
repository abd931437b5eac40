"""A share, what is found in it, and what is brought from it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from merger.i18n import Message
from recorders.base import Collected, Found
from recorders.folder.source import Folder
from tests.recorders.conftest import (
    TEN,
    Share,
    never,
    span,
)

HOUR = span(0, 3600)
NOW = TEN + timedelta(hours=5)
NAME = "2026-11-20_10-00_504_camera.mp4"
FOLDER = Folder()


def find(share: Share, wanted=HOUR, now: datetime = NOW) -> Found:
    return FOLDER.find(share.source, wanted, now)


def collect(share: Share, wanted=HOUR, now: datetime = NOW, cancelled=never) -> list[Collected]:
    return FOLDER.collect(share.source, wanted, into(share), now, cancelled)


def into(share: Share) -> Path:
    return share.folder.parent / "into"


def origins(found: Found) -> list[str]:
    return [item.origin for item in found.items]


def reasons(found: Found) -> list[str]:
    """Return the keys of what is noted about files."""
    whys = [note.params["why"] for note in found.notes if note.key == "recorders.of_file"]
    return [why.key for why in whys if isinstance(why, Message)]


def minutes(value: float) -> datetime:
    return TEN + timedelta(minutes=value)
