"""A library becomes renditions: looked at, planned, encoded in parts, joined, checked.

Both the command `merge` and the service make a video this way; what comes before (where the files
are from) and after (where the video goes) is theirs.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from merger.config import Settings
from merger.errors import Broken, NoMedia
from merger.i18n import Message, Param, sentences
from merger.media.container import check_readable
from merger.media.library import Library, segments
from merger.media.silence import is_silent
from merger.media.verify import Expected
from merger.render import ffmpeg
from merger.render.context import MergeRequest, RenderContext
from merger.render.encoding import Encoding, EncodingSpecs, Warnings, encode_missing
from merger.render.screen.presence import Presence
from merger.render.sound_step import SoundUndecodable
from merger.render.steps import DamageFound, EncoderFailed, Holes, Step, join
from merger.render.sync.faults import warn_of_sound
from merger.storage.disk_space import make_room
from merger.timeline import profiles
from merger.timeline.clock import Span, Stretch, microseconds, without_spans
from merger.timeline.files.filenames import nearest
from merger.timeline.layout import Size
from merger.timeline.parts import part_spec
from merger.timeline.plan import EditPlan, plan_edit
from merger.timeline.profiles import Encoder, Profile
from merger.timeline.report import MergeResult, Rendition, warnings_about
from merger.timeline.screen.chapter_marks import ChapterMark, chapter_marks
from merger.timeline.sound import sound_spec
from merger.timeline.specs import spec_hash
from merger.timeline.sync.outcome import Sync


def require_media(
    request: MergeRequest, library: Library, settings: Settings, folder: Path | None = None
) -> None:
    """Leave out sound that is none, and check that there is any media. Raises NoMedia.

    Args:
        folder: the library's; None for media that was collected.
    """
    _leave_out_silence(library)
    still_us = microseconds(settings.screen_still)
    found = segments(library.entries, request.sources.screen, {}, still_us)
    within = [
        span.cut_to(request.span)
        for segment in found
        if segment.source in request.sources.names  # others are of sources that the room had once
        for span in segment.spans((*segment.pictures, *segment.sound))
    ]
    if any(within):
        return
    span = request.span
    start, end = (at.astimezone(request.zone).isoformat() for at in (span.start, span.end))
    params: dict[str, Param] = {
        "sources": request.sources.names, "room": request.room, "start": start, "end": end,
    }  # fmt: skip
    message = (
        Message("render.nothing_in_folder", folder=str(folder), **params)
        if folder
        else Message("render.nothing_collected", **params)
    )
    near = nearest(library.starts, span)
    raise NoMedia("no_media", sentences([message, *([near] if near else []), *library.warnings]))


def _leave_out_silence(library: Library) -> None:
    """Leave out sound that is none."""
    silent = {file: media.path.name for file, media in library.media.items() if is_silent(media)}
    library.notes += [Message("render.digital_silence", file=name) for name in silent.values()]
    library.entries = [
        dataclasses.replace(entry, audible=entry.audible and entry.file not in silent)
        for entry in library.entries
    ]


def render(
    context: RenderContext,
    request: MergeRequest,
    library: Library,
    presence: Presence,
    out: Path,
    on_plan: Callable[[EditPlan], None] = lambda plan: None,
    syncs: Sequence[Sync] = (),
) -> MergeResult:
    """Make the renditions in a folder, checked and not yet under their final names.

    Args:
        presence: what the screen showed, and what was decided.
        on_plan: gets each plan before it is encoded: another one when inputs prove broken.
        syncs: what was measured of the sources' clocks, and done.
    """
    profile = profiles.profile_named(request.profile)
    encoder, notes = ffmpeg.choose_encoder(context.tool, profile, context.settings.encoder)
    apart = [sync.message for sync in syncs if sync.outcome == "apart"]
    warnings = [*library.warnings, *presence.warnings, *notes, *apart]
    job = _Job(context, request, profile, library, presence, on_plan)
    for chosen in (encoder, profiles.software(profile)):
        try:
            specs, encoding_warnings = job.encode(chosen)
            break
        except EncoderFailed as error:
            if chosen.hardware is None:
                raise Broken(
                    "encoder", "render.encoder_failed", encoder=chosen.name, why=error.message
                ) from error
            warnings.append(
                Message("render.encoder_failed_midway", encoder=chosen.name, why=error.message)
            )
    renditions = job.join(specs, out)
    warnings += encoding_warnings + job.damage()
    warnings += warn_of_sound(context, library, job.plan.sound)
    warnings += warnings_about(job.plan, request.zone, request.sources, request.layout)
    return MergeResult(
        job.plan, renditions, chosen.name, list(dict.fromkeys(warnings)),
        [look.reasons for look in presence.looks], context.watch.timings, syncs,
    )  # fmt: skip


@dataclass
class _Job:
    """The stages of one merge that share the plan, which changes when inputs prove broken."""

    context: RenderContext
    request: MergeRequest
    profile: Profile
    library: Library
    presence: Presence
    on_plan: Callable[[EditPlan], None]
    holes: Holes = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)  # files whose sound cannot be decoded

    def __post_init__(self) -> None:
        context = self.context
        self.cache, self.watch = context.cache, context.watch
        self.step = Step(context.tool, context.work, context.cancelled, context.budget.threads)
        self.media = self.library.media
        self.identities = self.library.identities
        # What an earlier run found broken is not encoded again to be found broken again.
        for file, identity in self.identities.items():
            stretches = self.cache.recall(self._holes_name(identity), self.step.folder)
            if stretches:
                self.holes[file] = [Stretch(start, end) for start, end in stretches]
        self.plan = self._make_plan()

    def _holes_name(self, identity: str) -> str:
        text = f"holes {self.step.tool.version} {identity}"
        return f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.holes.json"

    def _make_plan(self) -> EditPlan:
        request = self.request
        with self.watch.stage("plan"):
            still_us = microseconds(self.context.settings.screen_still)
            found = segments(self.library.entries, request.sources.screen, self.holes, still_us)
            plan = plan_edit(
                request.span, self.profile.rate, request.layout, request.sources, found,
                self.presence.chunks, self.presence.decisions, request.corner,
                self.presence.chapters,
            )  # fmt: skip
            self.on_plan(plan)
            return plan

    def encode(self, encoder: Encoder) -> tuple[EncodingSpecs, Warnings]:
        """Encode what the cache does not hold, and plan anew as long as inputs prove broken."""
        while True:
            try:
                with self.watch.stage("encode"):
                    specs = self._specs(encoder)
                    encoding = Encoding(self.context, self.step, self.plan, self.media)
                    return specs, encode_missing(encoding, specs)
            except DamageFound as damage:
                for file in damage.holes:  # what is learnt now is never looked at again
                    check_readable(self.media[file])
                if not self._learn(damage.holes) and not self._learn(damage.shots):
                    files = tuple(damage.holes)
                    raise Broken("input", "render.damage_remains", files=files) from damage
                self.plan = self._make_plan()
            except SoundUndecodable as undecodable:
                self._leave_out_sound(undecodable.files)
                self.plan = self._make_plan()

    def _leave_out_sound(self, files: set[str]) -> None:
        """Hear other sources instead of some files. Raises Broken where they are out already."""
        audible = {entry.file for entry in self.library.entries if entry.audible}
        if not files & audible:
            names = tuple(sorted(Path(file).name for file in files))
            raise Broken("sound", "render.damage_remains", files=names)
        self.library.entries = [
            dataclasses.replace(entry, audible=entry.audible and entry.file not in files)
            for entry in self.library.entries
        ]
        self.deaf |= files

    def _specs(self, encoder: Encoder) -> EncodingSpecs:
        version = self.step.tool.version
        parts = []
        for part in self.plan.parts:
            spec = part_spec(
                self.plan, part, self.media, self.identities, self.request.layout,
                self.profile.lines, encoder,
                language=self.context.settings.language, backup=self.plan.shows_right,
            )  # fmt: skip
            parts.append((spec, spec_hash(spec, version)))
        sound = sound_spec(
            self.plan, self.media, self.identities, profiles.SOUND_BITRATE,
            self.context.settings.loudness,
        )  # fmt: skip
        return EncodingSpecs(parts, sound, f"{spec_hash(sound, version)}.m4a")

    def _learn(self, holes: Holes) -> bool:
        """Remember broken stretches; return whether any of them was new."""
        has_learnt = False
        # A picture is shown in the nearest output frame, which may come before it by half a frame.
        early_us = round(500_000 / self.plan.rate)
        for file, stretches in holes.items():
            learnt = self.holes.setdefault(file, [])
            for exact in stretches:
                hole = Stretch(exact.start_us - early_us, exact.end_us)
                if not without_spans([hole], learnt):
                    continue
                learnt.append(hole)
                has_learnt = True
            facts = [[hole.start_us, hole.end_us] for hole in learnt]
            self.cache.remember(self._holes_name(self.identities[file]), facts, self.step.folder)
        return has_learnt

    def damage(self) -> Warnings:
        """Return what was left out of the record because it is broken."""
        warnings = [
            Message("render.sound_left_out", file=Path(file).name) for file in sorted(self.deaf)
        ]
        for entry in self.library.entries:
            for hole in entry.cut(self.holes.get(entry.file, ())):
                span = Span(entry.clock.wall(hole.start_us), entry.clock.wall(hole.end_us))
                if not span.cut_to(self.request.span):
                    continue
                start, end = (
                    f"{at.astimezone(self.request.zone):%H:%M:%S.%f}"
                    for at in (span.start, span.end)
                )
                file = entry.media.path.name
                warnings.append(Message("render.damaged", file=file, start=start, end=end))
        return warnings

    def join(self, specs: EncodingSpecs, out: Path) -> list[Rendition]:
        """Join the parts of each rendition, and accept it by reading it."""
        renditions = []
        outputs = specs.parts[0][0].outputs
        parts = {kind: [f"{name}.{kind}.mp4" for _, name in specs.parts] for kind in outputs}
        joined = [name for names in parts.values() for name in (*names, specs.sound_name)]
        needed_bytes = sum((self.step.folder / name).stat().st_size for name in joined)
        make_room(self.cache, out.parent, needed_bytes, Message("render.joining"))
        for kind, size in outputs.items():
            with self.watch.stage("join"):
                path = out / f"{kind}.mp4"
                expected = Expected(
                    self.plan.frames, self.plan.rate, size, self.profile.codec,
                    specs.sound.samples, moov_in_front=True,
                )  # fmt: skip
                marks = self._marks() if kind == "merge" else ()
                join(self.step, kind, parts[kind], specs.sound_name, path, expected, marks)
            with self.watch.stage("check"):
                renditions.append(_rendition(kind, path, self.plan, size, self.profile))
        return renditions

    def _marks(self) -> list[ChapterMark]:
        plan, language = self.plan, self.context.settings.language
        return chapter_marks(plan.chapters, plan.span, language)


def _rendition(kind: str, path: Path, plan: EditPlan, size: Size, profile: Profile) -> Rendition:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size_bytes = path.stat().st_size
    return Rendition(kind, path, plan.frames, size, profile.codec, size_bytes, digest)
