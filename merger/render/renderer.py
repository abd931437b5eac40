"""A library becomes renditions: looked at, planned, encoded in parts, joined, checked.

Both the command `merge` and the service make a video this way; what comes before (where the files
are from) and after (where the video goes) is theirs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from merger.analysis.sampling import Look
from merger.analysis.silence import is_silent
from merger.errors import Broken, Cancelled, NoMedia
from merger.failpoints import failpoint
from merger.i18n import Message, Param, from_json, sentences, to_json
from merger.media.index import check_readable
from merger.media.library import Entry, Library, segments
from merger.media.verify import Expected
from merger.render import ffmpeg
from merger.render.context import MergeRequest, RenderContext
from merger.render.steps import (
    DamageFound,
    EncoderFailed,
    Holes,
    Step,
    encode_part,
    encode_sound,
    join,
)
from merger.storage.disk_space import make_room
from merger.timeline import profiles
from merger.timeline.clock import Span, Stretch, without_spans
from merger.timeline.filenames import nearest
from merger.timeline.layout import Size
from merger.timeline.parts import (
    PartSpec,
    SoundSpec,
    likely_bytes,
    part_spec,
    sound_spec,
    spec_hash,
)
from merger.timeline.plan import Chunk, EditPlan, plan_edit
from merger.timeline.profiles import Encoder, Profile
from merger.timeline.report import MergeResult, Rendition, warnings_about

_LISTEN_EVERY_S = 0.25


def require_media(request: MergeRequest, library: Library, folder: Path | None = None) -> None:
    """Leave out sound that is none, and check that there is anything. Raises NoMedia.

    Args:
        folder: the library's; None for media that was collected.
    """
    library.entries = [_with_real_sound(entry, library) for entry in library.entries]
    here = segments(library.entries, request.sources.screen, {})
    within = [
        span.cut_to(request.span)
        for segment in here
        if segment.source in request.sources.names  # others are of sources that the room had once
        for span in segment.spans((*segment.pictures, *segment.sound))
    ]
    if any(within):
        return
    span = request.span
    start, end = (at.astimezone(request.zone).isoformat() for at in (span.start, span.end))
    of: dict[str, Param] = {
        "sources": request.sources.names, "room": request.room, "start": start, "end": end,
    }  # fmt: skip
    message = (
        Message("render.nothing_in_folder", folder=str(folder), **of)
        if folder
        else Message("render.nothing_collected", **of)
    )
    near = nearest(library.starts, span)
    raise NoMedia("no_media", sentences([message, *([near] if near else []), *library.warnings]))


def _with_real_sound(entry: Entry, library: Library) -> Entry:
    if not is_silent(entry.media):
        return entry
    library.notes.append(Message("render.digital_silence", file=entry.media.path.name))
    return dataclasses.replace(entry, audible=False)


def render(
    around: RenderContext,
    request: MergeRequest,
    library: Library,
    seen: Sequence[Look],
    out: Path,
    on_plan: Callable[[EditPlan], None] = lambda plan: None,
) -> MergeResult:
    """Make the renditions in a folder, checked and not yet under their final names.

    on_plan gets each plan before it is encoded: another one when inputs prove broken.
    """
    profile = profiles.profile_named(request.profile)
    encoder, notes = ffmpeg.choose_encoder(around.tool, profile, around.settings.encoder)
    warnings = [*library.warnings, *notes]
    job = _Job(around, request, profile, library, [one.chunk for one in seen], on_plan)
    for kept in (encoder, profiles.software(profile)):
        try:
            files = job.encoded(kept)
            break
        except EncoderFailed as error:
            if kept.hardware is None:
                raise Broken(
                    "encoder", "render.encoder_failed", encoder=kept.name, why=error.message
                ) from error
            warnings.append(
                Message("render.encoder_failed_midway", encoder=kept.name, why=error.message)
            )
    renditions = job.joined(files, out)
    warnings += job.warnings + job.damage()
    warnings += warnings_about(job.plan, request.zone, request.sources, request.layout)
    return MergeResult(
        job.plan, renditions, files.encoder.name, list(dict.fromkeys(warnings)),
        [one.reasons for one in seen], around.watch.timings,
    )  # fmt: skip


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

    around: RenderContext
    request: MergeRequest
    profile: Profile
    library: Library
    chunks: list[Chunk]
    on_plan: Callable[[EditPlan], None]
    holes: Holes = field(default_factory=dict)
    warnings: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cache, self.watch = self.around.cache, self.around.watch
        self.budget = self.around.budget
        self.step = Step(
            self.around.tool, self.around.work, self.around.cancelled, self.budget.threads
        )
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
            plan = plan_edit(
                request.span, self.profile.rate, request.layout, request.sources, here, self.chunks
            )
            self.on_plan(plan)
            return plan

    def encoded(self, encoder: Encoder) -> _Files:
        """Encode what the cache does not hold, and plan anew as long as inputs prove broken."""
        while True:
            try:
                with self.watch.stage("encode"):
                    return self._encoded_once(encoder)
            except DamageFound as found:
                for file in found.holes:  # what is learnt now is never looked at again
                    check_readable(self.media[file])
                if not self._learn(found.holes) and not self._learn(found.shots):
                    files = tuple(found.holes)
                    raise Broken("input", "render.damage_remains", files=files) from found
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
                if not without_spans([hole], known):
                    continue
                known.append(hole)
                learnt = True
            facts = [[hole.start_us, hole.end_us] for hole in known]
            self.cache.remember(self._holes_name(self.identities[file]), facts, self.step.folder)
        return learnt

    def damage(self) -> list[Message]:
        """Return what was left out of the record because it is broken."""
        warnings = []
        for entry in self.library.entries:
            for hole in self.holes.get(entry.file, ()):
                span = Span(entry.clock.wall(hole.start_us), entry.clock.wall(hole.end_us))
                start, end = (
                    f"{at.astimezone(self.request.zone):%H:%M:%S.%f}"
                    for at in (span.start, span.end)
                )
                if span.cut_to(self.request.span):
                    file = entry.media.path.name
                    warnings.append(Message("render.damaged", file=file, start=start, end=end))
        return warnings

    def _encoded_once(self, encoder: Encoder) -> _Files:
        made_by = self.step.tool.version
        parts = []
        for part in self.plan.parts:
            spec = part_spec(
                self.plan, part, self.media, self.identities, self.request.layout,
                self.profile.lines, encoder,
                language=self.around.settings.language, backup=self.plan.shows_right,
            )  # fmt: skip
            parts.append((spec, spec_hash(spec, made_by)))
        sound = sound_spec(self.plan, self.media, self.identities, profiles.SOUND_BITRATE)
        sound_name = f"{spec_hash(sound, made_by)}.m4a"
        missing = self._missing(parts)
        heard = self.cache.use(sound_name, self.step.folder)
        needed_bytes = likely_bytes([spec for spec, _ in missing], None if heard else sound)
        make_room(self.cache, self.cache.folder, needed_bytes, Message("render.encoding"))
        failed = threading.Event()
        step = dataclasses.replace(
            self.step, cancelled=lambda: failed.is_set() or self.step.cancelled()
        )
        with ThreadPoolExecutor(1, "sound") as pool:
            hearing: Future[list[Message]] = pool.submit(
                self._encode_sound, step, sound, sound_name
            )
            try:
                self._encode_parts(step, missing, failed)
                _await([hearing])
                self.warnings += hearing.result()
            except BaseException:
                failed.set()
                raise
        return _Files(encoder, parts, sound_name, sound)

    def _encode_sound(self, step: Step, spec: SoundSpec, name: str) -> list[Message]:
        if self.cache.use(name, step.folder):
            return self._recall_warnings(name)
        # Outside the budget: it needs a fiftieth of what the pictures do, on one core.
        try:
            path, warnings = encode_sound(step, spec, name)
        except Broken:
            self._check_readable(spec)
            raise
        if warnings:
            self._check_readable(spec)
            self._remember_warnings(name, warnings)
        self.cache.add(path, name, step.folder)
        return warnings

    def _remember_warnings(self, name: str, warnings: Sequence[Message]) -> None:
        """Keep what is to be told whenever a file of the cache is used."""
        self.cache.remember(f"{name}.json", [to_json(one) for one in warnings], self.step.folder)

    def _recall_warnings(self, name: str) -> list[Message]:
        return [from_json(one) for one in self.cache.recall(f"{name}.json", self.step.folder)]

    def _check_readable(self, spec: SoundSpec) -> None:
        """Raise Temporary or Broken where the sound's files cannot be read: no fault of theirs."""
        for file in dict.fromkeys(piece.input.file for piece in spec.pieces if piece.input):
            check_readable(self.media[file])

    def _missing(self, parts: Sequence[tuple[PartSpec, str]]) -> list[tuple[PartSpec, str]]:
        """Return the parts that the cache does not hold; what was said of the others is told.

        Each once: two minutes without any media are the same part as the next two.
        """
        missing = []
        for name, spec in {name: spec for spec, name in parts}.items():
            files = [f"{name}.{kind}.mp4" for kind in spec.outputs]
            if all(self.cache.use(file, self.step.folder) for file in files):
                self.warnings += self._recall_warnings(name)
            else:
                missing.append((spec, name))
        return missing

    def _encode_parts(
        self, step: Step, missing: Sequence[tuple[PartSpec, str]], stop: threading.Event
    ) -> None:
        seconds = 1 / self.plan.rate
        done = self.plan.frames - sum(spec.frames for spec, _ in missing)
        total = float(self.plan.frames * seconds)
        encoded = dict.fromkeys((name for _, name in missing), 0)  # frames of each so far
        lock = threading.Lock()

        def on_frames(name: str, frames: int) -> None:
            with lock:
                encoded[name] = frames
                told = float((done + sum(encoded.values())) * seconds)
                self.watch.reporter.progress(told, total, media=True)

        def encode(spec: PartSpec, name: str) -> list[Message]:
            with self.budget.slot(step.cancelled):
                if step.cancelled():
                    raise Cancelled("cancelled", "render.stopped")
                failpoint("encode.part")
                files, warnings = encode_part(
                    step, spec, name, self.media, partial(on_frames, name)
                )
            if warnings:
                self._remember_warnings(name, warnings)
            for kind, path in files.items():
                self.cache.add(path, f"{name}.{kind}.mp4", step.folder)
            on_frames(name, spec.frames)
            return warnings

        failures: list[BaseException] = []

        def encode_or_stop(spec: PartSpec, name: str) -> list[Message]:
            # In the thread itself: it would begin the next part before anybody else could tell it.
            try:
                return encode(spec, name)
            except BaseException as error:
                failures.append(error)
                stop.set()
                raise

        if not missing:
            return
        self.watch.reporter.progress(float(done * seconds), total, media=True)
        with ThreadPoolExecutor(self.budget.slots, "part") as pool:
            encoding = [pool.submit(encode_or_stop, spec, name) for spec, name in missing]
            _await(encoding)
        if failures:
            raise failures[0]
        for future in encoding:
            self.warnings += future.result()

    def joined(self, files: _Files, out: Path) -> list[Rendition]:
        """Join the parts of each rendition, and accept it by reading it."""
        renditions = []
        first = files.parts[0][0]
        parts = {k: [f"{name}.{k}.mp4" for _, name in files.parts] for k in first.outputs}
        joined = [name for names in parts.values() for name in (*names, files.sound)]
        needed_bytes = sum((self.step.folder / name).stat().st_size for name in joined)
        make_room(self.cache, out.parent, needed_bytes, Message("render.joining"))
        for kind, size in first.outputs.items():
            with self.watch.stage("join"):
                path = out / f"{kind}.mp4"
                expected = Expected(
                    self.plan.frames, self.plan.rate, size, self.profile.codec,
                    files.sound_spec.samples, moov_in_front=True,
                )  # fmt: skip
                join(self.step, kind, parts[kind], files.sound, path, expected)
            with self.watch.stage("check"):
                renditions.append(_rendition(kind, path, self.plan, size, self.profile))
        return renditions


def _await(futures: Sequence[Future[list[Message]]]) -> None:
    """Wait until all have ended.

    In short waits: a signal that another thread gets does not wake this one, in which alone Python
    handles it.
    """
    while wait(futures, _LISTEN_EVERY_S).not_done:
        pass


def _rendition(kind: str, path: Path, plan: EditPlan, size: Size, profile: Profile) -> Rendition:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size_bytes = path.stat().st_size
    return Rendition(kind, path, plan.frames, size, profile.codec, size_bytes, digest)
