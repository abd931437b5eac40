"""A room and its sources as plain values. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from merger.accounts.room_policy import RoomPolicy
from merger.i18n import Message
from merger.logs import mask_passwords as mask_passwords  # which belongs to rooms as well
from merger.timeline.screen.decisions import Decide

DEFAULT_CHUNK_S = 1800
DEFAULT_BOTH_AFTER_S = 60
Unmatched = Literal["keep", "ignore"]
UNMATCHED: tuple[str, ...] = get_args(Unmatched)
DEFAULT_EARLY_S, DEFAULT_LATE_S = 60, 120
LONGEST_NAME = 200  # bytes; a file name holds 255, of which a time and an extension need some
LONGEST_KEY = 255  # characters, as the tables have it
LONGEST_TEXT = 16_000  # characters, of up to four bytes; the tables hold 65535 bytes


@dataclass(frozen=True)
class SourceSpec:
    """A source as a file, or the tables, have it."""

    name: str
    role: str
    kind: str
    address: str
    credentials: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RoomSpec:
    """A room as a file, or the tables, have it.

    decide: when the right-hand side switches: at any instant, or once for each chunk.
    shows_both, both_after_s: whether the board is shown with the slide while somebody writes, and
    for how long the slide has to stand for that.
    early_s, late_s: for how long before and after a record its live sources are recorded.
    mails: whether those who requested a record are notified by mail.
    uploads_raw: whether what is recorded live is delivered as it is, too.
    papers: whether the chat and the transcript of a record are delivered beside its video.
    archives: whether all views of its meetings are kept with what is recorded live.
    requesters, watchers: who may request its recordings, and watch others'; None: the default.
    default_course, unmatched, shortest_s: of recordings that nobody requested: their course, what
    becomes of those of no lecture, and how short they may be; None: as the settings say.
    """

    name: str
    zone: str
    chunk_s: int = DEFAULT_CHUNK_S
    sound_source: str | None = None
    drive_folder: str | None = None
    calendar_id: str | None = None
    sources: tuple[SourceSpec, ...] = ()
    early_s: int = DEFAULT_EARLY_S
    late_s: int = DEFAULT_LATE_S
    mails: bool = True
    uploads_raw: bool = False
    requesters: RoomPolicy | None = None
    watchers: RoomPolicy | None = None
    papers: bool = False
    default_course: str | None = None
    unmatched: Unmatched | None = None
    shortest_s: int | None = None
    archives: bool = False
    decide: Decide = "instant"
    shows_both: bool = False
    both_after_s: int = DEFAULT_BOTH_AFTER_S


def decide_meant(chunk_s: int) -> Decide:
    """Return how a room decides of which nothing but the chunk was said: who chose it means it."""
    return "instant" if chunk_s == DEFAULT_CHUNK_S else "chunk"


def warnings(rooms: Iterable[RoomSpec]) -> list[Message]:
    """Return what is allowed, but does not make a room that can be recorded. Pure."""
    return [
        Message("rooms.no_speaker", room=room.name, role="speaker")
        for room in rooms
        if all(source.role != "speaker" for source in room.sources)
    ]
