"""Kind `rtsp`: a camera or an encoder in the room, which `app.py recorder` records.

The address is one such as `rtsp://10.0.5.4/stream1`, or `rtsps://…`. With `#always` behind it, the
source is recorded all the time, not only when a record was asked for. How long before and after a
record is a setting of the room.

The credentials are `user:password`. What is recorded lies in the data folder, in a folder for each
source, and is found and collected there as from any library.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from merger.errors import Invalid, did_you_mean
from merger.i18n import Message, Param
from merger.media.library import LONGEST_SEGMENT
from merger.timeline.clock import Span
from recorders.base import Collected, Found, Item, SourceOfRoom, invalid_source, prepare_folder
from recorders.folder import Place, collect_from, find_in
from recorders.rtsp.local_hosts import is_forbidden
from recorders.rtsp.recordings import file_name, folder_of, raw_files, read_journal

SCHEMES = ("rtsp", "rtsps")
_SETTINGS = ("always",)
_OF_ROOM = ("early", "late")
# A file that is published is complete at once.
_QUIET = timedelta()
_LONGEST_NAME = 255  # bytes of a file's name


@dataclass(frozen=True)
class Address:
    """What an address says. url: without what stands behind its #."""

    url: str
    always: bool = False


@dataclass(frozen=True)
class Rtsp:
    """Live sources, recorded here. recorded: the folder for their files."""

    recorded: Path | None = None
    allow_local: bool = False
    # Finishing a file of half an hour takes seconds; a connection that is lost, a minute.
    settle: timedelta = timedelta(minutes=5)

    def check(self, source: SourceOfRoom) -> None:
        """Raise Invalid where address or credentials make no sense; nobody is connected to."""
        address_of(source, allow_local=self.allow_local)
        user, colon, _ = (source.credentials or "user:password").partition(":")
        if not colon or not user or not (source.credentials or "x").isprintable():
            raise invalid_source(source, "credentials", "recorders.rtsp.credentials_form")

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return what was recorded of a span, and what is being recorded."""
        place = self._place(source)
        if not place.folder.is_dir():
            note = Message("recorders.rtsp.nothing_yet", source=source.name)
            return Found((), True, (note,))
        found = find_in(place, source, span, now)
        growing = _growing(place, span)
        items = sorted((*found.items, *growing), key=lambda item: (item.start, item.origin))
        return Found(tuple(items), found.more_expected or bool(growing), found.notes)

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Bring what is finished."""
        place = self._place(source)
        if not place.folder.is_dir():
            prepare_folder(into)
            return []
        return collect_from(place, source, span, into, now, cancelled, LONGEST_SEGMENT)

    def _place(self, source: SourceOfRoom) -> Place:
        address_of(source, allow_local=self.allow_local)
        if self.recorded is None or source.id is None:
            raise invalid_source(source, "address", "recorders.rtsp.not_here")
        folder = folder_of(self.recorded, source.id)
        return Place(folder, source.room, source.name, _QUIET, is_own=True)


def _growing(place: Place, span: Span) -> list[Item]:
    """Return what is not finished yet of a span."""
    items = []
    for raw in raw_files(place.folder):
        journal = read_journal(raw)
        if journal is None or journal.start >= span.end:
            continue
        if journal.end is not None and journal.end <= span.start:
            continue
        try:
            size = raw.stat().st_size
        except FileNotFoundError:
            continue  # finished this very moment
        name = file_name(journal.start, journal.zone, journal.room, journal.source)
        items.append(Item(name, f"raw-{size}", journal.start, None, size, settled=False))
    return items


def address_of(source: SourceOfRoom, *, allow_local: bool = False) -> Address:
    """Return what an address says. Raises Invalid with what to write instead."""

    def invalid(key: str, **params: Param) -> Invalid:
        return invalid_source(source, "address", f"recorders.rtsp.{key}", **params)

    url, _, options = source.address.partition("#")
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        is_fine = False
    if not is_fine or not url.isprintable() or re.search(r"\s", url):
        raise invalid("not_a_camera")
    if parts.username is not None or parts.password is not None:
        raise invalid("secrets_in_address")
    if _is_local(parts) and not allow_local:
        raise invalid("local_address", host=parts.hostname or "")
    longest = len(f"2026-11-20_10-00-00_{source.room}_{source.name}.json".encode())
    if longest > _LONGEST_NAME:
        raise invalid("names_too_long")
    return _with_options(Address(url), options, invalid)


def _is_local(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False  # a name: looked at whenever it is connected to
    return is_forbidden(host)


def _with_options(address: Address, options: str, invalid: Callable[..., Invalid]) -> Address:
    """Return an address with what stands behind its #."""
    seen = set()
    for name, value in parse_qsl(options, keep_blank_values=True):
        if name in _OF_ROOM:
            raise invalid("setting_of_room", setting=name)
        if name not in _SETTINGS:
            hint = did_you_mean(name, sorted(_SETTINGS))
            raise invalid("unknown_setting", setting=name, hint=hint)
        if name in seen:
            raise invalid("setting_twice", setting=name)
        seen.add(name)
        if value:
            raise invalid("setting_with_value", setting=name)
        address = replace(address, always=True)
    return address
