"""The steps that make files: encode a part, join; `sound_step` encodes the sound. From plain specs.

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
from merger.media.colour import cube
from merger.media.damage import Inspection, inspect_damage
from merger.media.verify import Expected, find_mismatch, has_same_codec_header
from merger.render.arguments import join_command
from merger.render.ffmpeg import Outcome, Tool, input_files, run
from merger.render.filtergraph import part_command
from merger.render.slate import slate_png
from merger.storage.files import disk_full, translate_write_errors
from merger.timeline.clock import Stretch
from merger.timeline.layout import Size
from merger.timeline.media import MediaFile
from merger.timeline.plan import SlateKey
from merger.timeline.screen.chapter_marks import ChapterMark, marks_bytes, metadata_of
from merger.timeline.specs import LaneSpec, PartSpec, Shot

# A decoder stopped at the end of a shot has not always given out its last pictures.
_IN_FLIGHT = 3
_FEW_FRAMES = 12  # half a second
_HALF = Fraction(1, 2)

Holes = dict[str, list[Stretch]]


class DamageFound(Exception):
    """A part could not be encoded as planned, because pictures of its inputs are broken.

    Args:
        holes: what is known to be broken, by file.
        shots: all that the part shows of these files.
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


def run_ffmpeg(
    step: Step,
    arguments: Sequence[str],
    on_progress: Callable[[dict[str, str]], None] | None = None,
    *,
    reads: Sequence[Path] = (),
    onto: Path | None = None,
) -> Outcome:
    """Run ffmpeg. Raises Temporary for a full disk.

    Args:
        reads: files that its inputs name.
        onto: the work folder with its outputs; None for that in which it runs.
    """
    outcome = run(
        step.tool, arguments, step.folder, reads=reads, writes=[onto] if onto else (),
        on_progress=on_progress, cancelled=step.cancelled,
    )  # fmt: skip
    if outcome.disk_full:
        raise disk_full((onto or step.folder).parent)
    return outcome


# --- parts ----------------------------------------------------------------------------------------


def encode_part(
    step: Step,
    spec: PartSpec,
    name: str,
    media: Mapping[str, MediaFile],
    on_frames: Callable[[int], None],
) -> tuple[dict[str, Path], list[Message]]:
    """Encode a part and return its checked files by kind of rendition, and warnings.

    Raises:
        DamageFound: inputs turn out to be broken.
        EncoderFailed: the fault seems to be the encoder's.
        Temporary: the disk is full.
    """
    slates = _draw_slates(step.folder, spec)
    _write_cubes(step.folder, spec, name)
    outputs = {kind: f"{name}.{kind}.partial.mp4" for kind in spec.outputs}
    # The second try reads every input from its beginning: slow, but no seek can go wrong.
    for tried in (spec, _without_seeks(spec)):
        arguments = part_command(tried, outputs, slates, step.threads)
        outcome = run_ffmpeg(
            step, arguments, lambda values: on_frames(int(values.get("frame") or 0))
        )
        if outcome.code == -signal.SIGKILL:
            raise Temporary("encoder_killed", "render.killed")
        if outcome.reconfigured:
            raise _why_begun_anew(spec, media)
        short = _short_inputs(tried, arguments, outcome, media)
        if not short:
            break
    else:
        if short == {shot.input.file for shot in spec.shots if shot.input}:
            why = outcome.last_words()
            raise EncoderFailed(Message("render.decoded_nothing", why=why))
        shots = _shots_of(spec, short)
        raise DamageFound(shots, shots)
    files = {kind: step.folder / output for kind, output in outputs.items()}
    for kind, size in spec.outputs.items():
        expected = Expected(spec.frames, spec.rate, size, spec.encoder.codec)
        wrong = find_mismatch(files[kind], expected)
        flashes = _shots_of_few_frames(spec)
        if wrong and flashes:
            raise DamageFound(flashes, flashes)
        if wrong or outcome.code != 0:
            raise EncoderFailed(all_wrong(wrong, outcome))
    if not outcome.complaints:
        return files, []
    names = tuple(sorted({Path(s.input.file).name for s in spec.shots if s.input}))
    return files, [Message("render.decoder_complained", files=names)]


def all_wrong(wrong: Sequence[Message], outcome: Outcome) -> Message:
    """Return all that is wrong with an output, and what ffmpeg said last."""
    return sentences([*wrong, verbatim(outcome.last_words())])


def _draw_slates(folder: Path, spec: PartSpec) -> dict[tuple[SlateKey, Size], str]:
    names: dict[tuple[SlateKey, Size], str] = {}
    for lane in spec.lanes:
        for shot in lane.shots:
            if shot.slate is None:
                continue
            file = f"{shot.slate}-{lane.box.width}x{lane.box.height}.png"
            names[shot.slate, lane.box] = file
            if not (folder / file).exists():
                with translate_write_errors(folder.parent):
                    (folder / file).write_bytes(slate_png(shot.slate, lane.box, spec.language))
    return names


def _write_cubes(folder: Path, spec: PartSpec, name: str) -> None:
    for colours in {s.picture.colours for s in spec.shots if s.picture and s.picture.colours}:
        file = folder / f"{colours.name}.cube"
        if not file.exists():
            partial = folder / f"{name}.{file.name}"  # other parts may be reading the file already
            with translate_write_errors(folder.parent):
                partial.write_text(cube(colours))
                partial.replace(file)


def _without_seeks(spec: PartSpec) -> PartSpec:
    def read_whole(shot: Shot) -> Shot:
        if shot.input is None:
            return shot
        return dataclasses.replace(shot, input=dataclasses.replace(shot.input, seek_us=None))

    def lane_without(lane: LaneSpec) -> LaneSpec:
        above = lane_without(lane.above) if lane.above else None
        return dataclasses.replace(lane, shots=tuple(map(read_whole, lane.shots)), above=above)

    def lanes(row: Sequence[LaneSpec]) -> tuple[LaneSpec, ...]:
        return tuple(map(lane_without, row))

    return dataclasses.replace(
        spec,
        runs=tuple(lanes(row) for row in spec.runs),
        backup=lanes(spec.backup) if spec.backup else None,
    )


def _short_inputs(
    spec: PartSpec, arguments: list[str], outcome: Outcome, media: Mapping[str, MediaFile]
) -> set[str]:
    """Return the files of which ffmpeg decoded fewer pictures than can be decoded.

    What the packets promise is believed where nobody complains; else it is looked at.

    Raises:
        DamageFound: some of the pictures cannot be decoded.
    """
    promised = {shot: shot.pictures for shot in spec.shots}
    is_clean = outcome.code == 0 and not outcome.complaints
    if is_clean and not _files_short_of(promised, arguments, outcome):
        return set()
    inspections = {shot: _inspect_shot(spec, shot, media) for shot in spec.shots}
    holes = _holes_of(inspections)
    if holes:
        raise DamageFound(holes, _shots_of(spec, set(holes)))
    decodable = {shot: inspection.pictures for shot, inspection in inspections.items()}
    return _files_short_of(decodable, arguments, outcome)


def _files_short_of(
    pictures: Mapping[Shot, int], arguments: list[str], outcome: Outcome
) -> set[str]:
    """Return the files of which ffmpeg decoded fewer pictures than their shots need."""
    needed: dict[tuple[str, int | None], int] = {}
    for shot, count in pictures.items():
        if shot.input:
            key = (shot.input.file, shot.input.seek_us)
            needed[key] = max(count, needed.get(key, 0))
    short: set[str] = set()
    for number, source in enumerate(input_files(arguments)):
        needs, decoded = needed.get(source, 0), outcome.decoded.get(number, 0)
        # Without a single picture a shot has no frame to repeat, and its lane would be short.
        if needs - decoded > _IN_FLIGHT or (needs and not decoded):
            short.add(source[0])
    return short


def _shot_stretch(spec: PartSpec, shot: Shot) -> Stretch:
    """Return the file time whose pictures a shot shows: each to the nearest output frame."""
    length = round((shot.frames - _HALF) / spec.rate * 1_000_000 / shot.rate)
    return Stretch(shot.at_us, shot.at_us + length)


def _inspect_shot(spec: PartSpec, shot: Shot, media: Mapping[str, MediaFile]) -> Inspection:
    assert shot.input is not None
    stretch = _shot_stretch(spec, shot)
    return inspect_damage(media[shot.input.file], stretch.start_us, stretch.end_us)


def _holes_of(inspections: Mapping[Shot, Inspection]) -> Holes:
    holes: Holes = {}
    for shot, inspection in inspections.items():
        if shot.input and inspection.holes:
            holes.setdefault(shot.input.file, []).extend(inspection.holes)
    return holes


def _why_begun_anew(spec: PartSpec, media: Mapping[str, MediaFile]) -> Exception:
    """Return why a graph began anew, and lost its place: its number of frames proves nothing.

    On a GPU, pictures of another size need other memory. Before FFmpeg 7, pictures that are to be
    turned otherwise than those before do it everywhere.
    """
    turned = _shots_of(spec, {file for file, of in media.items() if _is_turned(of)})
    if turned and spec.encoder.hardware is None:
        return DamageFound(turned, turned)
    return EncoderFailed(Message("render.shape_changed"))


def _is_turned(file: MediaFile) -> bool:
    """Return whether any pictures of a file are to be turned."""
    videos = [file.video, *(video for _, video in file.changes)]
    return any(video is not None and video.rotation for video in videos)


def _shots_of_few_frames(spec: PartSpec) -> Holes:
    """Return the shots that beside damage may yield no picture at all."""
    return _stretches(spec, [shot for shot in spec.shots if shot.frames <= _FEW_FRAMES])


def _shots_of(spec: PartSpec, files: set[str]) -> Holes:
    """Return all that a part shows of some files."""
    return _stretches(
        spec, [shot for shot in spec.shots if shot.input and shot.input.file in files]
    )


def _stretches(spec: PartSpec, shots: Sequence[Shot]) -> Holes:
    holes: Holes = {}
    for shot in shots:
        if shot.input:
            holes.setdefault(shot.input.file, []).append(_shot_stretch(spec, shot))
    return holes


# --- joining --------------------------------------------------------------------------------------


def join(
    step: Step,
    kind: str,
    parts: Sequence[str],
    sound: str,
    output: Path,
    expected: Expected,
    marks: Sequence[ChapterMark] = (),
) -> None:
    """Join parts and sound by stream copy into a file, and accept it by reading every packet.

    Args:
        parts, sound: names in the work folder.
        marks: the chapters that the file is to have.

    Raises:
        Broken: the result is not as expected.
    """
    files = [step.folder / part for part in parts]  # which lead into the cache
    if not has_same_codec_header(files):
        raise Broken("parts", "render.parts_differ")
    listing = step.folder / f"{kind}.ffconcat"
    listing.write_text("ffconcat version 1.0\n" + "".join(f"file {part}\n" for part in parts))
    chapters = None
    if marks:
        chapters = f"{kind}.chapters"
        (step.folder / chapters).write_text(metadata_of(marks), encoding="utf-8", newline="\n")
    moov_bytes = _moov_bytes(expected) + marks_bytes(marks)
    for index in (("-moov_size", str(moov_bytes)), ("-movflags", "+faststart")):
        arguments = join_command(listing.name, sound, str(output), index, chapters)
        outcome = run_ffmpeg(step, arguments, reads=files, onto=output.parent)
        wrong = find_mismatch(output, expected)
        if not wrong:
            return
    raise Broken("output", "render.output_rejected", why=all_wrong(wrong, outcome))


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
