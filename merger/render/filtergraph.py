"""ffmpeg commands for parts and sound, from specs: the only module that knows filter graphs.

Pure: specs in, argument lists out; golden-tested as text. Built with ffmpeg-python. No text ever
enters a graph, and file names are absolute paths behind `-i` or names of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import ffmpeg

from merger.timeline.layout import Size
from merger.timeline.media import MAX_PIXELS
from merger.timeline.parts import (
    CROSSFADE,
    Input,
    LaneSpec,
    PartSpec,
    Picture,
    Shot,
    SoundPiece,
    SoundSpec,
)
from merger.timeline.plan import SlateKey
from merger.timeline.profiles import SAMPLE_RATE

Stream = Any  # ffmpeg-python has no types
SlateNames = Mapping[tuple[SlateKey, Size], str]

# -copyts keeps each file's own timestamps, which are what the wall clock is computed from.
GLOBAL_OPTIONS = ("-hide_banner", "-nostdin", "-y", "-copyts")
_GPU_OPTIONS = ("-init_hw_device", "cuda=gpu", "-filter_hw_device", "gpu")
_VAAPI_OPTIONS = ("-init_hw_device", "vaapi=gpu", "-filter_hw_device", "gpu")
# Bare samples: no header that could say another number of them, or has no room for so many.
_PCM: Mapping[str, Any] = {"f": "f32le", "ar": SAMPLE_RATE, "ac": 2}


def part_command(
    spec: PartSpec,
    outputs: Mapping[str, str],
    slates: SlateNames,
    threads: int | None = None,
) -> list[str]:
    """Return the arguments (without the program) that encode one part.

    outputs: file names by kind of rendition; slates: names of PNG files, relative to the folder
    in which the command runs; threads: of each filter graph and encoder, None for ffmpeg's choice.
    """
    builder = _OnGpu(spec, slates) if spec.encoder.hardware == "cuda" else _Builder(spec, slates)
    streams = builder.renditions()
    limited = {"threads": threads} if threads else {}
    nodes = [
        ffmpeg.output(stream, outputs[kind], **_video_options(spec), **limited)
        for kind, stream in streams.items()
    ]
    graph = ffmpeg.merge_outputs(*nodes) if len(nodes) > 1 else nodes[0]
    device = {"cuda": _GPU_OPTIONS, "vaapi": _VAAPI_OPTIONS, None: ()}[spec.encoder.hardware]
    few = ("-filter_complex_threads", str(threads)) if threads else ()
    return [*GLOBAL_OPTIONS, *few, *device, *graph.get_args()]


def _video_options(spec: PartSpec) -> dict[str, Any]:
    rate = spec.rate
    return {
        "f": "mp4",
        "c:v": spec.encoder.name,
        **dict(spec.encoder.options),
        "r": str(rate),
        # Every frame is made by the graph; here none is dropped and none repeated.
        "fps_mode": "cfr",
        "video_track_timescale": rate.numerator * 512,
        "map_metadata": -1,
    }


class _Builder:
    """Builds the graph of one part in system memory."""

    def __init__(self, spec: PartSpec, slates: SlateNames) -> None:
        self.spec = spec
        self.slates = slates
        self.shots = 0

    def renditions(self) -> dict[str, Stream]:
        composed: list[Stream] = []
        alone: list[Stream] = []
        for n, row in enumerate(self.spec.runs):
            backup = self.spec.backup[n] if self.spec.backup else None
            lanes = []
            for lane in row:
                stream = self.lane(lane)
                if lane == backup:  # seen twice: decoded and scaled once
                    twice = stream.filter_multi_output("split", 2)
                    stream, backup = twice[0], None
                    alone.append(twice[1])
                lanes.append(stream)
            composed.append(self.row(lanes, row))
            if backup is not None:
                alone.append(self.lane(backup))
        streams = {"merge": composed} | ({"backup": alone} if self.spec.backup else {})
        return {kind: self.finished(self.joined(runs)) for kind, runs in streams.items()}

    def lane(self, lane: LaneSpec) -> Stream:
        return self.joined([self.shot(shot, lane.box) for shot in lane.shots])

    def joined(self, streams: list[Stream]) -> Stream:
        if len(streams) == 1:
            return streams[0]
        # Each stream has exactly its frames; counting them anew makes the timestamps exact, which
        # concat can only guess for a stream of a single frame.
        return self.counted(ffmpeg.concat(*streams, v=1, a=0))

    def row(self, lanes: list[Stream], row: tuple[LaneSpec, ...]) -> Stream:
        if len(lanes) == 1:
            return lanes[0]
        # A lane that is short makes the part short, which is noticed; held frames would not be.
        return ffmpeg.filter(lanes, "hstack", inputs=len(lanes), shortest=1)

    def shot(self, shot: Shot, box: Size) -> Stream:
        """Return exactly `shot.frames` frames of the size of the box, on the output grid."""
        self.shots += 1
        if shot.input is None or shot.picture is None:
            assert shot.slate is not None
            source = ffmpeg.input(self.slates[shot.slate, box], f="png_pipe").video
            return self.held(self.slate(_microseconds(source, self.shots)), shot)
        options = _input_options(shot.input) | {"reinit_filter": 0} | self.decoding(shot.picture)
        stream = ffmpeg.input(shot.input.file, **options)[str(shot.input.stream)]
        offset = f"PTS-{shot.at_us}" if shot.at_us >= 0 else f"PTS+{-shot.at_us}"
        expression = (
            offset
            if shot.rate == 1
            else f"({offset})*{shot.rate.numerator}/{shot.rate.denominator}"
        )
        stream = _microseconds(stream, self.shots).filter("setpts", expression)
        # Whatever comes more often is thinned out before it is scaled, whatever comes more seldom
        # is repeated afterwards.
        dense = shot.picture.frame_us * self.spec.rate < 1_000_000
        if dense:
            stream = self.on_grid(stream)
        stream = self.scaled(stream, shot, box)
        return self.held(stream, shot, on_grid=dense)

    def decoding(self, picture: Picture) -> dict[str, Any]:
        """Return the options of an input that say where it is decoded."""
        return {}

    def on_grid(self, stream: Stream) -> Stream:
        # The picture before the first frame's instant fills it: start_time keeps the last one.
        # The last picture of a file is shown, too, even where its end rounds to its beginning.
        return stream.filter(
            "fps", fps=str(self.spec.rate), start_time=0, round="near", eof_action="pass"
        )

    def held(self, stream: Stream, shot: Shot, *, on_grid: bool = False) -> Stream:
        stream = stream if on_grid else self.on_grid(stream)
        stream = stream.filter("tpad", stop=-1, stop_mode="clone").filter(
            "trim", end_frame=shot.frames
        )
        return self.counted(stream)

    def counted(self, stream: Stream) -> Stream:
        return stream.filter("settb", str(1 / self.spec.rate)).filter("setpts", "N")

    def slate(self, stream: Stream) -> Stream:
        return (
            stream.filter("scale", out_color_matrix="bt709", out_range="tv")
            .filter("format", "yuv420p")
            .filter("setsar", "1")
        )

    def scaled(self, stream: Stream, shot: Shot, box: Size) -> Stream:
        picture = shot.picture
        assert picture is not None
        if picture.interlaced:
            # bwdif cannot follow a size that changes in mid-file; scale can
            stored = picture.stored
            stream = stream.filter("scale", stored.width, stored.height, interl=1)
            stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
        stream = stream.filter(
            "scale", picture.size.width, picture.size.height,
            in_color_matrix=picture.matrix, in_range="pc" if picture.full_range else "tv",
            out_color_matrix="bt709", out_range="tv",
        ).filter("format", "yuv420p").filter("setsar", "1")  # fmt: skip
        if picture.size != box:
            stream = stream.filter("pad", box.width, box.height, *_centred(picture.size, box))
        return stream

    def finished(self, stream: Stream) -> Stream:
        stream = stream.filter(
            "setparams", range="tv", color_primaries="bt709", color_trc="bt709", colorspace="bt709"
        )
        if self.spec.encoder.hardware == "vaapi":
            return stream.filter("format", "nv12").filter("hwupload")
        return stream.filter("format", "yuv420p")


class _OnGpu(_Builder):
    """Builds the graph of one part so that pictures stay in GPU memory from decoder to encoder.

    What the GPU cannot decode, or cannot bring to BT.709 in limited range, is prepared in system
    memory and uploaded.
    """

    def decoding(self, picture: Picture) -> dict[str, Any]:
        if not picture.suits_gpu:
            return {}
        return {"hwaccel": "cuda", "hwaccel_device": "gpu", "hwaccel_output_format": "cuda"}

    def slate(self, stream: Stream) -> Stream:
        return super().slate(stream).filter("hwupload_cuda")

    def scaled(self, stream: Stream, shot: Shot, box: Size) -> Stream:
        picture = shot.picture
        assert picture is not None
        if not picture.suits_gpu:
            return super().scaled(stream, shot, box).filter("hwupload_cuda")
        if picture.interlaced:
            stream = stream.filter("bwdif_cuda", mode="send_frame", deint="interlaced")
        stream = stream.filter(
            "scale_cuda", picture.size.width, picture.size.height, format="yuv420p"
        ).filter("setsar", "1")
        if picture.size != box:
            stream = stream.filter("pad_cuda", box.width, box.height, *_centred(picture.size, box))
        return stream

    def row(self, lanes: list[Stream], row: tuple[LaneSpec, ...]) -> Stream:
        stream, left = lanes[0], row[0].box.width
        if len(lanes) > 1:
            stream = stream.filter("pad_cuda", self.spec.size.width, self.spec.size.height, 0, 0)
        for lane, spec in zip(lanes[1:], row[1:], strict=True):
            stream = ffmpeg.filter([stream, lane], "overlay_cuda", x=left, y=0)
            left += spec.box.width
        return stream

    def finished(self, stream: Stream) -> Stream:
        return stream.filter(
            "setparams", range="tv", color_primaries="bt709", color_trc="bt709", colorspace="bt709"
        )


def _microseconds(stream: Stream, number: int) -> Stream:
    # ffmpeg-python takes two filters for one where input and arguments are equal (it does not even
    # look at their names); adding zero times its number keeps each shot a chain of its own.
    return stream.filter("settb", f"AVTB+0*{number}")


def _centred(inner: Size, outer: Size) -> tuple[int, int]:
    """Return the even offsets that centre one size in another (4:2:0 needs even ones)."""
    return (outer.width - inner.width) // 4 * 2, (outer.height - inner.height) // 4 * 2


def _input_options(source: Input) -> dict[str, Any]:
    options: dict[str, Any] = {
        "f": source.demuxer,
        "protocol_whitelist": "file",
        "max_pixels": MAX_PIXELS,
        "noaccurate_seek": None,  # the graph trims by the file's own timestamps
    }
    if source.seek_us is not None:
        options |= {"seek_timestamp": 1, "ss": f"{source.seek_us}us"}
    return options


def sound_command(spec: SoundSpec, output: str) -> list[str]:
    """Return the arguments (without the program) that encode the sound of a record."""
    return _encoded_sound(_pieces_joined(spec), spec, output)


def sound_run_command(run: SoundSpec, output: str) -> list[str]:
    """Return the arguments that write a run of sound as bare samples, exactly as many as it has."""
    stream = _pieces_joined(run).filter("atrim", end_sample=run.samples)
    node = ffmpeg.output(stream, output, **_PCM, **{"c:a": "pcm_f32le"})
    return [*GLOBAL_OPTIONS, *node.get_args()]


def sound_of_runs_command(
    spec: SoundSpec, runs: Sequence[SoundSpec], files: Sequence[str], output: str
) -> list[str]:
    """Return the arguments that encode the sound of a record from its runs.

    files: of the runs, in order, as sound_run_command writes them. The sound is to the sample what
    sound_command would make.
    """
    streams = [ffmpeg.input(file, protocol_whitelist="file", **_PCM).audio for file in files]
    leads = [run.pieces[0].lead for run in runs]
    return _encoded_sound(_joined(zip(streams, leads, strict=True)), spec, output)


def _encoded_sound(stream: Stream, spec: SoundSpec, output: str) -> list[str]:
    stream = stream.filter("atrim", end_sample=spec.samples)
    node = ffmpeg.output(
        stream, output, f="mp4", **{"c:a": "aac", "b:a": spec.bitrate}, ar=SAMPLE_RATE, ac=2,
        map_metadata=-1,
    )  # fmt: skip
    return [*GLOBAL_OPTIONS, *node.get_args()]


def _pieces_joined(spec: SoundSpec) -> Stream:
    return _joined((_sound_piece(piece, n), piece.lead) for n, piece in enumerate(spec.pieces, 1))


def _joined(streams: Iterable[tuple[Stream, int]]) -> Stream:
    """Join sounds, each with its overlap with the one before; that of the first is kept."""
    joined: Stream | None = None
    run: list[Stream] = []
    for stream, lead in streams:
        if lead and run:
            joined, run = _crossfaded(joined, run), []
        run.append(stream)
    return _crossfaded(joined, run)


def _crossfaded(before: Stream | None, run: list[Stream]) -> Stream:
    stream = run[0] if len(run) == 1 else ffmpeg.concat(*run, v=0, a=1)
    if before is None:
        return stream
    samples = round(CROSSFADE.total_seconds() * SAMPLE_RATE)
    return ffmpeg.filter([before, stream], "acrossfade", ns=samples, c1="tri", c2="tri")


def _sound_piece(piece: SoundPiece, number: int) -> Stream:
    samples = piece.samples + piece.lead
    if piece.input is None:
        source = ffmpeg.input(f"anullsrc=r={SAMPLE_RATE}:cl=stereo", f="lavfi").audio
        counted = source.filter("asetpts", f"N+0*{number}")
        return counted.filter("atrim", end_sample=samples).filter("aformat", "fltp")
    stream = ffmpeg.input(piece.input.file, **_input_options(piece.input))[str(piece.input.stream)]
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


def uniform_sound_command(source: Input, output: str) -> list[str]:
    """Return the arguments that copy a file's sound in one sample rate and layout, in file time.

    For a file whose sound changes its parameters in the middle: there ffmpeg begins a graph anew,
    and a graph of many pieces would lose its place for good; this one has no place to lose.
    """
    stream = ffmpeg.input(source.file, **_input_options(source))[str(source.stream)]
    stream = (
        stream.filter("atrim", start=0)  # Matroska has no negative time
        .filter("aresample", SAMPLE_RATE)
        .filter("aformat", sample_fmts="s16", channel_layouts="stereo")
    )
    node = ffmpeg.output(stream, output, f="matroska", **{"c:a": "pcm_s16le"})
    return [*GLOBAL_OPTIONS, *node.get_args()]


def join_command(listing: str, sound: str, output: str, index: tuple[str, str]) -> list[str]:
    """Return the arguments that join parts and sound by stream copy.

    listing, sound: names in the folder in which the command runs; the listing holds relative names
    only, which `-safe 1` enforces. index: the option that puts the MP4's index in front.
    """
    return [
        "-hide_banner", "-nostdin", "-y",
        "-protocol_whitelist", "file", "-f", "concat", "-safe", "1", "-i", listing,
        "-protocol_whitelist", "file", "-f", "mov", "-i", sound,
        "-map", "0:v", "-map", "1:a", "-c", "copy", "-map_metadata", "-1",
        *index, "-f", "mp4", output,
    ]  # fmt: skip


def inputs(arguments: Sequence[str]) -> list[tuple[str, int | None]]:
    """Return the files that a command reads, in order, each with its seek time in microseconds."""
    found: list[tuple[str, int | None]] = []
    seek: int | None = None
    for option, value in pairwise(arguments):
        if option == "-ss":
            seek = int(value.removesuffix("us"))
        elif option == "-i":
            found.append((value, seek))
            seek = None
    return found
