"""Reads all that is kept, and says what is no longer as it was written. It mends nothing.

What it found last is kept as a fact, for the operator's page.
Compared are parts with their sums, videos with their rows, and media with its sidecars and rows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, select

from merger.config import Settings
from merger.db.engine import reading, writing
from merger.db.key_value import KeyValueStore
from merger.delivery.folder import FolderDestination
from merger.i18n import Message, from_json, sentences, to_json
from merger.live.recordings import list_recordings
from merger.media.sidecar import read_sidecar
from merger.monitoring.findings import Finding, Level, findings_of
from merger.storage import paths
from merger.storage.cache import Cache, sum_of
from merger.storage.copying import sha256_of
from merger.storage.disk_space import amount
from models import Delivery, Fact, Rendition, Segment

_MOST_NAMES = 10  # of files that are listed
_FACT = "verified"

Condition = Literal["intact", "uncompared", "changed", "missing", "unreadable"]
_WRONG: tuple[Condition, ...] = ("changed", "missing", "unreadable")


@dataclass(frozen=True)
class Kept:
    """A file that is kept, and what is known of it. name: for people."""

    path: Path
    name: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Area:
    """Files that are kept for one purpose.

    Attributes:
        what: they are, for people.
        key: of the advice about what is wrong with them.
        list_files: lists them as they are to be now.
        folder: without which none of them can be read; else None.
        may_miss: people remove them when they like.
    """

    what: str
    key: str
    list_files: Callable[[], Iterable[Kept]]
    folder: Path | None = None
    may_miss: bool = False


def verify(settings: Settings, engine: Engine, check: Callable[[], None]) -> list[Finding]:
    """Return what became of all that is kept.

    Args:
        check: is called between blocks of files, and may raise.
    """
    output = settings.output
    areas = (
        Area("parts in the cache (MERGER_CACHE)", "part", partial(_parts, settings)),
        Area("videos (MERGER_DATA)", "video", partial(_videos, settings, engine)),
        Area(
            "delivered videos (MERGER_OUTPUT)", "delivered", partial(_delivered, settings, engine),
            folder=output, may_miss=True,
        ),
        Area("collected media (MERGER_DATA)", "media", partial(_media, settings, engine)),
    )  # fmt: skip
    digests: dict[tuple[int, int], str] = {}  # what was collected may be what was recorded
    return [
        finding
        for area in areas
        for finding in findings_of(area.what, partial(_look_at, area, digests, check))
    ]


@dataclass(frozen=True)
class Verified:
    """When all was read last, and what was not as it was written."""

    at: datetime
    wrong: tuple[Message, ...]


def keep_result(engine: Engine, findings: Iterable[Finding], now: datetime) -> None:
    """Keep what was found, in place of what was found before."""
    wrong = [to_json(finding.text) for finding in findings if finding.level != "ok"]
    value = json.dumps({"at": now.isoformat(), "wrong": wrong})
    writing(engine, lambda session: session.merge(Fact(name=_FACT, value=value)))


def last_result(engine: Engine) -> Verified | None:
    """Return what was found last; None where nobody has looked yet."""
    kept = KeyValueStore(engine).get(_FACT)
    if kept is None:
        return None
    found = json.loads(kept)
    return Verified(
        datetime.fromisoformat(found["at"]), tuple(from_json(text) for text in found["wrong"])
    )


def _look_at(
    area: Area, digests: dict[tuple[int, int], str], check: Callable[[], None]
) -> Iterator[Finding]:
    if area.folder and not area.folder.is_dir():
        missing = Message("monitoring.folder_missing", folder=str(area.folder))
        yield Finding(area.what, "broken", missing)
        return
    found: dict[Condition, list[Kept]] = defaultdict(list)
    size_bytes = 0
    for kept in area.list_files():
        condition, read_bytes = _compare(kept, digests, check)
        found[condition].append(kept)
        size_bytes += read_bytes
    if any(found[wrong] for wrong in _WRONG):
        still = set(area.list_files())  # the service goes on meanwhile: it removes and replaces
        for wrong in _WRONG:
            found[wrong] = [
                kept
                for kept in found[wrong]
                if kept in still and _compare(kept, {}, check)[0] == wrong
            ]
    for wrong in _WRONG:
        if found[wrong]:
            level: Level = "warning" if wrong == "missing" and area.may_miss else "broken"
            yield Finding(area.what, level, _trouble(area, wrong, found[wrong]))
    size = amount(size_bytes)
    said = [Message("monitoring.kept.intact", count=len(found["intact"]), size=size)]
    if found["uncompared"]:
        said.append(Message("monitoring.kept.uncompared", count=len(found["uncompared"])))
    yield Finding(area.what, "ok", sentences(said))


def _trouble(area: Area, wrong: Condition, files: list[Kept]) -> Message:
    """Return what is wrong with some files, and what to do about it."""
    names = tuple(sorted(kept.name for kept in files))
    listed: tuple[Message | str, ...] = names[:_MOST_NAMES]
    if len(names) > _MOST_NAMES:
        listed += (Message("monitoring.kept.more", count=len(names) - _MOST_NAMES),)
    said = Message(f"monitoring.kept.{wrong}", count=len(names), files=listed)
    advice = "unreadable" if wrong == "unreadable" else f"{area.key}_{wrong}"
    return sentences([said, Message(f"monitoring.kept.advice.{advice}")])


def _compare(
    kept: Kept, digests: dict[tuple[int, int], str], check: Callable[[], None]
) -> tuple[Condition, int]:
    """Return what became of a file, and how many bytes of it were compared."""
    try:
        status = kept.path.stat()
        if kept.size_bytes not in (None, status.st_size):
            return "changed", 0
        if kept.sha256 is None:
            return "uncompared", 0
        file = status.st_dev, status.st_ino
        if file not in digests:
            digests[file] = sha256_of(kept.path, check)
    except FileNotFoundError:
        return "missing", 0
    except OSError:
        return "unreadable", 0
    return ("intact", status.st_size) if digests[file] == kept.sha256 else ("changed", 0)


def _parts(settings: Settings) -> Iterator[Kept]:
    for path in Cache(settings.cache, settings.cache_bytes).files():
        yield Kept(path, f"{path.parent.name}/{path.name}", sha256=sum_of(path))


def _videos(settings: Settings, engine: Engine) -> Iterator[Kept]:
    with reading(engine) as session:
        rows = session.execute(
            select(Rendition.path, Rendition.size_bytes, Rendition.sha256)
            .where(Rendition.path.is_not(None))
            .order_by(Rendition.id)
        ).all()
    for path, size_bytes, sha256 in rows:
        if path is not None:
            yield Kept(settings.data / path, path, size_bytes, sha256)


def _delivered(settings: Settings, engine: Engine) -> Iterator[Kept]:
    """Yield what lies in the folder for videos; other destinations look after theirs."""
    with reading(engine) as session:
        rows = session.execute(
            select(Delivery.name, Delivery.sha256)
            .where(
                Delivery.destination == FolderDestination.name,
                Delivery.status == "delivered",
                Delivery.version.is_not(None),  # else it is being replaced
            )
            .order_by(Delivery.id)
        ).all()
    for name, sha256 in rows:
        yield Kept(settings.destination / name, name, sha256=sha256)


def _media(settings: Settings, engine: Engine) -> Iterator[Kept]:
    """Yield what was collected, and what was recorded here."""
    data = settings.data
    with reading(engine) as session:
        rows = session.execute(select(Segment.path, Segment.size_bytes).order_by(Segment.id)).all()
    known = {data / path: size_bytes for path, size_bytes in rows}
    others = (  # that older versions of records are made of
        path
        for path in paths.segments_folder(data).glob("*/[!.]*")
        if path.suffix != ".json" and path not in known
    )
    for path in (*known, *others):
        name = str(path.relative_to(data))
        yield Kept(path, name, known.get(path), _said_by_sidecar(path))
    for file in list_recordings(settings.recorded):
        name = str(file.path.relative_to(data))
        yield Kept(file.path, name, sha256=file.sha256 and file.sha256.lower())


def _said_by_sidecar(media: Path) -> str | None:
    sha256 = read_sidecar(media)[0].sha256
    return sha256 and sha256.lower()
