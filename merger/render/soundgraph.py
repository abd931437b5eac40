"""The commands that encode the sound of a record, from its spec. See `filtergraph`.

Pure: specs in, argument lists out; golden-tested as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ffmpeg

from merger.render.arguments import GLOBAL_OPTIONS, input_options
from merger.timeline.profiles import SAMPLE_RATE
from merger.timeline.specs import CROSSFADE, Input, SoundPiece, SoundSpec

Stream = Any  # ffmpeg-python has no types

# Bare samples: no header that could say another number of them, or has no room for so many.
_PCM: Mapping[str, Any] = {"f": "f32le", "ar": SAMPLE_RATE, "ac": 2}

# What AAC keeps of the heights is below 16 kHz; fewer samples are less work.
_MEASURED_RATE = 32_000
LEVEL_KEY = "lavfi.r128.M"
_DEBUG = 48  # a level of the log that nobody reads; FFmpeg 5.1 has no word for it
GAINS_PER_S = 200  # in a file of factors, as bare samples of both channels
# 3 dB under full scale: between samples, and by encoding, peaks grow by a decibel or two, and the
# true peak is to stay at -1 dBTP.
_HIGHEST_SAMPLE = 0.7


def sound_command(spec: SoundSpec, output: str, gain: str | None = None) -> list[str]:
    """Return the arguments (without the program) that encode the sound of a record.

    Args:
        gain: the file with the gain of a spec that says how loud it is to be.
    """
    return _encode(_join_pieces(spec), spec, output, gain)


def levels_command(spec: SoundSpec, output: str) -> list[str]:
    """Return the arguments that write how loud the sound of a record is, ten times a second."""
    return _measure(_join_pieces(spec), output)


def levels_of_runs_command(
    runs: Sequence[SoundSpec], files: Sequence[str], output: str
) -> list[str]:
    """Return the arguments that do so from runs; see sound_of_runs_command."""
    return _measure(_join_runs(runs, files), output)


def sound_run_command(run: SoundSpec, output: str) -> list[str]:
    """Return the arguments that write a run of sound as bare samples, exactly as many as it has."""
    stream = _join_pieces(run).filter("atrim", end_sample=run.samples)
    node = ffmpeg.output(stream, output, **_PCM, **{"c:a": "pcm_f32le"})
    return [*GLOBAL_OPTIONS, *node.get_args()]


def sound_of_runs_command(
    spec: SoundSpec,
    runs: Sequence[SoundSpec],
    files: Sequence[str],
    output: str,
    gain: str | None = None,
) -> list[str]:
    """Return the arguments that encode the sound of a record from its runs.

    The sound is to the sample what sound_command would give.

    Args:
        files: of the runs, in order, as sound_run_command writes them.
        gain: as for sound_command.
    """
    return _encode(_join_runs(runs, files), spec, output, gain)


def uniform_sound_command(source: Input, output: str) -> list[str]:
    """Return the arguments that copy a file's sound in one sample rate and layout, in file time.

    For a file whose sound changes its parameters in the middle: there ffmpeg begins a graph anew,
    and a graph of many pieces would lose its place for good; this one has no place to lose.
    """
    stream = ffmpeg.input(source.file, **input_options(source))[str(source.stream)]
    stream = (
        stream.filter("atrim", start=0)  # Matroska has no negative time
        .filter("aresample", SAMPLE_RATE)
        .filter("aformat", sample_fmts="s16", channel_layouts="stereo")
    )
    node = ffmpeg.output(stream, output, f="matroska", **{"c:a": "pcm_s16le"})
    return [*GLOBAL_OPTIONS, *node.get_args()]


def _encode(stream: Stream, spec: SoundSpec, output: str, gain: str | None) -> list[str]:
    stream = stream.filter("atrim", end_sample=spec.samples)
    if gain is not None:
        stream = _amplify(stream, gain).filter("atrim", end_sample=spec.samples)
    node = ffmpeg.output(
        stream, output, f="mp4", **{"c:a": "aac", "b:a": spec.bitrate}, ar=SAMPLE_RATE, ac=2,
        map_metadata=-1,
    )  # fmt: skip
    return [*GLOBAL_OPTIONS, *node.get_args()]


def _amplify(stream: Stream, gain: str) -> Stream:
    options = {**_PCM, "ar": GAINS_PER_S}
    factors = ffmpeg.input(gain, protocol_whitelist="file", **options).audio
    factors = factors.filter("aresample", SAMPLE_RATE).filter("apad")
    return ffmpeg.filter([stream, factors], "amultiply").filter(
        "alimiter", limit=_HIGHEST_SAMPLE, level=0, latency=1
    )


def _measure(stream: Stream, output: str) -> list[str]:
    stream = (
        stream.filter("aresample", _MEASURED_RATE)
        .filter("ebur128", metadata=1, framelog=_DEBUG)
        .filter("ametadata", "print", key=LEVEL_KEY, file=output)
    )
    node = ffmpeg.output(stream, "-", f="null")
    return [*GLOBAL_OPTIONS, *node.get_args()]


def _join_runs(runs: Sequence[SoundSpec], files: Sequence[str]) -> Stream:
    streams = [ffmpeg.input(file, protocol_whitelist="file", **_PCM).audio for file in files]
    leads = [run.pieces[0].lead for run in runs]
    return _join(zip(streams, leads, strict=True))


def _join_pieces(spec: SoundSpec) -> Stream:
    return _join((_piece(piece, n), piece.lead) for n, piece in enumerate(spec.pieces, 1))


def _join(streams: Iterable[tuple[Stream, int]]) -> Stream:
    """Join sounds, each with its overlap with the one before; that of the first is kept."""
    joined: Stream | None = None
    run: list[Stream] = []
    for stream, lead in streams:
        if lead and run:
            joined, run = _crossfade(joined, run), []
        run.append(stream)
    return _crossfade(joined, run)


def _crossfade(before: Stream | None, run: list[Stream]) -> Stream:
    stream = run[0] if len(run) == 1 else ffmpeg.concat(*run, v=0, a=1)
    if before is None:
        return stream
    samples = round(CROSSFADE.total_seconds() * SAMPLE_RATE)
    return ffmpeg.filter([before, stream], "acrossfade", ns=samples, c1="tri", c2="tri")


def _piece(piece: SoundPiece, number: int) -> Stream:
    samples = piece.samples + piece.lead
    if piece.input is None:
        source = ffmpeg.input(f"anullsrc=r={SAMPLE_RATE}:cl=stereo", f="lavfi").audio
        counted = source.filter("asetpts", f"N+0*{number}")
        return counted.filter("atrim", end_sample=samples).filter("aformat", "fltp")
    stream = ffmpeg.input(piece.input.file, **input_options(piece.input))[str(piece.input.stream)]
    stream = stream.filter("asetpts", f"PTS+0*{number}")  # as for pictures, a chain of its own
    declared = round(piece.sample_rate / piece.rate)
    if declared != piece.sample_rate:
        # A device whose clock is fast delivers more samples a second: reading them as of a higher
        # rate maps the drift out; what rounding leaves, the resampler follows by timestamps.
        stream = stream.filter("asetrate", declared)
    at = f"{piece.at_us}/1000000"
    seconds = (
        f"PTS*TB*{declared}/{piece.sample_rate}" if declared != piece.sample_rate else "PTS*TB"
    )
    rate = "" if piece.rate == 1 else f"*{piece.rate.numerator}/{piece.rate.denominator}"
    stream = (
        stream.filter("asetpts", f"({seconds}-({at})){rate}/TB")
        .filter(
            "aresample", SAMPLE_RATE, first_pts=0, min_hard_comp=0.03,
            # Follows timestamps by up to 1 %, which nobody hears. Without a resampler from the
            # start, swresample of FFmpeg 5.1 loses its place when it first has to follow.
            flags="res", **{"async": SAMPLE_RATE // 100},
        )
        .filter("aformat", sample_fmts="fltp", channel_layouts="stereo")
    )  # fmt: skip
    if piece.mono:
        # swresample gives each side 0.707 of a single channel; a microphone is to sound as loud
        # as it was recorded
        stream = stream.filter("volume", 1.41421356)
    return stream.filter("apad").filter("atrim", end_sample=samples).filter("asetpts", "N")
