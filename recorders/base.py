"""The recorders' side of the contract in `merger.ports.recorder`, and what all kinds share.

Media is collected through a work folder inside the folder that it is for, so that it gets its final
name in one step and whatever a killed run left is swept away by the next. Its sidecar is there
first: whoever sees the media sees what is known about it.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from merger.errors import Broken, Cancelled, Invalid, MergerError, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message, Param
from merger.logs import printable
from merger.media.sidecar import sidecar_path
from merger.ports.recorder import Collected, Found, Item, Recorder, SourceOfRoom
from merger.storage.disk_space import require_space
from merger.storage.files import AWAY, make_folder, publish, sweep_leftovers, work_folder
from merger.timeline.clock import Span

__all__ = [
    "Collected",
    "Found",
    "Item",
    "Recorder",
    "Skipped",
    "SourceOfRoom",
    "collect_each",
    "explain_failure",
    "extension_of",
    "file_name",
    "invalid_source",
    "is_quiet",
    "prepare_folder",
    "publish_media",
    "reach_over",
    "refuse_credentials",
    "require_space",
    "stop_if",
    "work_folder",
]  # fmt: skip

JOINT = timedelta(seconds=2)  # between two files, or at an edge: no media is missing there
BLOCK = 1 << 20  # bytes between two questions whether to stop
CLOCKS_DIFFER = timedelta(minutes=5)  # ours and the share's, at most, where both are set
_NOT_OF_NOW = timedelta(days=1)
_LONGEST_STEM = 50  # characters, of up to 4 bytes; a name has room for 255 bytes
# A share that is not mounted is away, too.
_AWAY = AWAY | {errno.ENOENT}


class Skipped(Exception):
    """An item that cannot be collected now, while others can.

    trouble: the error where nothing else can be collected; None where it need not be one.
    """

    def __init__(self, trouble: MergerError | None = None) -> None:
        super().__init__(trouble)
        self.trouble = trouble


def stop_if(cancelled: Callable[[], bool]) -> None:
    """Raise Cancelled where somebody asked to stop."""
    if cancelled():
        raise Cancelled("cancelled", "recorders.stopped")


def invalid_source(source: SourceOfRoom, field: str, key: str, /, **params: Param) -> Invalid:
    """Return the error of a source that cannot be used as it is described.

    Args:
        field: that is wrong, `address` or `credentials`.
        key: of the reason, with its parameters.
    """
    return Invalid(field, "error.of_source", source=source.name, why=Message(key, **params))


def refuse_credentials(source: SourceOfRoom) -> None:
    """Raise Invalid where there are credentials that this kind has no use for."""
    if source.credentials:
        key = "recorders.no_credentials_needed"
        raise invalid_source(source, "credentials", key, kind=source.kind)


def reach_over(items: Sequence[Item], span: Span) -> bool:
    """Return whether items, in order of time, reach over a span without a hole.

    An item without a known end reaches to the start of the next; the last one proves nothing.
    """
    reached = span.start
    for n, item in enumerate(items):
        if item.start > reached + JOINT:
            return False
        following = items[n + 1].start if n + 1 < len(items) else item.start
        reached = max(reached, item.end or following)
    return reached >= span.end - JOINT


def is_quiet(changed: datetime, end: datetime | None, now: datetime, quiet: timedelta) -> bool:
    """Return whether nobody is writing a file, as far as the time of its last change tells. Pure.

    A place whose clock is ahead by minutes only makes us wait longer. Further ahead the time says
    nothing (a share that takes local time for UTC, a program that sets the time of a copy): then
    media that says itself where it ends, and has ended, is complete; and a time of another day is
    no clock's but a mistake, never to pass.

    Args:
        end: of the media; None where it does not say.
        quiet: for how long it must not have changed.
    """
    if changed <= now + CLOCKS_DIFFER:
        return changed <= now - quiet
    return (end is not None and end <= now - quiet) or changed > now + _NOT_OF_NOW


def file_name(source: SourceOfRoom, item: Item, extension: str) -> str:
    """Return the name under which an item is collected: readable, safe, and nobody else's.

    Other content, and the same origin in another source, result in another name.

    Args:
        extension: without the dot.
    """
    identity = "\0".join((source.room, source.name, item.origin, item.fingerprint))
    mark = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    stem = re.sub(r"[^\w-]+", "_", Path(item.origin).stem)[:_LONGEST_STEM]
    return f"{stem}~{mark}.{extension}"


def prepare_folder(into: Path) -> None:
    """Make the folder that media is collected in, and remove what killed runs left there."""
    make_folder(into, "MERGER_DATA")
    sweep_leftovers(into)


def collect_each(
    source: SourceOfRoom,
    into: Path,
    items: Iterable[tuple[Item, str, Callable[[Path], None]]],
    cancelled: Callable[[], bool],
) -> list[Collected]:
    """Collect what is settled, each item under its own name; one bad file never stops the others.

    Args:
        items: each with its extension, and what collects it to a path, unless it is there already.
            That may raise Skipped.

    Raises:
        Cancelled: `cancelled` says so.
        MergerError: the trouble with the last that was skipped, where nothing was collected.
    """
    prepare_folder(into)
    collected: list[Collected] = []
    trouble: MergerError | None = None
    for item, extension, collect_to in items:
        if not item.settled:
            continue
        stop_if(cancelled)
        final = into / file_name(source, item, extension)
        try:
            collect_to(final)
        except Skipped as skipped:
            trouble = skipped.trouble or trouble
            continue
        collected.append(Collected(item, final))
    if trouble and not collected:
        raise trouble
    return collected


def extension_of(item: Item) -> str:
    """Return the extension of a file that is called like its origin, without the dot."""
    return item.origin.rpartition(".")[2].lower()


def publish_media(partial: Path, sidecar: bytes | None, final: Path) -> None:
    """Give media, complete in a work folder, its final name, its sidecar before it."""
    if sidecar is not None:
        partial_sidecar = sidecar_path(partial)
        partial_sidecar.write_bytes(sidecar)
        publish(partial_sidecar, sidecar_path(final))
    failpoint("recorder.sidecar")
    publish(partial, final)


def explain_failure(error: OSError, path: Path) -> Temporary | Broken:
    """Return what it means that something cannot be read where a recorder looks."""
    place, why = printable(str(path)), error.strerror or str(error)
    if error.errno in _AWAY:
        return Temporary("source_away", "recorders.away", place=place, why=why)
    if error.errno in (errno.EACCES, errno.EPERM):
        return Broken("source_permission", "recorders.no_permission", place=place, why=why)
    return Broken("source", "recorders.unreadable", place=place, why=why)
