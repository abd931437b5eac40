"""The step that encodes the sound of a record. See `steps`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from merger.analysis.gain import LEVELS_PER_S, gain_curve
from merger.errors import Broken
from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.media.index import read_media
from merger.media.verify import Expected, find_mismatch
from merger.render.ffmpeg import Outcome
from merger.render.soundgraph import (
    GAINS_PER_S,
    LEVEL_KEY,
    levels_command,
    levels_of_runs_command,
    sound_command,
    sound_of_runs_command,
    sound_run_command,
    uniform_sound_command,
)
from merger.render.steps import Step, all_wrong, run_ffmpeg
from merger.storage.files import translate_write_errors
from merger.timeline.profiles import SAMPLE_RATE
from merger.timeline.specs import PCM_BYTES, Input, SoundSpec, sound_runs


class SoundUndecodable(Exception):
    """The sound of some files cannot be decoded, and spoils that of the others."""

    def __init__(self, files: set[str]) -> None:
        super().__init__(", ".join(sorted(files)))
        self.files = files


def encode_sound(step: Step, spec: SoundSpec, name: str) -> tuple[Path, list[Message]]:
    """Encode the sound of a record as one track, and return the checked file, and warnings.

    Raises:
        SoundUndecodable: some of it has to be left out.
        Broken: the sound cannot be encoded.
    """
    output = f"{name}.partial.m4a"
    outcome, wrong = _try_sound(step, spec, output)
    if outcome.reconfigured or wrong:
        outcome, wrong = _try_sound(step, _with_uniform_inputs(step, spec), output)
    if wrong:
        raise Broken("sound", "render.sound_failed", why=all_wrong(wrong, outcome))
    warnings = [Message("render.sound_undecodable")] if outcome.complaints else []
    return step.folder / output, warnings


def _try_sound(step: Step, spec: SoundSpec, output: str) -> tuple[Outcome, list[Message]]:
    """Encode the sound; return what the runs of ffmpeg showed, and what is wrong with the file."""
    expected = Expected(samples=spec.samples)
    runs = sound_runs(spec)
    if len(runs) == 1:
        gain = _gain(step, spec, output, lambda levels: levels_command(spec, levels))
        outcome = run_ffmpeg(step, sound_command(spec, output, gain))
        return outcome, find_mismatch(step.folder / output, expected)
    files = [f"{output}.{n}.pcm" for n in range(len(runs))]
    for file in (output, *files):  # what an earlier try left is not this sound
        (step.folder / file).unlink(missing_ok=True)
    whole = Outcome()
    for part, file in zip(runs, files, strict=True):
        outcome = run_ffmpeg(step, sound_run_command(part, file))
        whole.complaints += outcome.complaints
        whole.reconfigured |= outcome.reconfigured
        pcm = step.folder / file
        size = pcm.stat().st_size if pcm.exists() else 0
        if size != part.samples * PCM_BYTES:  # all that follows would be shifted
            samples = size // PCM_BYTES
            wrong = Message("render.sound_run", samples=samples, expected=part.samples)
            return outcome, [wrong]
    gain = _gain(step, spec, output, lambda levels: levels_of_runs_command(runs, files, levels))
    outcome = run_ffmpeg(step, sound_of_runs_command(spec, runs, files, output, gain))
    whole.code, whole.tail = outcome.code, outcome.tail
    whole.complaints += outcome.complaints
    for file in files:
        (step.folder / file).unlink()
    return whole, find_mismatch(step.folder / output, expected)


def _gain(
    step: Step, spec: SoundSpec, output: str, command: Callable[[str], list[str]]
) -> str | None:
    """Measure a sound, and return the name of the file with its gain; None if it needs none.

    What goes wrong here goes wrong in encoding, too, which says so.

    Args:
        command: that writes the levels into a file of a name.
    """
    if spec.loudness is None:
        return None
    levels, gain = f"{output}.levels", f"{output}.gain"
    (step.folder / levels).unlink(missing_ok=True)
    run_ffmpeg(step, command(levels))
    curve = gain_curve(_read_levels(step.folder / levels), spec.loudness)
    every = GAINS_PER_S // LEVELS_PER_S
    # One more than there are, so that there is a gain for a sound of less than a level.
    curve = np.append(curve, curve[-1] if len(curve) else 0.0)
    between = np.interp(np.arange(len(curve) * every) / every, np.arange(len(curve)), curve)
    factors = (10 ** (between / 20)).astype("<f4")
    with translate_write_errors(step.folder.parent):
        (step.folder / gain).write_bytes(np.repeat(factors, 2).tobytes())
    return gain


def _read_levels(path: Path) -> list[float]:
    if not path.exists():
        return []
    begin = f"{LEVEL_KEY}="
    with path.open() as file:
        return [float(line.removeprefix(begin)) for line in file if line.startswith(begin)]


def _with_uniform_inputs(step: Step, spec: SoundSpec) -> SoundSpec:
    """Return the same sound from copies of its files that have one sample rate and layout.

    Raises:
        SoundUndecodable: some files give no copy that has any sound.
    """
    copies: dict[str, Input] = {}
    undecodable: set[str] = set()
    for piece in spec.pieces:
        if piece.input is None or piece.input.file in copies:
            continue
        source = dataclasses.replace(piece.input, seek_us=None)
        name = f"sound-{len(copies)}.mkv"
        run_ffmpeg(step, uniform_sound_command(source, name))
        copy = (step.folder / name).absolute()
        if not _has_sound(copy):
            undecodable.add(source.file)
        copies[source.file] = Input(str(copy), source.identity, "matroska", 0, None)
    if undecodable:
        raise SoundUndecodable(undecodable)
    return dataclasses.replace(
        spec,
        pieces=tuple(
            dataclasses.replace(p, input=copies[p.input.file], sample_rate=SAMPLE_RATE)
            if p.input
            else p
            for p in spec.pieces
        ),
    )


def _has_sound(path: Path) -> bool:
    """Return whether a copy holds any sound: ffmpeg's exit code is no evidence."""
    try:
        return bool(reader.call(read_media, path).sound)
    except (Unreadable, OSError):
        return False
