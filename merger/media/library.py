"""A library: a folder with segments that somebody recorded, placed on the wall clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from merger.errors import Invalid
from merger.i18n import Message, verbatim
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.index import read_media, read_unless_over
from merger.media.placement import placements_of
from merger.media.repair import repair
from merger.media.sidecar import Sidecar, read_sidecar
from merger.timeline.clock import (
    ClockMap,
    Segment,
    Span,
    Stretch,
    cut_stretches,
    without_spans,
)
from merger.timeline.files.filenames import (
    MEDIA_EXTENSIONS,
    LibraryName,
    is_of_another,
    leeway_of,
    library_name,
    place_and_source,
)
from merger.timeline.files.joints import Named, seamless_starts
from merger.timeline.media import STILL_US, MediaFile
from merger.timeline.zones import wall_time

_MOST_NOTES = 5  # about names that do not fit
# Longer segments than this are not looked for before the start of a record.
LONGEST_SEGMENT = timedelta(hours=24)


@dataclass(frozen=True)
class Entry:
    """A file of the library that belongs to a record, and how it lies on the wall clock.

    window: the part of it that this is about, where a pause cuts it; None: all of it.
    is_timed: its recorder wrote down when it began; else its name or Zoom says so, to a second.
    """

    source: str
    media: MediaFile
    clock: ClockMap
    identity: str
    audible: bool = True  # or its sound is digital silence, which still says that the source ran
    leeway: timedelta = timedelta(0)  # so much later than its name says it may have begun
    window: Stretch | None = None
    is_timed: bool = False

    @property
    def file(self) -> str:
        return str(self.media.path)

    @property
    def begins_us(self) -> int:
        """The file time of the earliest media."""
        return self._in_window(self.media.zero_us)

    @property
    def picture_ends_us(self) -> int:
        """The file time at which the last picture's own time is over."""
        return self._in_window(self.media.picture_ends_us)

    @property
    def ends_us(self) -> int:
        """The file time until which there is anything, a picture that stands included."""
        return self._in_window(self.media.ends_us)

    @property
    def joint_us(self) -> int:
        """The file time at which the next file begins, if it follows at once."""
        return self.picture_ends_us if len(self.media.picture_us) else self.ends_us

    def cut(self, stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
        """Return what of stretches of the file this is about."""
        return tuple(stretches) if self.window is None else cut_stretches(stretches, self.window)

    def _in_window(self, at_us: int) -> int:
        if self.window is None:
            return at_us
        return min(max(at_us, self.window.start_us), self.window.end_us)


@dataclass
class Library:
    """What a folder holds for a record."""

    entries: list[Entry] = field(default_factory=list)
    warnings: list[Message] = field(default_factory=list)  # for the owner of the video
    notes: list[Message] = field(default_factory=list)  # for who runs the command
    starts: dict[str, datetime] = field(default_factory=dict)  # of the sources' files, by name

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

    @property
    def leeway(self) -> timedelta:
        """How much later it may begin: a sidecar leaves nothing open."""
        return timedelta(0) if self.sidecar.start else leeway_of(self.name)

    @property
    def runs_from(self) -> datetime:
        """When it would have begun if all its pauses had been before it."""
        pauses = (after.start - before.end for before, after in pairwise(self.sidecar.stretches))
        return self.start + sum(pauses, timedelta())


@dataclass
class _Names:
    """What the names in a folder say."""

    fitting: dict[str, LibraryName] = field(default_factory=dict)
    ignored: list[Message] = field(default_factory=list)  # media whose names do not fit
    others: set[str] = field(default_factory=set)  # well named, of other rooms and sources


def read_library(
    folder: Path,
    room: str,
    sources: Sequence[str],
    span: Span,
    zone: ZoneInfo,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    repairs: Path | None = None,
) -> Library:
    """Return the media of some sources of a room that may reach into a span.

    A file that cannot be read is a warning.

    Raises:
        Invalid: the folder cannot be read.
    """
    library = Library()
    names = _sort_names(folder, room, sources)
    candidates: list[Candidate] = []
    for name, parsed in names.fitting.items():
        path = folder / name
        start, odd = wall_time(parsed.start, zone)
        sidecar, complaint = read_sidecar(path)
        if complaint:
            library.warnings.append(Message("media.sidecar_not_used", file=name, why=complaint))
        if sidecar.start is not None:
            start, odd = sidecar.start, None
        library.starts[name] = start
        if start >= span.end or start + LONGEST_SEGMENT <= span.start:
            continue
        if odd:
            library.warnings.append(Message("media.of_file", file=name, what=odd))
        candidates.append(Candidate(path, parsed.source, start, sidecar, name))
    read_files(candidates, span, library, on_progress, repairs=repairs)
    library.notes += names.ignored[:_MOST_NOTES]
    if len(names.ignored) > _MOST_NOTES:
        library.notes.append(Message("media.ignored_more", count=len(names.ignored) - _MOST_NOTES))
    present = {parsed.source for parsed in names.fitting.values()}
    library.warnings += [
        _no_file_of(source, room, names.others) for source in sources if source not in present
    ]
    return library


def _sort_names(folder: Path, room: str, sources: Sequence[str]) -> _Names:
    names = _Names()
    for name in _list_files(folder):
        parsed = library_name(name, room, set(sources))
        if isinstance(parsed, LibraryName):
            names.fitting[name] = parsed
        elif is_of_another(name):
            names.others.add(name)
        elif name.lower().endswith(MEDIA_EXTENSIONS):
            names.ignored.append(Message("media.ignored", file=name, why=parsed))
    return names


def _list_files(folder: Path) -> list[str]:
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
        why = error.strerror or str(error)
        raise Invalid("library", "media.folder_unreadable", folder=str(folder), why=why) from error


def _no_file_of(source: str, room: str, others: Iterable[str]) -> Message:
    """Return that there is no file of a source, and what else there is: a name may be mistyped."""
    endings = sorted({place_and_source(name) for name in others})
    if not endings:
        return Message("media.no_file_of_source", source=source, room=room)
    more = ("...",) if len(endings) > _MOST_NOTES else ()
    examples = (*endings[:_MOST_NOTES], *more)
    return Message("media.files_of_others", source=source, room=room, others=examples)


def read_files(
    candidates: Sequence[Candidate],
    span: Span,
    library: Library,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    repairs: Path | None = None,
    are_ours: bool = False,
) -> None:
    """Add the media of files that reach into a span to a library.

    Args:
        repairs: a folder for copies of files whose clock jumps; None: these are read until it does.
        are_ours: they were collected complete, so that a system that cannot read them says nothing
            of the files.

    Raises:
        OSError: a file that is ours cannot be read.
    """
    placed: list[Entry] = []
    for n, file in enumerate(candidates):
        on_progress(n, len(candidates))
        try:
            is_followed = any(
                other.source == file.source and file.start < other.start <= span.start
                for other in candidates
            )
            media = reader.call(
                read_unless_over, file.path, file.runs_from, span.start, is_followed=is_followed
            )
        except Unreadable as error:
            library.warnings.append(_left_out(file, error.message))
            continue
        except OSError as error:
            if are_ours:
                raise
            library.warnings.append(_left_out(file, verbatim(error.strerror or str(error))))
            continue
        if media is None:
            continue
        if media.is_irregular and repairs is not None:
            media = _repaired(media, repairs / str(n) / file.path.name)
        library.warnings += [
            Message("media.of_file", file=file.name, what=complaint)
            for complaint in media.complaints
        ]
        try:
            entries = _place(file, media, library)
            entries[-1].clock.wall(media.ends_us)
        except OverflowError:  # a damaged header, of times that no calendar holds
            library.warnings.append(_left_out(file, Message("media.absurd_times")))
            continue
        placed += entries
    library.entries += [
        entry for entry in _join(placed) if entry.clock.wall(entry.ends_us) > span.start
    ]


def _repaired(media: MediaFile, target: Path) -> MediaFile:
    """Return a copy of a file on one clock; the file itself where none can be made."""
    target.parent.mkdir()  # for a name that warnings may show
    try:
        reader.call_writing(target.parent, repair, media.path, media.demuxer, target)
        copy = reader.call(read_media, target)
    except (Unreadable, OSError):
        return media
    if copy.is_irregular:
        return media
    mended = Message("media.clock_mended")
    return replace(copy, complaints=(*copy.complaints, mended))


def _left_out(file: Candidate, why: Message) -> Message:
    return Message("media.left_out", file=file.name, why=why)


def _place(file: Candidate, media: MediaFile, library: Library) -> list[Entry]:
    """Return a file as it lies on the wall clock; what is odd about that is a warning."""
    path, sidecar = file.path, file.sidecar
    placements, warning = placements_of(path, file.name, file.start, sidecar, media)
    if warning:
        library.warnings.append(warning)
    # A preallocated file that is still being copied has its final size, and its sidecar.
    stat = path.stat()
    copied = "-repaired" if media.path != path else ""
    identity = f"{stat.st_size}-{stat.st_mtime_ns}-{sidecar.sha256 or path.name}{copied}"
    return [
        Entry(
            file.source, media, p.clock, identity, leeway=file.leeway, window=p.window,
            is_timed=sidecar.knows_time,
        )
        for p in placements
    ]  # fmt: skip


def _join(entries: Sequence[Entry]) -> list[Entry]:
    """Return files as they lie on the wall clock once those of each source meet."""
    starts: dict[tuple[str, str, int], datetime] = {}
    for source in dict.fromkeys(entry.source for entry in entries):
        files = sorted(
            (entry for entry in entries if entry.source == source),
            key=lambda entry: (entry.clock.wall_zero, entry.file),
        )
        named = [
            Named(start := e.clock.wall_zero, e.clock.wall(e.joint_us) - start, e.leeway)
            for e in files
        ]
        starts |= zip(map(_place_in_file, files), seamless_starts(named), strict=True)
    return [
        replace(e, clock=replace(e.clock, wall_zero=starts[_place_in_file(e)])) for e in entries
    ]


def _place_in_file(entry: Entry) -> tuple[str, str, int]:
    return entry.source, entry.file, entry.clock.file_zero_us


def segments(
    entries: Sequence[Entry],
    screen: str | None,
    holes: Mapping[str, Sequence[Stretch]],
    still_us: int = STILL_US,
) -> list[Segment]:
    """Return library entries as segments, without the stretches known to be undecodable.

    Args:
        still_us: how long a picture of the screen may stand where its file says that it does.
    """
    found = [
        _segment(e, still_us if e.source == screen else 0, holes.get(e.file, ())) for e in entries
    ]
    return list(_give_way(entries, found))


def _give_way(entries: Sequence[Entry], found: Sequence[Segment]) -> Iterator[Segment]:
    """Yield segments whose last picture stands no longer than until the next file shows one."""
    shown = [
        (s.source, s.clock.wall(s.pictures[0].start_us), s.clock.wall(s.pictures[-1].end_us))
        for s in found
        if s.pictures
    ]
    for entry, segment in zip(entries, found, strict=True):
        own_us = entry.picture_ends_us
        *before, last = segment.pictures or (Stretch(own_us, own_us),)
        start, own, end = map(segment.clock.wall, (entry.begins_us, own_us, last.end_us))
        following = [
            begins
            for source, begins, ends in shown
            if source == segment.source and start < begins < end and ends > own
        ]
        if last.end_us > own_us and following:
            end_us = max(own_us, segment.clock.file_us(min(following)))
            segment = replace(segment, pictures=(*before, Stretch(last.start_us, end_us)))
        yield segment


def _segment(entry: Entry, still_us: int, holes: Sequence[Stretch]) -> Segment:
    media = entry.media
    pictures = entry.cut(without_spans(media.pictures(still_us=still_us), holes))
    is_whole = bool(pictures) and pictures[-1].end_us >= media.picture_ends_us
    return Segment(
        source=entry.source,
        file=entry.file,
        clock=entry.clock,
        pictures=pictures,
        sound=entry.cut(media.sound) if entry.audible else (),
        frame_us=media.video.frame_us if media.video and is_whole else 0,
        leeway=entry.leeway,
    )
