"""The last picture of each source: a JPEG in the data folder, whose file time is its instant."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from merger.analysis.decoding import sample_targets
from merger.analysis.jpeg import encode_jpeg
from merger.analysis.targets import Target
from merger.config import Settings
from merger.errors import MergerError
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.library import Entry, Library
from merger.storage.files import make_folder, publish, work_folder
from merger.storage.locks import file_lock
from merger.timeline.clock import Stretch, microseconds
from merger.timeline.layout import Size
from merger.timeline.media import MediaFile

log = logging.getLogger(__name__)

_LARGEST = Size(640, 640)
# The end of a file may be damaged; but who looks wants to see the room as it is, not as it was.
_MOST_TRIED = 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def thumbnails_folder(settings: Settings) -> Path:
    return settings.data / "pictures"


def picture_path(settings: Settings, source: int) -> Path:
    """Return where the last picture of a source lies, if there is one."""
    return thumbnails_folder(settings) / f"{source}.jpg"


def taken_at(settings: Settings, source: int) -> datetime | None:
    """Return the instant that the last picture of a source shows; None where there is none."""
    try:
        status = picture_path(settings, source).stat()
    except FileNotFoundError:
        return None
    return _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)


def save_thumbnail(settings: Settings, source: int, at: datetime, picture: bytes) -> None:
    """Publish a JPEG as the last picture of a source, unless there is one as new.

    Raises Temporary or Broken where it cannot be written.
    """
    make_folder(thumbnails_folder(settings), "MERGER_DATA")
    with work_folder(thumbnails_folder(settings)) as work:
        partial = work / "picture.jpg"
        partial.write_bytes(picture)
        at_ns = microseconds(at - _EPOCH) * 1000
        os.utime(partial, ns=(at_ns, at_ns))
        # Others may have an older picture: they stay out between our look and our rename.
        with file_lock(thumbnails_folder(settings) / "lock"):
            before = taken_at(settings, source)
            if before is None or before < at:
                publish(partial, picture_path(settings, source))


def save_last_thumbnails(settings: Settings, ids: Mapping[str, int], library: Library) -> None:
    """Keep the last picture of each source; what stands in the way is a line of the log.

    Args:
        ids: of the sources, by their names.
    """
    for name, source in ids.items():
        entries = [entry for entry in library.entries if entry.source == name]
        try:
            _save_last_of(settings, source, entries)
        except (OSError, ValueError, Unreadable, MergerError) as error:
            log.warning("the last picture of source %r is not kept: %s", name, error)


def _save_last_of(settings: Settings, source: int, entries: Sequence[Entry]) -> None:
    with_pictures = [entry for entry in entries if entry.media.video and len(entry.media.key_us)]
    if not with_pictures:
        return
    newest = max(with_pictures, key=_last_key_at)
    before = taken_at(settings, source)
    if before is not None and before >= _last_key_at(newest):
        return
    found = reader.call(_last_picture, newest.media)
    if found is not None:
        at_us, picture = found
        of_file = (
            e for e in entries if e.media is newest.media and e.cut([Stretch(at_us, at_us + 1)])
        )
        placed = next(of_file, newest)
        save_thumbnail(settings, source, placed.clock.wall(at_us), picture)


def _last_picture(media: MediaFile) -> tuple[int, bytes] | None:
    """Return a file's last key frame that can be decoded, and its file time; runs in a reader."""
    assert media.video is not None
    times_us = media.right_us.tolist()
    wanted = [Target(str(media.path), key, at_us) for key, at_us in enumerate(times_us)][::-1]
    for target, frame in sample_targets(media, wanted[:_MOST_TRIED]):
        return target.at_us, encode_jpeg(frame, media.video, _LARGEST)
    return None


def _last_key_at(entry: Entry) -> datetime:
    return entry.clock.wall(int(entry.media.key_us[-1]))
