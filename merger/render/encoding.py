"""Encoding what the cache does not hold: parts side by side within the budget, and the sound."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from merger.errors import Broken, Cancelled, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message, from_json, to_json
from merger.media.container import check_readable
from merger.render.context import RenderContext
from merger.render.sound_step import encode_sound
from merger.render.steps import Step, encode_part
from merger.storage.disk_space import make_room
from merger.timeline.media import MediaFile
from merger.timeline.plan import EditPlan
from merger.timeline.specs import PartSpec, SoundSpec, likely_bytes

_LISTEN_EVERY_S = 0.25
_TRIES = 3  # of a disk that does not keep what is written

Warnings = list[Message]
NamedPart = tuple[PartSpec, str]  # with the name that its files are cached under


@dataclass(frozen=True)
class EncodingSpecs:
    """What is to be encoded of a plan, and what its files are called in the cache."""

    parts: list[NamedPart]
    sound: SoundSpec
    sound_name: str


@dataclass(frozen=True)
class Encoding:
    """What encoding needs: the surroundings, the plan, and the media by its file."""

    context: RenderContext
    step: Step
    plan: EditPlan
    media: Mapping[str, MediaFile]

    def remember(self, name: str, warnings: Warnings) -> None:
        """Keep the warnings that go with a file of the cache whenever it is used."""
        if warnings:
            documents = [to_json(warning) for warning in warnings]
            self.context.cache.remember(f"{name}.json", documents, self.step.folder)

    def recall(self, name: str) -> Warnings | None:
        """Return the warnings that go with a file; entries older than keys hold sentences.

        None where they are damaged: making the file anew shows what they were.
        """
        documents = self.context.cache.recall(f"{name}.json", self.step.folder)
        return None if documents is None else [from_json(document) for document in documents]


def encode_missing(encoding: Encoding, specs: EncodingSpecs) -> Warnings:
    """Encode what the cache does not hold, or not as it was written; return all warnings.

    Raises:
        DamageFound: inputs turn out to be broken.
        EncoderFailed: the fault seems to be the encoder's.
        Temporary: what is written to the cache does not stay as it is.
    """
    for _ in range(_TRIES):
        warnings = _encode_missing(encoding, specs)
        if _are_intact(encoding, specs):
            return warnings
    folder = str(encoding.context.cache.folder)
    raise Temporary("cache", "render.cache_changes", folder=folder)


def _are_intact(encoding: Encoding, specs: EncodingSpecs) -> bool:
    """Return whether all that is about to be joined is what was encoded; what is not is removed.

    Last of all, and of what this run has encoded, too: hours may lie between.
    """
    names = {file for spec, name in specs.parts for file in _files_of(spec, name)}
    damaged = 0
    for name in (*sorted(names), specs.sound_name):
        if encoding.step.cancelled():
            raise Cancelled("cancelled", "render.stopped")
        damaged += not encoding.context.cache.is_intact(name, encoding.step.folder)
    return not damaged


def _files_of(spec: PartSpec, name: str) -> list[str]:
    return [f"{name}.{kind}.mp4" for kind in spec.outputs]


def _encode_missing(encoding: Encoding, specs: EncodingSpecs) -> Warnings:
    cache, step = encoding.context.cache, encoding.step
    missing, warnings = _find_missing(encoding, specs.parts)
    has_sound = cache.use(specs.sound_name, step.folder)
    needed_bytes = likely_bytes([spec for spec, _ in missing], None if has_sound else specs.sound)
    make_room(cache, cache.folder, needed_bytes, Message("render.encoding"))
    failed = threading.Event()
    both = dataclasses.replace(step, cancelled=lambda: failed.is_set() or step.cancelled())
    encoding = dataclasses.replace(encoding, step=both)
    with ThreadPoolExecutor(1, "sound") as pool:
        sound = pool.submit(_encode_sound, encoding, specs.sound, specs.sound_name)
        try:
            warnings += _encode_parts(encoding, missing, failed)
            _await([sound])
            return warnings + sound.result()
        except BaseException:
            failed.set()
            raise


def _find_missing(
    encoding: Encoding, parts: Sequence[NamedPart]
) -> tuple[list[NamedPart], Warnings]:
    """Return the parts that the cache does not hold, and the warnings about the others.

    Each once: two minutes without any media are the same part as the next two.
    """
    missing: list[NamedPart] = []
    warnings: Warnings = []
    for name, spec in {name: spec for spec, name in parts}.items():
        use = partial(encoding.context.cache.use, work=encoding.step.folder)
        told = encoding.recall(name) if all(map(use, _files_of(spec, name))) else None
        if told is None:
            missing.append((spec, name))
        else:
            warnings += told
    return missing, warnings


def _encode_sound(encoding: Encoding, spec: SoundSpec, name: str) -> Warnings:
    cache, step = encoding.context.cache, encoding.step
    if cache.use(name, step.folder) and (told := encoding.recall(name)) is not None:
        return told
    # Outside the budget: it needs a fiftieth of what the pictures do, on one core.
    try:
        path, warnings = encode_sound(step, spec, name)
    except Broken:
        _check_readable(encoding, spec)
        raise
    if warnings:
        _check_readable(encoding, spec)
    encoding.remember(name, warnings)
    cache.add(path, name, step.folder)
    return warnings


def _check_readable(encoding: Encoding, spec: SoundSpec) -> None:
    """Raise Temporary or Broken where the sound's files cannot be read: no fault of theirs."""
    for file in dict.fromkeys(piece.input.file for piece in spec.pieces if piece.input):
        check_readable(encoding.media[file])


def _encode_part(encoding: Encoding, progress: _Progress, spec: PartSpec, name: str) -> Warnings:
    step = encoding.step
    with encoding.context.budget.slot(step.cancelled):
        if step.cancelled():
            raise Cancelled("cancelled", "render.stopped")
        failpoint("encode.part")
        on_frames = partial(progress.set_frames, name)
        files, warnings = encode_part(step, spec, name, encoding.media, on_frames)
    encoding.remember(name, warnings)
    for kind, path in files.items():
        encoding.context.cache.add(path, f"{name}.{kind}.mp4", step.folder)
    progress.set_frames(name, spec.frames)
    return warnings


class _Progress:
    """How many frames are encoded, of all parts together: several threads tell it."""

    def __init__(self, encoding: Encoding, missing: Sequence[NamedPart]) -> None:
        self._reporter, self._plan = encoding.context.watch.reporter, encoding.plan
        self._cached = self._plan.frames - sum(spec.frames for spec, _ in missing)
        self._encoded = dict.fromkeys((name for _, name in missing), 0)
        self._lock = threading.Lock()

    def report(self) -> None:
        frames = self._cached + sum(self._encoded.values())
        rate = self._plan.rate
        self._reporter.progress(float(frames / rate), float(self._plan.frames / rate), media=True)

    def set_frames(self, name: str, frames: int) -> None:
        with self._lock:
            self._encoded[name] = frames
            self.report()


def _encode_parts(
    encoding: Encoding, missing: Sequence[NamedPart], failed: threading.Event
) -> Warnings:
    if not missing:
        return []
    progress = _Progress(encoding, missing)
    progress.report()
    failures: list[BaseException] = []

    def encode_or_stop(spec: PartSpec, name: str) -> Warnings:
        # In the thread itself: it would begin the next part before anybody else could tell it.
        try:
            return _encode_part(encoding, progress, spec, name)
        except BaseException as error:
            failures.append(error)
            failed.set()
            raise

    with ThreadPoolExecutor(encoding.context.budget.slots, "part") as pool:
        futures = [pool.submit(encode_or_stop, spec, name) for spec, name in missing]
        _await(futures)
    if failures:
        raise failures[0]
    return [warning for future in futures for warning in future.result()]


def _await(futures: Sequence[Future[Warnings]]) -> None:
    """Wait until all have ended.

    In short waits: a signal that another thread gets does not wake this one, in which alone Python
    handles it.
    """
    while wait(futures, _LISTEN_EVERY_S).not_done:
        pass
