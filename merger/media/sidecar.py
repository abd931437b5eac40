"""Sidecars: what a recorder writes down beside a media file, read and written in one form.

The sidecar of `a.mp4` is `a.json`: {"start": ISO instant with offset, "end": …, "sha256": …}. Each
of these may be missing. Instants that are known less exactly say so: {"exact_to_s": 1}. A recording
that was paused says when it ran: {"stretches": [[start, end], …]}, in order; its file goes on from
the end of each with the beginning of the next. What else it holds is for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from merger.i18n import Message
from merger.timeline.clock import Span, is_plausible, utc
from merger.timeline.timestamps import parse_timestamp

LARGEST_SIDECAR = 1_000_000  # bytes
_LONGEST_SHOWN = 100  # characters
_COARSEST_S = 60
_MOST_STRETCHES = 1_000


@dataclass(frozen=True)
class Sidecar:
    """What a recorder knows of a segment: where it lies on the wall clock, and its hash.

    exact_to: how far off its instants may be; zero where they are as exact as they are written.
    stretches: when the recording ran, where it was paused; the first begins at its start.
    is_by_name: a power cut left its recorder nothing but the name of the file to go by.
    """

    start: datetime | None = None
    end: datetime | None = None
    sha256: str | None = None
    exact_to: timedelta = timedelta(0)
    stretches: tuple[Span, ...] = ()
    is_by_name: bool = False

    @property
    def knows_time(self) -> bool:
        """Whether its recorder knew when the file began, and not to a second only."""
        return self.start is not None and not self.exact_to and not self.is_by_name


class MalformedSidecar(Exception):
    """A sidecar that cannot be used; the message says why."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return str(self.message)


def sidecar_path(media: Path) -> Path:
    """Return where the sidecar of a media file lies, if it has one."""
    return media.with_suffix(".json")


def read_sidecar(media: Path) -> tuple[Sidecar, Message | None]:
    """Return what the sidecar of a media file says, and what is wrong with it, if anything is.

    One that is missing, or cannot be used, says nothing.
    """
    path = sidecar_path(media)
    try:
        return load_sidecar(media) or Sidecar(), None
    except OSError:
        return Sidecar(), Message("media.sidecar_no_json", file=path.name)
    except MalformedSidecar as error:
        return Sidecar(), error.message


def load_sidecar(media: Path) -> Sidecar | None:
    """Return what the sidecar of a media file says; None where there is none.

    Raises:
        OSError: it cannot be read.
        MalformedSidecar: it cannot be used.
    """
    path = sidecar_path(media)
    if not path.is_file():  # a pipe would be waited for
        if not path.exists():
            return None
        raise MalformedSidecar(Message("media.sidecar_no_file", file=path.name))
    with path.open("rb") as file:
        text = file.read(LARGEST_SIDECAR + 1)
    if len(text) > LARGEST_SIDECAR:
        raise MalformedSidecar(Message("media.sidecar_too_large", file=path.name))
    return _parse(text, path.name)


def _parse(text: bytes, file: str) -> Sidecar:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedSidecar(Message("media.sidecar_no_json", file=file)) from error
    if not isinstance(document, dict):
        raise _not_understood(file, Message("media.sidecar_no_object"))
    start, end = (_instant(document, name, file) for name in ("start", "end"))
    if start and end and end <= start:
        raise _not_understood(file, Message("media.sidecar_ends_before_start"))
    stretches = _stretches(document, start, end, file)
    digest = document.get("sha256")
    is_digest = isinstance(digest, str) and len(digest) == 64
    coarse_s = document.get("exact_to_s")
    if not (isinstance(coarse_s, int | float) and 0 <= coarse_s <= _COARSEST_S):
        coarse_s = 0
    return Sidecar(
        start, end if start else None, digest if is_digest else None, timedelta(seconds=coarse_s),
        stretches, document.get("clock") == "name",
    )  # fmt: skip


def _stretches(
    document: Mapping[str, Any], start: datetime | None, end: datetime | None, file: str
) -> tuple[Span, ...]:
    """Return when the recording ran; nothing where it does not say so."""
    listed = document.get("stretches")
    if listed is None:
        return ()
    is_list = isinstance(listed, list) and 0 < len(listed) <= _MOST_STRETCHES
    if not is_list or not all(isinstance(pair, list) and len(pair) == 2 for pair in listed):
        why = Message("media.sidecar_stretches_no_list", most=_MOST_STRETCHES)
        raise _not_understood(file, why)
    pairs = [tuple(_parse_instant(value, file) for value in pair) for pair in listed]
    instants = [instant for pair in pairs for instant in pair]
    if not all(begins < ends for begins, ends in pairs) or instants != sorted(instants):
        raise _not_understood(file, Message("media.sidecar_stretches_disorder"))
    if instants[0] != start or (end is not None and instants[-1] > end):
        raise _not_understood(file, Message("media.sidecar_stretches_outside"))
    return tuple(Span(begins, ends) for begins, ends in pairs)


def _instant(document: Mapping[str, Any], name: str, file: str) -> datetime | None:
    value = document.get(name)
    return None if value is None else _parse_instant(value, file)


def _parse_instant(value: Any, file: str) -> datetime:
    try:
        instant = parse_timestamp(value)
        if is_plausible(instant):
            return utc(instant)
    except (TypeError, ValueError, OverflowError) as error:
        text = str(value)[:_LONGEST_SHOWN]
        raise _not_understood(file, Message("media.sidecar_no_instant", text=text)) from error
    raise _not_understood(file, Message("timeline.impossible_year", year=instant.year))


def _not_understood(file: str, why: Message) -> MalformedSidecar:
    return MalformedSidecar(Message("media.sidecar_not_understood", file=file, why=why))


def sidecar_bytes(
    start: datetime,
    end: datetime | None = None,
    sha256: str | None = None,
    *,
    exact_to_s: int = 0,
    stretches: Sequence[Span] = (),
    **about: str,
) -> bytes:
    """Return what a recorder writes into a sidecar.

    Args:
        start, end: of the segment; no end where only the file itself knows it.
        exact_to_s: how far off they may be, where that is more than a clock ever is.
        stretches: when it ran, where it was paused.
        about: what people may want to know of the recording beside that.
    """
    document = {
        "start": start.isoformat(),
        "end": end.isoformat() if end else None,
        "sha256": sha256,
        **({"exact_to_s": exact_to_s} if exact_to_s else {}),
        **({"stretches": [_iso_pair(span) for span in stretches]} if stretches else {}),
        **about,
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _iso_pair(span: Span) -> list[str]:
    return [span.start.isoformat(), span.end.isoformat()]
