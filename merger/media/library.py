"""A library: a folder with segments that somebody recorded, placed on the wall clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import av

from merger.errors import Invalid
from merger.i18n import Message, verbatim
from merger.media.index import Unreadable, demuxer_for, open_container, read_media
from merger.media.sidecar import Sidecar, read_sidecar
from merger.timeline.clock import (
    ClockMap,
    Segment,
    Span,
    Stretch,
    microseconds,
    without_spans,
)
from merger.timeline.filenames import (
    MEDIA_EXTENSIONS,
    is_of_another,
    library_name,
    place_and_source,
)
from merger.timeline.media import MediaFile
from merger.timeline.zones import wall_time

# A clock that is off by more than this is none: the file was cut off, or the sidecar is wrong.
LARGEST_DRIFT = Fraction(5, 100)
_MOST_NOTES = 5
_ROUNDING_US = 2_000  # of timestamps in milliseconds, as Matroska has them, at both ends
SURPRISING_DRIFT = Fraction(1, 1000)  # quartz clocks are a tenth of this off
# Longer segments than this are not looked for before the start of a record.
LONGEST_SEGMENT = timedelta(hours=24)


@dataclass(frozen=True)
class Entry:
    """A file of the library that belongs to a record, and how it lies on the wall clock."""

    source: str
    media: MediaFile
    clock: ClockMap
    identity: str
    audible: bool = True  # or its sound is digital silence, which still says that the source ran

    @property
    def file(self) -> str:
        return str(self.media.path)


@dataclass
class Library:
    """What a folder holds for a record."""

    entries: list[Entry] = field(default_factory=list)
    warnings: list[Message] = field(default_factory=list)  # for the owner of the video
    notes: list[Message] = field(default_factory=list)  # for who runs the command
    ignored: list[Message] = field(default_factory=list)  # notes about names that do not fit
    known: set[str] = field(default_factory=set)  # sources of which there is any file
    starts: dict[str, datetime] = field(default_factory=dict)  # of all their files, by name
    others: set[str] = field(default_factory=set)  # files of other rooms and sources

    @property
    def media(self) -> dict[str, MediaFile]:
        return {entry.file: entry.media for entry in self.entries}

    @property
    def identities(self) -> dict[str, str]:
        return {entry.file: entry.identity for entry in self.entries}


@dataclass(frozen=True)
class Candidate:
    """A file that may hold media of a record, and where it says that it begins."""

    path: Path
    source: str
    start: datetime
    sidecar: Sidecar
    name: str  # as people know it


def read_library(
    folder: Path,
    room: str,
    sources: Sequence[str],
    span: Span,
    zone: ZoneInfo,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Library:
    """Return the media of some sources of a room that may reach into a span.

    Raises Invalid for a folder that cannot be read. A file that cannot be read is a warning.
    """
    found = Library()
    names = _names(folder)
    candidates: list[Candidate] = []
    for name in names:
        said = library_name(name, room, set(sources))
        if isinstance(said, Message):
            if is_of_another(name):
                found.others.add(name)
            elif name.lower().endswith(MEDIA_EXTENSIONS):
                found.ignored.append(Message("media.ignored", file=name, why=said))
            continue
        found.known.add(said.source)
        path = folder / name
        start, odd = wall_time(said.start, zone)
        sidecar, complaint = read_sidecar(path)
        if complaint:
            found.warnings.append(Message("media.sidecar_not_used", file=name, why=complaint))
        if sidecar.start is not None:
            start, odd = sidecar.start, None
        found.starts[name] = start
        if start >= span.end or start + LONGEST_SEGMENT <= span.start:
            continue
        if odd:
            found.warnings.append(Message("media.of_file", file=name, what=odd))
        candidates.append(Candidate(path, said.source, start, sidecar, name))
    read_files(candidates, span, found, on_progress)
    found.notes += found.ignored[:_MOST_NOTES]
    if len(found.ignored) > _MOST_NOTES:
        found.notes.append(Message("media.ignored_more", count=len(found.ignored) - _MOST_NOTES))
    for source in sources:
        if source not in found.known:
            found.warnings.append(_no_file_of(source, room, found))
    return found


def read_files(
    candidates: Sequence[Candidate],
    span: Span,
    found: Library,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    are_ours: bool = False,
) -> None:
    """Add the media of files that reach into a span to a library.

    are_ours: they were brought complete, so that a system that cannot read them is no property of
    the files. Raises OSError then.
    """
    for n, file in enumerate(candidates):
        on_progress(n, len(candidates))
        try:
            followed = any(
                other.source == file.source and file.start < other.start <= span.start
                for other in candidates
            )
            if _ends_before(file.path, file.start, span.start, followed=followed):
                continue
            media = read_media(file.path)
        except (Unreadable, OSError) as error:
            if are_ours and isinstance(error, OSError):
                raise
            why = (
                verbatim(error.strerror or str(error))
                if isinstance(error, OSError)
                else error.message
            )
            found.warnings.append(Message("media.left_out", file=file.name, why=why))
            continue
        found.warnings.extend(
            Message("media.of_file", file=file.name, what=complaint)
            for complaint in media.complaints
        )
        entry = _entry(file, media, found)
        if entry.clock.wall(media.zero_us + media.length_us) > span.start:
            found.entries.append(entry)


def _no_file_of(source: str, room: str, found: Library) -> Message:
    """Return that there is no file of a source, and what else there is: a name may be mistyped."""
    others = sorted({place_and_source(name) for name in found.others})
    if not others:
        return Message("media.no_file_of_source", source=source, room=room)
    more = ("...",) if len(others) > _MOST_NOTES else ()
    return Message(
        "media.files_of_others", source=source, room=room, others=(*others[:_MOST_NOTES], *more)
    )


def segments(
    entries: Sequence[Entry], screen: str | None, holes: Mapping[str, Sequence[Stretch]]
) -> list[Segment]:
    """Return library entries as segments, without the stretches known to be undecodable."""
    return [_segment(entry, entry.source == screen, holes.get(entry.file, ())) for entry in entries]


def _segment(entry: Entry, may_stand_still: bool, holes: Sequence[Stretch]) -> Segment:
    media = entry.media
    pictures = without_spans(media.pictures(may_stand_still=may_stand_still), holes)
    whole = bool(pictures) and pictures[-1].end_us >= media.picture_ends_us
    return Segment(
        source=entry.source,
        file=entry.file,
        clock=entry.clock,
        pictures=pictures,
        sound=media.sound if entry.audible else (),
        frame_us=media.video.frame_us if media.video and whole else 0,
    )


def _was_cut(path: Path, sidecar: Sidecar, measured: Fraction) -> bool:
    """Return whether a file is not the one that its sidecar was written for.

    Reading a file for its hash costs time, so it is asked only about a drift that no clock has.
    """
    if sidecar.sha256 is None or abs(measured - 1) < SURPRISING_DRIFT:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != sidecar.sha256.lower()


def _names(folder: Path) -> list[str]:
    try:
        return sorted(
            entry.name
            for entry in folder.iterdir()
            if not entry.name.startswith(".") and entry.is_file()
        )
    except NotADirectoryError as error:
        raise Invalid("library", "media.not_a_folder", folder=str(folder)) from error
    except FileNotFoundError as error:
        raise Invalid("library", "media.no_folder", folder=str(folder)) from error
    except OSError as error:
        raise Invalid(
            "library", "media.folder_unreadable", folder=str(folder), why=error.strerror or ""
        ) from error


def _ends_before(path: Path, start: datetime, instant: datetime, *, followed: bool) -> bool:
    """Return whether a file surely ends before an instant, judging by its header alone.

    followed: whether the same source has a later file that begins before the instant.
    """
    if start >= instant:
        return False
    with path.open("rb") as file:
        demuxer = demuxer_for(file.read(188 * 8))
    if demuxer is None:
        return False  # read_media says what is wrong
    try:
        with open_container(path, demuxer) as container:
            # The duration of a Matroska file that was cut off is a guess from the bit rate.
            if container.duration is None or (demuxer == "matroska" and not followed):
                return False
            # Headers lie a little, and drift stretches: half as long again is safe.
            return start + timedelta(microseconds=container.duration * 3 // 2) < instant
    except av.FFmpegError:
        return False


def _entry(file: Candidate, media: MediaFile, found: Library) -> Entry:
    path, sidecar = file.path, file.sidecar
    clock = ClockMap(file.start, media.zero_us, _rate(path, sidecar, media, found.warnings))
    # A preallocated file that is still being copied has its final size, and its sidecar.
    identity = f"{media.size_bytes}-{media.mtime_ns}-{sidecar.sha256 or path.name}"
    return Entry(file.source, media, clock, identity)


def _rate(path: Path, sidecar: Sidecar, media: MediaFile, warnings: list[Message]) -> Fraction:
    """Return how many seconds of wall clock a second of a file is; one, unless a clock drifts."""
    if not (sidecar.start and sidecar.end and media.length_us > 0):
        return Fraction(1)
    wall_us = microseconds(sidecar.end - sidecar.start)
    length_us = _measured_us(media, wall_us)
    measured = Fraction(wall_us, length_us)
    if abs(wall_us - length_us) <= _ROUNDING_US:
        return Fraction(1)
    was_cut = _was_cut(path, sidecar, measured)
    if not was_cut and _stands_still(sidecar, media, measured):
        return Fraction(1)
    if was_cut or media.complaints or abs(measured - 1) > LARGEST_DRIFT:
        warnings.append(
            Message(
                "media.no_drift",
                file=path.name,
                seconds=round(length_us / 1e6, 1),
                sidecar_seconds=round(wall_us / 1e6, 1),
            )
        )
        return Fraction(1)
    return measured


def _stands_still(sidecar: Sidecar, media: MediaFile, measured: Fraction) -> bool:
    """Return whether a file ends before its sidecar does because its last picture stood till then.

    So it is with a screen that sends pictures when they change. No quartz clock drifts like that.
    """
    if media.video is None or not media.video.variable_rate or media.complaints:
        return False
    if measured - 1 < SURPRISING_DRIFT:
        return False
    return measured - 1 <= LARGEST_DRIFT or sidecar.sha256 is not None


def _measured_us(media: MediaFile, wall_us: int) -> int:
    """Return the length of a file that the end in its sidecar is about: that of its pictures.

    Sound may go on behind them. A screen that stood still at the end was filmed as long as its
    sound, though, and a file without pictures is its sound.
    """
    whole_us, pictures_us = media.length_us, media.picture_ends_us - media.zero_us
    if not len(media.picture_us) or pictures_us <= 0:
        return whole_us
    if media.video is not None and media.video.variable_rate:
        return min(pictures_us, whole_us, key=lambda length_us: abs(length_us - wall_us))
    is_drift = abs(Fraction(wall_us, pictures_us) - 1) < SURPRISING_DRIFT
    is_whole = abs(Fraction(wall_us, whole_us) - 1) < SURPRISING_DRIFT
    return whole_us if is_whole and not is_drift else pictures_us
