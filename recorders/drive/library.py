"""What a library in Google Drive has of a span, and loading it. See `recorders/drive/source.py`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from google_apis.drive import files as drive
from google_apis.drive.download import download
from google_apis.errors import NotThere
from google_apis.http import Google
from merger.errors import Invalid, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.logs import printable
from merger.media.library import LONGEST_SEGMENT
from merger.media.sidecar import LARGEST_SIDECAR
from merger.timeline.clock import Span
from merger.timeline.files.filenames import LibraryName, library_name
from merger.timeline.timestamps import parse_timestamp
from merger.timeline.zones import wall_time
from recorders import base
from recorders.base import Collected, Item, Skipped, SourceOfRoom
from recorders.drive.place import Place

_QUIET = timedelta(seconds=60)  # a sync program may replace what it has just uploaded
_DEEPEST = 4  # folders: drive, room, year, day
_MOST_FOLDERS = 500
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class File:
    """A file of Drive that may belong to a span."""

    item: Item
    id: str
    md5: str
    changed_at: datetime
    sidecar: str | None  # its id
    notes: tuple[Message, ...]


def files_of(
    google: Google,
    place: Place,
    source: SourceOfRoom,
    span: Span,
    now: datetime,
    note: Callable[[Message], None] = lambda message: None,
) -> list[File]:
    """Return what exists of a span, in order of time.

    Args:
        note: gets what people should know of what is passed over.

    Raises:
        Invalid: the folder is missing, is none, or lies in the bin: what is in there is not listed.
    """
    folder = _resolve_folder(google, place.folder, source)
    days = _days(span, source)
    listed = list(_list_files(google, folder, days, note))
    sidecars = {
        entry["name"].rpartition(".")[0]: str(entry["id"])
        for entry in listed
        if entry["name"].endswith(".json") and int(entry.get("size") or 0) <= LARGEST_SIDECAR
    }
    found = []
    for entry in listed:
        parsed = library_name(entry["name"], place.room, {place.source})
        if not isinstance(parsed, LibraryName):
            continue
        start, odd = wall_time(parsed.start, source.zone)
        if start >= span.end or start <= span.start - LONGEST_SEGMENT:
            continue
        file = _file(entry, start, odd, sidecars.get(entry["name"].rpartition(".")[0]), now)
        if not _is_over(file.item, span.start):
            found.append(file)
    found.sort(key=lambda file: (file.item.start, file.item.origin))
    return [f for n, f in enumerate(found) if not _is_followed(found, n, span.start)]


def _resolve_folder(google: Google, folder: str, source: SourceOfRoom) -> str:
    """Return the id of the folder that an address means, which may be a shortcut's."""
    there = drive.get_file(google, folder)
    if there is not None and (target := drive.shortcut_target(there)):
        folder, there = target, drive.get_file(google, target)
    if there is None:
        key = "recorders.drive.no_folder"
        raise base.invalid_source(source, "address", key, folder=folder, account=google.account)
    if there.get("trashed"):
        raise base.invalid_source(source, "address", "recorders.drive.in_bin", folder=folder)
    if there.get("mimeType") != drive.FOLDER:
        name = printable(str(there.get("name")))
        raise base.invalid_source(source, "address", "recorders.drive.is_a_file", name=name)
    return folder


def collect_all(
    google: Google,
    source: SourceOfRoom,
    files: Sequence[File],
    into: Path,
    cancelled: Callable[[], bool],
) -> list[Collected]:
    """Load settled files that are not there yet; each is what Drive says by its MD5."""

    def load_to(file: File, final: Path) -> None:
        if not _is_collected(final, file):
            _load(google, file, final, cancelled)

    items = ((f.item, base.extension_of(f.item), partial(load_to, f)) for f in files)
    return base.collect_each(source, into, items, cancelled)


def _days(span: Span, source: SourceOfRoom) -> list[date]:
    """Return the days by which files of a span may be called."""
    first = (span.start - LONGEST_SEGMENT).astimezone(source.zone).date()
    last = span.end.astimezone(source.zone).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _list_files(
    google: Google, folder: str, days: list[date], note: Callable[[Message], None]
) -> Iterator[dict[str, Any]]:
    """Yield the files of some days in a folder and below it; shortcuts are followed."""
    # https://developers.google.com/workspace/drive/api/guides/ref-search-terms: `contains` on a
    # name finds the words that begin so.
    of_days = " or ".join(f"name contains {drive.quote(day.isoformat())}" for day in days)
    kinds = (f"mimeType = {drive.quote(kind)}" for kind in (drive.FOLDER, drive.SHORTCUT))
    wanted = " or ".join((*kinds, of_days))
    known, level = {folder}, [folder]
    for _ in range(_DEEPEST):
        below: list[str] = []
        for parent in level:
            for listed in drive.find_files(
                google, f"{drive.quote(parent)} in parents and ({wanted})"
            ):
                if not _may_be_of(listed, days):
                    continue  # each shortcut that is followed is a call
                entry = _follow(google, listed)
                if entry is None:
                    name, account = printable(str(listed["name"])), google.account
                    note(Message("recorders.drive.shortcut_to_nothing", name=name, account=account))
                    continue
                if entry["id"] in known:
                    continue  # a shortcut back to where we come from
                if entry.get("mimeType") != drive.FOLDER:
                    yield entry
                else:
                    below.append(str(entry["id"]))
                    known.add(entry["id"])
        level = below
        if not level:
            return
        if len(known) > _MOST_FOLDERS:
            raise Invalid("address", "recorders.drive.too_many_folders", most=_MOST_FOLDERS)


def _may_be_of(entry: Mapping[str, Any], days: Sequence[date]) -> bool:
    """Return whether a file, a folder, or a shortcut to one may be of some days by its name. Pure.

    A folder with the name of another day is none of them; any other may hold what is.
    """
    name, target = str(entry["name"]), entry.get("shortcutDetails") or {}
    if drive.FOLDER in (entry.get("mimeType"), target.get("targetMimeType")):
        return not _DAY.fullmatch(name) or name in map(str, days)
    return any(str(day) in name for day in days)


def _follow(google: Google, entry: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a shortcut leads to, under the shortcut's name; None where that is not there."""
    target = drive.shortcut_target(entry)
    if target is None:
        return entry
    there = drive.get_file(google, target)
    return None if there is None or there.get("trashed") else {**there, "name": entry["name"]}


def _file(
    listed: Mapping[str, Any],
    start: datetime,
    odd: Message | None,
    sidecar: str | None,
    now: datetime,
) -> File:
    changed_at = parse_timestamp(listed["modifiedTime"])
    length_ms = int((listed.get("videoMediaMetadata") or {}).get("durationMillis") or 0)
    end = start + timedelta(milliseconds=length_ms) if length_ms else None
    size_bytes, md5 = int(listed.get("size") or 0), str(listed.get("md5Checksum") or "")
    settled = bool(md5 and size_bytes) and base.is_quiet(changed_at, end, now, _QUIET)
    name, number = str(listed["name"]), str(listed["id"])
    # Two files of one name are two origins.
    item = Item(f"{number} {name}", f"{md5}-{size_bytes}", start, end, size_bytes, settled)
    notes: tuple[Message, ...] = ()
    if odd:
        notes = (Message("recorders.of_file", file=printable(name), why=odd),)
    return File(item, number, md5, changed_at, sidecar, notes)


def _is_over(item: Item, instant: datetime) -> bool:
    return item.end is not None and item.end <= instant


def _is_followed(files: list[File], n: int, instant: datetime) -> bool:
    """Return whether a file without a known end was over when the span began."""
    item = files[n].item
    return item.end is None and any(
        item.start < other.item.start <= instant for other in files[n + 1 :]
    )


def _is_collected(final: Path, file: File) -> bool:
    try:
        return final.stat().st_size == file.item.size_bytes
    except OSError:
        return False


def _load(google: Google, file: File, final: Path, cancelled: Callable[[], bool]) -> None:
    """Load a file under its final name. Raises Skipped for one that Drive does not give."""
    name = printable(file.item.origin)
    base.require_space(final.parent, file.item.size_bytes, final.name)
    with base.work_folder(final.parent) as work:
        partial = work / final.name
        try:
            md5 = download(google, file.id, partial, lambda: base.stop_if(cancelled))
            sidecar = _sidecar(google, file.sidecar, work / "sidecar", cancelled)
        except NotThere as error:
            raise Skipped(Temporary("source_away", "recorders.drive.gone", file=name)) from error
        if md5 != file.md5:
            raise Skipped(Temporary("source_away", "recorders.drive.changed", file=name))
        # The cache knows files by the time of their change: loaded again, it is the same file.
        changed_ns = int(file.changed_at.timestamp()) * 1_000_000_000
        os.utime(partial, ns=(changed_ns, changed_ns))
        failpoint("recorder.copied")
        base.publish_media(partial, sidecar, final)


def _sidecar(
    google: Google, sidecar: str | None, partial: Path, cancelled: Callable[[], bool]
) -> bytes | None:
    if sidecar is None:
        return None
    download(google, sidecar, partial, lambda: base.stop_if(cancelled))
    return partial.read_bytes()
