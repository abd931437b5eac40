"""One merge from request to result: collect, analyse, plan, encode, join, check, publish."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from merger import ffmpeg, profiles
from merger.analysis.cards import Card, shipped_cards
from merger.analysis.hearing import is_silent
from merger.analysis.sampling import chunks_seen
from merger.check import Expected
from merger.config import Settings
from merger.encode import (
    DamageFound,
    EncoderFailed,
    Holes,
    Step,
    encode_part,
    encode_sound,
    join,
)
from merger.errors import Broken, Cancelled, NoMedia
from merger.layout import DEFAULT_LAYOUT, Size, layout_named
from merger.library import Entry, Library, read_library, segments
from merger.localtime import chunks
from merger.names import result_stem
from merger.parts import PartSpec, SoundSpec, part_spec, sound_spec, spec_hash
from merger.plan import Chunk, EditPlan, Sources, plan_edit
from merger.profiles import Encoder, Profile
from merger.progress import Reporter
from merger.report import MergeResult, Rendition, plan_document, warnings_about
from merger.storage import Cache, make_folder, publish, work_folder
from merger.timeline import Span, Stretch, picture_track, without


@dataclass(frozen=True)
class MergeRequest:
    """What is to be merged, from where, and to where."""

    library: Path
    output: Path
    room: str
    span: Span
    zone: ZoneInfo
    sources: Sources
    name: str = "lecture"
    profile: str = profiles.DEFAULT_PROFILE
    layout: str = DEFAULT_LAYOUT
    chunk: timedelta = timedelta(minutes=30)
    cards: tuple[Card, ...] = ()


class _Watch:
    """Times the stages and tells the reporter."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.timings: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.reporter.stage(name)
        begun = time.monotonic()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + time.monotonic() - begun


def merge(
    request: MergeRequest,
    settings: Settings,
    tool: ffmpeg.Tool,
    reporter: Reporter,
    cancelled: Callable[[], bool] = lambda: False,
) -> MergeResult:
    """Make the renditions of a record in the output folder.

    Raises Refused, NoMedia, Temporary, Broken or Cancelled; then nothing stands under a final name
    that was not there before, and finished parts are kept for the next try.
    """
    watch = _Watch(reporter)

    def progress(done: float, total: float) -> None:
        if cancelled():
            raise Cancelled("cancelled", ffmpeg.STOPPED)
        reporter.progress(done, total)

    profile = profiles.profile_named(request.profile)
    layout_named(request.layout)
    with watch.stage("collect"):
        library = read_library(
            request.library, request.room, request.sources.names, request.span, request.zone,
            progress,
        )  # fmt: skip
        library.entries = [_with_real_sound(entry, library) for entry in library.entries]
        for note in library.notes:
            reporter.note(note)
        _check_media(request, library)
    make_folder(request.output, "--output")
    make_folder(settings.cache, "the cache folder (MERGER_CACHE)")
    encoder, notes = ffmpeg.choose_encoder(tool, profile, settings.encoder)
    with watch.stage("analyse"):
        seen, reasons = _analyse(request, library, progress)
    warnings = [*library.warnings, *notes]
    with work_folder(settings.cache) as work, work_folder(request.output) as out:
        job = _Job(request, settings, profile, library, seen, Step(tool, work, cancelled), watch)
        for kept in (encoder, profiles.software(profile)):
            try:
                files = job.encoded(kept)
                break
            except EncoderFailed as error:
                if kept.hardware is None:
                    raise Broken("encoder", f"{kept.name} failed: {error}") from error
                warnings.append(
                    f"{kept.name} failed in the middle; all was encoded in software ({error})"
                )
        renditions = job.joined(files, out)
        warnings += job.warnings + job.damage()
        warnings += warnings_about(job.plan, request.zone, request.sources, request.layout)
        result = MergeResult(
            job.plan, renditions, files.encoder.name, list(dict.fromkeys(warnings)), reasons,
            watch.timings,
        )  # fmt: skip
        with watch.stage("publish"):
            _publish(request, result, out)
    job.cache.shrink()
    return result


def _with_real_sound(entry: Entry, library: Library) -> Entry:
    if not is_silent(entry.media):
        return entry
    library.notes.append(f"{entry.media.path.name}: its sound is digital silence and not used")
    return dataclasses.replace(entry, audible=False)


def _check_media(request: MergeRequest, library: Library) -> None:
    here = segments(library.entries, request.sources.screen, {})
    within = [
        span.cut_to(request.span)
        for segment in here
        for span in segment.spans((*segment.pictures, *segment.sound))
    ]
    if any(within):
        return
    names = ", ".join(request.sources.names)
    start, end = (at.astimezone(request.zone) for at in (request.span.start, request.span.end))
    message = (
        f"no media of {names} in room {request.room!r} between {start.isoformat()}"
        f" and {end.isoformat()} in {request.library}"
    )
    raise NoMedia("no_media", "; ".join([message, *library.warnings]))


def _analyse(
    request: MergeRequest, library: Library, progress: Callable[[float, float], None]
) -> tuple[list[Chunk], list[list[str]]]:
    screen = request.sources.screen
    here = segments(library.entries, screen, {})
    track = picture_track(screen, request.span, here) if screen else None
    cells = chunks(request.span, request.chunk, request.zone)
    cards = (*shipped_cards(), *request.cards)
    return chunks_seen(cells, track, library.media, cards, progress)


@dataclass
class _Files:
    """What the encode stage left in the cache."""

    encoder: Encoder
    parts: list[tuple[PartSpec, str]]  # with the name that its files are cached under
    sound: str
    sound_spec: SoundSpec


@dataclass
class _Job:
    """The stages of one merge that share the plan."""

    request: MergeRequest
    settings: Settings
    profile: Profile
    library: Library
    seen: list[Chunk]
    step: Step
    watch: _Watch
    holes: Holes = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cache = Cache(self.settings.cache, self.settings.cache_bytes)
        self.media = self.library.media
        self.identities = self.library.identities
        # What an earlier run found broken is not encoded again to be found broken again.
        for file, identity in self.identities.items():
            known = self.cache.recall(self._holes_name(identity), self.step.folder)
            if known:
                self.holes[file] = [Stretch(start, end) for start, end in known]
        self.plan = self._planned()

    def _holes_name(self, identity: str) -> str:
        text = f"holes {self.step.tool.version} {identity}"
        return f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.holes.json"

    def _planned(self) -> EditPlan:
        request = self.request
        with self.watch.stage("plan"):
            here = segments(self.library.entries, request.sources.screen, self.holes)
            return plan_edit(
                request.span, self.profile.rate, request.layout, request.sources, here, self.seen
            )

    def encoded(self, encoder: Encoder) -> _Files:
        """Encode what the cache does not hold, and plan anew as long as inputs prove broken."""
        while True:
            try:
                with self.watch.stage("encode"):
                    return self._encoded_once(encoder)
            except DamageFound as found:
                if not self._learn(found.holes) and not self._learn(found.shots):
                    raise Broken("input", f"{found}, and leaving them out does not help") from found
                self.plan = self._planned()

    def _learn(self, holes: Holes) -> bool:
        """Remember broken stretches; return whether any of them was new."""
        learnt = False
        # A picture is shown in the nearest output frame, which may come before it by half a frame.
        early_us = round(500_000 / self.plan.rate)
        for file, found in holes.items():
            known = self.holes.setdefault(file, [])
            for exact in found:
                hole = Stretch(exact.start_us - early_us, exact.end_us)
                if not without([hole], known):
                    continue
                known.append(hole)
                learnt = True
            facts = [[hole.start_us, hole.end_us] for hole in known]
            self.cache.remember(self._holes_name(self.identities[file]), facts, self.step.folder)
        return learnt

    def damage(self) -> list[str]:
        """Return in words what was left out of the record because it is broken."""
        told = []
        for entry in self.library.entries:
            for hole in self.holes.get(entry.file, ()):
                span = Span(entry.clock.wall(hole.start_us), entry.clock.wall(hole.end_us))
                start, end = (at.astimezone(self.request.zone) for at in (span.start, span.end))
                if span.cut_to(self.request.span):
                    told.append(
                        f"{entry.media.path.name}: pictures from {start:%H:%M:%S.%f}"
                        f" to {end:%H:%M:%S.%f} are damaged and left out"
                    )
        return told

    def _encoded_once(self, encoder: Encoder) -> _Files:
        made_by = self.step.tool.version
        parts = []
        for part in self.plan.parts:
            spec = part_spec(
                self.plan, part, self.media, self.identities, self.request.layout,
                self.profile.lines, encoder,
                language=self.settings.language, backup=self.plan.shows_right,
            )  # fmt: skip
            parts.append((spec, spec_hash(spec, made_by)))
        sound = sound_spec(self.plan, self.media, self.identities, profiles.SOUND_BITRATE)
        sound_name = f"{spec_hash(sound, made_by)}.m4a"
        failed = threading.Event()
        step = dataclasses.replace(
            self.step, cancelled=lambda: failed.is_set() or self.step.cancelled()
        )
        with ThreadPoolExecutor(1, "sound") as pool:
            heard: Future[list[str]] = pool.submit(self._encode_sound, step, sound, sound_name)
            try:
                self._encode_parts(step, parts)
                self.warnings += heard.result()
            except BaseException:
                failed.set()
                raise
        return _Files(encoder, parts, sound_name, sound)

    def _encode_sound(self, step: Step, spec: SoundSpec, name: str) -> list[str]:
        if self.cache.use(name, step.folder):
            return self.cache.recall(f"{name}.json", step.folder)
        partial, complaints = encode_sound(step, spec, name, lambda seconds: None)
        if complaints:
            self.cache.remember(f"{name}.json", complaints, step.folder)
        self.cache.add(partial, name, step.folder)
        return complaints

    def _encode_parts(self, step: Step, parts: Sequence[tuple[PartSpec, str]]) -> None:
        seconds = 1 / self.plan.rate
        done = 0
        missing = []
        for spec, name in parts:
            if all(self.cache.use(f"{name}.{kind}.mp4", step.folder) for kind in spec.outputs):
                done += spec.frames
                self.warnings += self.cache.recall(f"{name}.json", step.folder)
            else:
                missing.append((spec, name))
        total = float(self.plan.frames * seconds)
        for spec, name in missing:

            def on_frames(frames: int, before: int = done) -> None:
                self.watch.reporter.progress(float((before + frames) * seconds), total, media=True)

            on_frames(0)
            files, warnings = encode_part(step, spec, name, self.media, on_frames)
            if warnings:
                self.cache.remember(f"{name}.json", warnings, step.folder)
            for kind, partial in files.items():
                self.cache.add(partial, f"{name}.{kind}.mp4", step.folder)
            self.warnings += warnings
            done += spec.frames

    def joined(self, files: _Files, out: Path) -> list[Rendition]:
        """Join the parts of each rendition, and accept it by reading it."""
        renditions = []
        first = files.parts[0][0]
        for kind, size in first.outputs.items():
            with self.watch.stage("join"):
                names = [f"{name}.{kind}.mp4" for _, name in files.parts]
                path = out / f"{kind}.mp4"
                expected = Expected(
                    self.plan.frames, self.plan.rate, size, self.profile.codec,
                    files.sound_spec.samples, moov_in_front=True,
                )  # fmt: skip
                join(self.step, kind, names, files.sound, path, expected)
            with self.watch.stage("check"):
                renditions.append(_rendition(kind, path, self.plan, size, self.profile))
        return renditions


def _rendition(kind: str, path: Path, plan: EditPlan, size: Size, profile: Profile) -> Rendition:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size_bytes = path.stat().st_size
    return Rendition(kind, path, plan.frames, size, profile.codec, size_bytes, digest)


def _replaced(path: Path, plan: EditPlan) -> list[str]:
    """Return a warning where a result of another span has the same name (it has no seconds)."""
    try:
        earlier = json.loads(path.read_text())["span"]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    if earlier == plan_document(plan)["span"]:
        return []
    return [f"an earlier result of {earlier} had the same name, and was replaced"]


def _publish(request: MergeRequest, result: MergeResult, out: Path) -> None:
    """Give the renditions and the plan their final names, the merge last: it says all is there."""
    stem = result_stem(request.name, request.room, request.span, request.zone)
    names = {"merge": f"{stem}.mp4", "backup": f"{stem}_backup.mp4"}
    result.warnings += _replaced(request.output / f"{stem}.plan.json", result.plan)
    document = out / "plan.json"
    document.write_text(json.dumps(plan_document(result.plan), ensure_ascii=False, indent=1))
    publish(document, request.output / f"{stem}.plan.json")
    order = sorted(
        range(len(result.renditions)), key=lambda n: result.renditions[n].kind == "merge"
    )
    for n in order:
        rendition = result.renditions[n]
        final = request.output / names[rendition.kind]
        publish(rendition.path, final)
        result.renditions[n] = dataclasses.replace(rendition, path=final)
    if "backup" not in [r.kind for r in result.renditions]:
        # One of an earlier merge of the same record would be of another video.
        (request.output / names["backup"]).unlink(missing_ok=True)
