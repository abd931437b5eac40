"""The commands that encode parts, from their specs: what their filter graphs look like.

Pure: specs in, argument lists out; golden-tested as text. Built with ffmpeg-python. No text ever
enters a graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import ffmpeg

from merger.render.arguments import GLOBAL_OPTIONS, input_options
from merger.timeline.layout import Size
from merger.timeline.plan import SlateKey
from merger.timeline.specs import LaneSpec, PartSpec, Picture, Place, Shot

Stream = Any  # ffmpeg-python has no types
SlateNames = Mapping[tuple[SlateKey, Size], str]

_GPU_OPTIONS = ("-init_hw_device", "cuda=gpu", "-filter_hw_device", "gpu")
_VAAPI_OPTIONS = ("-init_hw_device", "vaapi=gpu", "-filter_hw_device", "gpu")
_BORDER = "0xE6E6E6"  # seen on dark slides, and no glare on white ones


def part_command(
    spec: PartSpec,
    outputs: Mapping[str, str],
    slates: SlateNames,
    threads: int | None = None,
) -> list[str]:
    """Return the arguments (without the program) that encode one part.

    Args:
        outputs: file names by kind of rendition.
        slates: names of PNG files, relative to the folder in which the command runs.
        threads: of each filter graph and encoder; None for ffmpeg's choice.
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
        # Every frame comes out of the graph; here none is dropped and none repeated.
        "fps_mode": "cfr",
        "video_track_timescale": rate.numerator * 512,
        "map_metadata": -1,
    }


# What makes pictures upright that lie so many degrees clockwise.
_TURNS: Mapping[int, tuple[tuple[str, ...], ...]] = {
    0: (),
    90: (("transpose", "cclock"),),
    180: (("hflip",), ("vflip",)),
    270: (("transpose", "clock"),),
}


class _Builder:
    """Builds the graph of one part in system memory."""

    pad_filter, overlay_filter = "pad", "overlay"

    def __init__(self, spec: PartSpec, slates: SlateNames) -> None:
        self.spec = spec
        self.slates = slates
        self.shots = 0

    def renditions(self) -> dict[str, Stream]:
        """Return the stream of each rendition, by its kind."""
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
            composed.append(self.compose(lanes, row))
            if backup is not None:
                alone.append(self.lane(backup))
        streams = {"merge": composed} | ({"backup": alone} if self.spec.backup else {})
        return {kind: self.finish(self.join(runs)) for kind, runs in streams.items()}

    def lane(self, lane: LaneSpec) -> Stream:
        stream = self.join([self.shot(shot, lane.box) for shot in lane.shots])
        if lane.above is None or lane.above.place is None:
            return stream
        return self.lay_over(stream, self.lane(lane.above), lane.above.box, lane.above.place)

    def join(self, streams: list[Stream]) -> Stream:
        if len(streams) == 1:
            return streams[0]
        # Each stream has exactly its frames; counting them anew makes the timestamps exact, which
        # concat can only guess for a stream of a single frame.
        return self.count_frames(ffmpeg.concat(*streams, v=1, a=0))

    def compose(self, lanes: list[Stream], run: tuple[LaneSpec, ...]) -> Stream:
        """Return lanes on the canvas: side by side, and above those what has its own place."""
        beside = [n for n, lane in enumerate(run) if lane.place is None]
        stream = self.row([lanes[n] for n in beside], tuple(run[n] for n in beside))
        for lane, spec in zip(lanes, run, strict=True):
            if spec.place is not None:
                stream = self.lay_over(stream, lane, spec.box, spec.place)
        return stream

    def lay_over(self, stream: Stream, lane: Stream, box: Size, place: Place) -> Stream:
        """Return pictures with those of a lane above them, in a border."""
        framed = lane.filter(self.pad_filter, *_frame(box, place.border), color=_BORDER)
        # As in a row: a lane that is short makes the part short.
        return ffmpeg.filter(
            [stream, framed], self.overlay_filter, x=place.x, y=place.y, eval="init", shortest=1
        )

    def row(self, lanes: list[Stream], row: tuple[LaneSpec, ...]) -> Stream:
        """Return lanes side by side."""
        if len(lanes) == 1:
            return lanes[0]
        # A lane that is short makes the part short, which is noticed; repeated frames would not be.
        return ffmpeg.filter(lanes, "hstack", inputs=len(lanes), shortest=1)

    def shot(self, shot: Shot, box: Size) -> Stream:
        """Return exactly `shot.frames` frames of the size of the box, on the output grid."""
        self.shots += 1
        if shot.input is None or shot.picture is None:
            assert shot.slate is not None
            source = ffmpeg.input(self.slates[shot.slate, box], f="png_pipe").video
            return self.fill(self.slate(_in_microseconds(source, self.shots)), shot)
        options = input_options(shot.input) | {"reinit_filter": 0} | self.decoding(shot.picture)
        if shot.picture.rotation:  # by filters that cannot follow a size that changes
            options["noautorotate"] = None
        stream = ffmpeg.input(shot.input.file, **options)[str(shot.input.stream)]
        offset = f"PTS-{shot.at_us}" if shot.at_us >= 0 else f"PTS+{-shot.at_us}"
        expression = (
            offset
            if shot.rate == 1
            else f"({offset})*{shot.rate.numerator}/{shot.rate.denominator}"
        )
        stream = _in_microseconds(stream, self.shots).filter("setpts", expression)
        # Whatever comes more often is thinned out before it is scaled, whatever comes more seldom
        # is repeated afterwards.
        is_dense = shot.picture.frame_us * self.spec.rate < 1_000_000
        if is_dense:
            stream = self.put_on_grid(stream)
        stream = self.scale(stream, shot.picture, box)
        return self.fill(stream, shot, is_on_grid=is_dense)

    def decoding(self, picture: Picture) -> dict[str, Any]:
        """Return the options of an input that say where it is decoded."""
        return {}

    def put_on_grid(self, stream: Stream) -> Stream:
        # The picture before the first frame's instant fills it: start_time keeps the last one.
        # The last picture of a file is shown, too, even where its end rounds to its beginning.
        return stream.filter(
            "fps", fps=str(self.spec.rate), start_time=0, round="near", eof_action="pass"
        )

    def fill(self, stream: Stream, shot: Shot, *, is_on_grid: bool = False) -> Stream:
        """Return a stream as long as a shot: its last picture stands until the end."""
        stream = stream if is_on_grid else self.put_on_grid(stream)
        stream = stream.filter("tpad", stop=-1, stop_mode="clone").filter(
            "trim", end_frame=shot.frames
        )
        return self.count_frames(stream)

    def count_frames(self, stream: Stream) -> Stream:
        """Return a stream whose timestamps are the numbers of its frames."""
        return stream.filter("settb", str(1 / self.spec.rate)).filter("setpts", "N")

    def slate(self, stream: Stream) -> Stream:
        return (
            stream.filter("scale", out_color_matrix="bt709", out_range="tv")
            .filter("format", "yuv420p")
            .filter("setsar", "1")
        )

    def scale(self, stream: Stream, picture: Picture, box: Size) -> Stream:
        """Return pictures in the colours of the result, upright, centred in a box.

        Their shape may change in mid-file, which only `scale` and `pad` can follow.
        """
        size, stored = picture.size, picture.stored
        if picture.rotation % 180:
            box, size, stored = _turned(box), _turned(size), _turned(stored)
        width, height = _fit_expressions(box, picture.pixel_aspect)
        if picture.interlaced:
            lines = _fit_expressions(stored)
            stream = stream.filter("scale", *lines, eval="frame", interl=1)
            stream = _pad(stream, stored, grid=4)  # the colours of two fields take four lines
            stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
            width, height = str(size.width), str(size.height)
        source = {"in_color_matrix": picture.matrix, "in_range": _range(picture)}
        result = {"out_color_matrix": "bt709", "out_range": "tv"}
        if picture.colours is None:
            stream = stream.filter("scale", width, height, eval="frame", **source, **result)
            stream = _pad(stream.filter("format", "yuv420p").filter("setsar", "1"), box)
        else:
            stream = stream.filter("scale", width, height, eval="frame", **source)
            stream = _pad(stream.filter("format", "gbrp10le").filter("setsar", "1"), box)
            stream = stream.filter("lut3d", file=f"{picture.colours.name}.cube")
            stream = stream.filter("setparams", color_primaries="bt709", color_trc="bt709")
            stream = stream.filter("scale", **result).filter("format", "yuv420p")
        for turn in _TURNS[picture.rotation]:
            stream = stream.filter(*turn)
        return stream

    def finish(self, stream: Stream) -> Stream:
        """Return a rendition as the encoder takes it."""
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

    pad_filter, overlay_filter = "pad_cuda", "overlay_cuda"

    def decoding(self, picture: Picture) -> dict[str, Any]:
        if not picture.suits_gpu:
            return {}
        return {"hwaccel": "cuda", "hwaccel_device": "gpu", "hwaccel_output_format": "cuda"}

    def slate(self, stream: Stream) -> Stream:
        return super().slate(stream).filter("hwupload_cuda")

    def scale(self, stream: Stream, picture: Picture, box: Size) -> Stream:
        if not picture.suits_gpu:
            return super().scale(stream, picture, box).filter("hwupload_cuda")
        if picture.interlaced:
            stream = stream.filter("bwdif_cuda", mode="send_frame", deint="interlaced")
        stream = stream.filter(
            "scale_cuda", picture.size.width, picture.size.height, format="yuv420p"
        ).filter("setsar", "1")
        if picture.size != box:
            stream = stream.filter("pad_cuda", box.width, box.height, *_centre(picture.size, box))
        return stream

    def row(self, lanes: list[Stream], row: tuple[LaneSpec, ...]) -> Stream:
        stream, left = lanes[0], row[0].box.width
        if len(lanes) > 1:
            stream = stream.filter("pad_cuda", self.spec.size.width, self.spec.size.height, 0, 0)
        for lane, spec in zip(lanes[1:], row[1:], strict=True):
            stream = ffmpeg.filter([stream, lane], "overlay_cuda", x=left, y=0)
            left += spec.box.width
        return stream

    def finish(self, stream: Stream) -> Stream:
        return stream.filter(
            "setparams", range="tv", color_primaries="bt709", color_trc="bt709", colorspace="bt709"
        )


def _in_microseconds(stream: Stream, number: int) -> Stream:
    # ffmpeg-python takes two filters for one where input and arguments are equal (it does not even
    # look at their names); adding zero times its number keeps each shot a chain of its own.
    return stream.filter("settb", f"AVTB+0*{number}")


def _range(picture: Picture) -> str:
    return "pc" if picture.full_range else "tv"


def _turned(size: Size) -> Size:
    return Size(size.height, size.width)


def _fit_expressions(box: Size, pixel_aspect: Fraction | int = 1) -> tuple[str, str]:
    """Return the width and height to which `scale` brings pictures of any size: see `fit_into`.

    Args:
        pixel_aspect: of the pictures. What ffmpeg calls `sar` is, by its version, that of the
            picture or that of the file's first one.
    """
    aspect = "iw/ih" if pixel_aspect == 1 else f"iw/ih*{pixel_aspect}"
    return (
        f"max(2,2*round(min({box.width},{box.height}*{aspect})/2))",
        f"max(2,2*round(min({box.height},{box.width}/({aspect}))/2))",
    )


def _pad(stream: Stream, box: Size, grid: int = 2) -> Stream:
    """Return pictures of any size centred in a box, as `_centre` does."""
    x, y = (f"floor((o{side}-i{side})/{2 * grid})*{grid}" for side in "wh")
    return stream.filter("pad", box.width, box.height, x, y, eval="frame")


def _frame(box: Size, border: int) -> tuple[int, int, int, int]:
    """Return what `pad` needs for a border around pictures of a size."""
    return box.width + 2 * border, box.height + 2 * border, border, border


def _centre(inner: Size, outer: Size) -> tuple[int, int]:
    """Return the even offsets that centre one size in another (4:2:0 needs even ones)."""
    return (outer.width - inner.width) // 4 * 2, (outer.height - inner.height) // 4 * 2
