"""The steps that make files: encode a part, encode the sound, join. Each from a plain spec.

Each step is idempotent: it writes a partial file in the work folder, checks it by reading every
packet, and only then hands it to the cache or to the caller.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from merger.errors import Broken, Temporary
from merger.i18n import Message, sentences, verbatim
from merger.media.damage import Inspection, inspect_damage
from merger.media.verify import Expected, find_mismatch, has_same_codec_header
from merger.render import filtergraph
from merger.render.ffmpeg import Outcome, Tool, run
from merger.render.slate import slate_png
from merger.storage.files import disk_full, translate_write_errors
from merger.timeline.clock import Stretch
from merger.timeline.layout import Size
from merger.timeline.media import MediaFile
from merger.timeline.parts import PCM_BYTES, Input, LaneSpec, PartSpec, Shot, SoundSpec, sound_runs
from merger.timeline.plan import SlateKey
from merger.timeline.profiles import SAMPLE_RATE

# A decoder stopped at the end of a shot has not always given out its last pictures.
_IN_FLIGHT = 3
_FRAGMENT = 12  # frames: half a second
HALF = Fraction(1, 2)

Holes = dict[str, list[Stretch]]


class DamageFound(Exception):
    """A part could not be encoded as planned, because pictures of its inputs are broken.

    holes: what is known to be broken, by file; shots: all that the part shows of these files.
    """

    def __init__(self, holes: Holes, shots: Holes) -> None:
        super().__init__(", ".join(holes))
        self.holes = holes
        self.shots = shots


class EncoderFailed(Exception):
    """An encoder (a hardware one, usually) did not do what it promised."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Step:
    """What every step needs to know of its surroundings."""

    tool: Tool
    folder: Path  # the work folder, in which ffmpeg runs
    cancelled: Callable[[], bool]
    threads: int | None = None  # for one ffmpeg; None: as many as it likes


def encode_part(
    step: Step,
    spec: PartSpec,
    name: str,
    media: Mapping[str, MediaFile],
    on_frames: Callable[[int], None],
) -> tuple[dict[str, Path], list[Message]]:
    """Encode a part and return its checked files by kind of rendition, and warnings.

    Raises DamageFound where inputs turn out to be broken, EncoderFailed where the fault seems to be
    the encoder's, Temporary for a full disk.
    """
    slates = _draw_slates(step.folder, spec)
    outputs = {kind: f"{name}.{kind}.partial.mp4" for kind in spec.outputs}
    warnings: list[Message] = []
    # The second try reads every input from its beginning: slow, but no seek can go wrong.
    for tried in (spec, _from_the_beginning(spec)):
        arguments = filtergraph.part_command(tried, outputs, slates, step.threads)
        outcome = run(
            step.tool, arguments, step.folder,
            on_progress=lambda values: on_frames(int(values.get("frame") or 0)),
            cancelled=step.cancelled,
        )  # fmt: skip
        if outcome.disk_full:
            raise disk_full(step.folder.parent)
        if outcome.code == -signal.SIGKILL:
            raise Temporary("encoder_killed", "render.killed")
        promised = {shot: shot.pictures for shot in tried.shots}
        if (
            outcome.code == 0
            and not outcome.complaints
            and not _short(promised, arguments, outcome)
        ):
            break
        found = {shot: _inspected(tried, shot, media) for shot in tried.shots}
        holes = _holes(found)
        if holes:
            raise DamageFound(holes, _whole_shots(spec, set(holes)))
        decodable = {shot: inspection.pictures for shot, inspection in found.items()}
        short = _short(decodable, arguments, outcome)
        if not short:
            break
    else:
        if short == {shot.input.file for shot in spec.shots if shot.input}:
            why = outcome.last_words()
            raise EncoderFailed(Message("render.decoded_nothing", why=why))
        shots = _whole_shots(spec, short)
        raise DamageFound(shots, shots)
    files = {kind: step.folder / output for kind, output in outputs.items()}
    for kind, size in spec.outputs.items():
        expected = Expected(spec.frames, spec.rate, size, spec.encoder.codec)
        wrong = find_mismatch(files[kind], expected)
        fragments = _fragments(spec)
        if wrong and fragments:
            raise DamageFound(fragments, fragments)
        if wrong or outcome.code != 0:
            raise EncoderFailed(_all_wrong(wrong, outcome))
    if outcome.complaints:
        names = tuple(sorted({Path(s.input.file).name for s in spec.shots if s.input}))
        warnings.append(Message("render.decoder_complained", files=names))
    return files, warnings


def _all_wrong(wrong: Sequence[Message], outcome: Outcome) -> Message:
    return sentences([*wrong, verbatim(outcome.last_words())])


def _draw_slates(folder: Path, spec: PartSpec) -> dict[tuple[SlateKey, Size], str]:
    names: dict[tuple[SlateKey, Size], str] = {}
    lanes = [lane for run in spec.runs for lane in run] + list(spec.backup or ())
    for lane in lanes:
        for shot in lane.shots:
            if shot.slate is None:
                continue
            file = f"{shot.slate}-{lane.box.width}x{lane.box.height}.png"
            names[shot.slate, lane.box] = file
            if not (folder / file).exists():
                with translate_write_errors(folder.parent):
                    (folder / file).write_bytes(slate_png(shot.slate, lane.box, spec.language))
    return names


def _from_the_beginning(spec: PartSpec) -> PartSpec:
    def lane(lanes: Sequence[LaneSpec]) -> tuple[LaneSpec, ...]:
        return tuple(
            dataclasses.replace(
                one,
                shots=tuple(
                    dataclasses.replace(s, input=dataclasses.replace(s.input, seek_us=None))
                    if s.input
                    else s
                    for s in one.shots
                ),
            )
            for one in lanes
        )

    return dataclasses.replace(
        spec,
        runs=tuple(lane(row) for row in spec.runs),
        backup=lane(spec.backup) if spec.backup else None,
    )


def _short(pictures: Mapping[Shot, int], arguments: list[str], outcome: Outcome) -> set[str]:
    """Return the files of which ffmpeg decoded fewer pictures than their shots need."""
    wanted: dict[tuple[str, int | None], int] = {}
    for shot, count in pictures.items():
        if shot.input:
            key = (shot.input.file, shot.input.seek_us)
            wanted[key] = max(count, wanted.get(key, 0))
    short: set[str] = set()
    for number, source in enumerate(filtergraph.inputs(arguments)):
        needs, decoded = wanted.get(source, 0), outcome.decoded.get(number, 0)
        # Without a single picture a shot has no frame to hold, and its lane would be short.
        if needs - decoded > _IN_FLIGHT or (needs and not decoded):
            short.add(source[0])
    return short


def _shot_us(spec: PartSpec, shot: Shot) -> Stretch:
    """Return the file time whose pictures a shot shows: each to the nearest output frame."""
    length = round((shot.frames - HALF) / spec.rate * 1_000_000 / shot.rate)
    return Stretch(shot.at_us, shot.at_us + length)


def _inspected(spec: PartSpec, shot: Shot, media: Mapping[str, MediaFile]) -> Inspection:
    assert shot.input is not None
    span = _shot_us(spec, shot)
    return inspect_damage(media[shot.input.file], span.start_us, span.end_us)


def _holes(found: Mapping[Shot, Inspection]) -> Holes:
    holes: Holes = {}
    for shot, inspection in found.items():
        if shot.input and inspection.holes:
            holes.setdefault(shot.input.file, []).extend(inspection.holes)
    return holes


def _fragments(spec: PartSpec) -> Holes:
    """Return the shots of a few frames: beside damage they may yield no picture at all."""
    holes: Holes = {}
    for shot in spec.shots:
        if shot.input and shot.frames <= _FRAGMENT:
            holes.setdefault(shot.input.file, []).append(_shot_us(spec, shot))
    return holes


def _whole_shots(spec: PartSpec, files: set[str]) -> Holes:
    holes: Holes = {}
    for shot in spec.shots:
        if shot.input and shot.input.file in files:
            holes.setdefault(shot.input.file, []).append(_shot_us(spec, shot))
    return holes


def encode_sound(step: Step, spec: SoundSpec, name: str) -> tuple[Path, list[Message]]:
    """Encode the sound of a record as one track, and return the checked file, and warnings."""
    output = f"{name}.partial.m4a"
    expected = Expected(samples=spec.samples)
    outcome = _run_sound(step, spec, output)
    wrong = find_mismatch(step.folder / output, expected)
    if outcome.reconfigured or wrong:
        outcome = _run_sound(step, _with_uniform_inputs(step, spec), output)
        wrong = find_mismatch(step.folder / output, expected)
    if wrong:
        raise Broken("sound", "render.sound_failed", why=_all_wrong(wrong, outcome))
    warnings = [Message("render.sound_undecodable")] if outcome.complaints else []
    return step.folder / output, warnings


def _run_sound(step: Step, spec: SoundSpec, output: str) -> Outcome:
    runs = sound_runs(spec)
    if len(runs) == 1:
        return _sound_made(step, filtergraph.sound_command(spec, output))
    files = [f"{output}.{n}.pcm" for n in range(len(runs))]
    for file in (output, *files):  # what an earlier try left is not this sound
        (step.folder / file).unlink(missing_ok=True)
    whole = Outcome()
    for one, file in zip(runs, files, strict=True):
        outcome = _sound_made(step, filtergraph.sound_run_command(one, file))
        whole.complaints += outcome.complaints
        whole.reconfigured |= outcome.reconfigured
        wrong = _wrong_length(step.folder / file, one.samples)
        if wrong:  # all that follows would be shifted
            outcome.complaints.append(wrong)
            return outcome
    arguments = filtergraph.sound_of_runs_command(spec, runs, files, output)
    outcome = _sound_made(step, arguments)
    whole.code, whole.tail = outcome.code, outcome.tail
    whole.complaints += outcome.complaints
    for file in files:
        (step.folder / file).unlink()
    return whole


def _wrong_length(pcm: Path, samples: int) -> str | None:
    size = pcm.stat().st_size if pcm.exists() else 0
    if size == samples * PCM_BYTES:
        return None
    return f"a run of the sound has {size / PCM_BYTES:g} samples instead of {samples}"


def _sound_made(step: Step, arguments: Sequence[str]) -> Outcome:
    outcome = run(step.tool, arguments, step.folder, cancelled=step.cancelled)
    if outcome.disk_full:
        raise disk_full(step.folder.parent)
    return outcome


def _with_uniform_inputs(step: Step, spec: SoundSpec) -> SoundSpec:
    """Return the same sound from copies of its files that have one sample rate and layout."""
    copies: dict[str, Input] = {}
    for piece in spec.pieces:
        if piece.input is None or piece.input.file in copies:
            continue
        source = dataclasses.replace(piece.input, seek_us=None)
        name = f"sound-{len(copies)}.mkv"
        outcome = run(
            step.tool, filtergraph.uniform_sound_command(source, name), step.folder,
            cancelled=step.cancelled,
        )  # fmt: skip
        if outcome.disk_full:
            raise disk_full(step.folder.parent)
        copy = str((step.folder / name).absolute())
        copies[source.file] = Input(copy, source.identity, "matroska", 0, None)
    return dataclasses.replace(
        spec,
        pieces=tuple(
            dataclasses.replace(p, input=copies[p.input.file], sample_rate=SAMPLE_RATE)
            if p.input
            else p
            for p in spec.pieces
        ),
    )


def join(
    step: Step, kind: str, parts: Sequence[str], sound: str, output: Path, expected: Expected
) -> None:
    """Join parts and sound by stream copy into a file, and accept it by reading every packet.

    parts, sound: names in the work folder. Raises Broken where the result is not as expected.
    """
    if not has_same_codec_header([step.folder / part for part in parts]):
        raise Broken("parts", "render.parts_differ")
    listing = step.folder / f"{kind}.ffconcat"
    listing.write_text("ffconcat version 1.0\n" + "".join(f"file {part}\n" for part in parts))
    for index in (("-moov_size", str(_moov_bytes(expected))), ("-movflags", "+faststart")):
        arguments = filtergraph.join_command(listing.name, sound, str(output), index)
        outcome = run(step.tool, arguments, step.folder, cancelled=step.cancelled)
        if outcome.disk_full:
            raise disk_full(output.parent.parent)
        wrong = find_mismatch(output, expected)
        if not wrong:
            return
    raise Broken("output", "render.output_rejected", why=_all_wrong(wrong, outcome))


def _moov_bytes(expected: Expected) -> int:
    """Return how much room the index of a file needs, from above.

    A video packet takes 4 bytes of sizes, 8 of composition offsets and, as sound and video
    alternate, up to 16 of its own chunk; a sound packet 4 and as much of a chunk. 64 KiB hold the
    rest.
    """
    sound_packets = expected.samples // 1024 + 2
    return (
        65_536
        + 28 * expected.frames
        + 20 * min(sound_packets, 2 * expected.frames)
        + 4 * sound_packets
    )
