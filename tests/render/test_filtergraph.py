"""The ffmpeg commands as text: every argument is in golden/*.txt, one a line.

After a wanted change, `UPDATE_GOLDEN=1 pytest tests/render/test_filtergraph.py` writes them anew: read the
difference before you commit it.
"""

import dataclasses
import os
import re
from collections.abc import Callable
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merger.render.arguments import join_command
from merger.render.ffmpeg import input_files
from merger.render.filtergraph import _fit_expressions, part_command
from merger.render.soundgraph import sound_command, sound_of_runs_command, sound_run_command
from merger.timeline.layout import Size, fit_into
from merger.timeline.media import Colours
from merger.timeline.plan import SlateKey
from merger.timeline.profiles import ENCODERS
from merger.timeline.specs import (
    MOST_PIECES,
    Input,
    LaneSpec,
    PartSpec,
    Picture,
    Place,
    Shot,
    SoundPiece,
    SoundSpec,
    sound_runs,
)

pytestmark = pytest.mark.quick

GOLDEN = Path(__file__).parent / "golden"
WIDE, DOUBLE = Size(1280, 720), Size(2560, 720)
OUTPUTS = {"merge": "part.merge.mp4", "backup": "part.backup.mp4"}
DRIFT = Fraction(100_003, 100_000)
KEYS: tuple[SlateKey, ...] = ("no_speaker", "no_screen", "no_board", "nothing")
SLATES = {
    (key, size): f"{key}-{size.width}x{size.height}.png"
    for key in KEYS
    for size in (WIDE, DOUBLE, Size(320, 720), Size(960, 720))
}


def shot(name: str, frames: int = 3000, size: Size = WIDE, **changes: Any) -> Shot:
    """Return a shot of a 25 fps file; changes are of the shot, its input or its picture."""

    def of(kind: type, **values: Any) -> Any:
        known = {k: changes[k] for k in kind.__dataclass_fields__ if k in changes}
        return kind(**values | known)

    source = of(
        Input,
        file=f"/library/{name}.mp4",
        identity=name,
        demuxer="mov",
        stream=0,
        seek_us=59_920_000,
    )
    picture = of(
        Picture,
        size=size,
        full_range=False,
        matrix="bt709",
        interlaced=False,
        frame_us=40_000,
        stored=WIDE,
        suits_gpu=True,
    )
    return of(Shot, frames=frames, input=source, picture=picture, at_us=60_000_000, pictures=frames)


def lane(*shots: Shot, box: Size = WIDE) -> LaneSpec:
    return LaneSpec(box, shots)


def part(
    *runs: tuple[LaneSpec, ...],
    backup: tuple[LaneSpec, ...] | None = None,
    size: Size = DOUBLE,
    encoder: str = "libx264",
) -> PartSpec:
    frames = sum(s.frames for run in runs for s in run[0].shots)
    return PartSpec(frames, Fraction(25), size, runs, backup, ENCODERS[encoder], "en")


SPEAKER, SCREEN = lane(shot("speaker")), lane(shot("screen"))
NO_SCREEN = Shot(1000, slate="no_screen")
HOLED = lane(shot("screen", 2000), NO_SCREEN)
ALONE = lane(shot("speaker"), box=DOUBLE)
OLD = Size(960, 720)

# The speaker above the screen: at 720 lines, in the bottom right corner.
INSET = LaneSpec(
    Size(292, 164), (shot("speaker", size=Size(292, 164)),), Place(x=970, y=538, border=2)
)

# The slide above the board: a third of its width, in the other corner.
BOARD = lane(shot("board"))
SMALL = LaneSpec(
    Size(420, 236), (shot("screen", size=Size(420, 236)),), Place(x=14, y=466, border=2)
)
BOTH = dataclasses.replace(BOARD, above=SMALL)

PARTS = {
    "side_by_side_with_backup": part((SPEAKER, SCREEN), backup=(SCREEN,)),
    "clip_and_slate": part((SPEAKER, HOLED), backup=(HOLED,)),
    "drift": part((lane(shot("speaker", rate=DRIFT, at_us=-40_000, seek_us=None)), SCREEN)),
    "rates_60_and_1": part(
        (lane(shot("speaker", frame_us=16_667)), lane(shot("screen", frame_us=1_000_000)))
    ),
    "padding_range_interlaced": part(
        (
            lane(shot("speaker", size=OLD, full_range=True, matrix="bt601")),
            lane(
                shot(
                    "screen",
                    size=Size(404, 720),
                    interlaced=True,
                    pixel_aspect=Fraction(64, 45),
                    demuxer="mpegts",
                    stream=2,
                )
            ),
        )
    ),
    "turned_and_hdr": part(
        (
            lane(
                shot(
                    "speaker",
                    size=Size(404, 720),
                    stored=Size(1080, 1920),
                    pixel_aspect=Fraction(64, 45),
                    rotation=90,
                )
            ),
            lane(
                shot("screen", matrix="bt2020", colours=Colours("hlg", "bt2020"), suits_gpu=False)
            ),
        )
    ),
    "speaker_alone": part((ALONE,), backup=(lane(Shot(3000, slate="nothing")),)),
    "two_layouts": part(
        (lane(shot("speaker", 1000)), lane(shot("screen", 1000))),
        (lane(shot("speaker", 2000, at_us=100_000_000), box=DOUBLE),),
        backup=(lane(shot("screen", 1000)), lane(Shot(2000, slate="nothing"))),
    ),
    "columns_of_a_share_with_backup": part(
        (
            lane(shot("speaker", size=Size(320, 180)), box=Size(320, 720)),
            lane(shot("screen", size=Size(960, 540)), box=OLD),
        ),
        backup=(SCREEN,),
        size=WIDE,
    ),
    "inset_with_backup": part((SCREEN, INSET), (SCREEN,), backup=(SCREEN, SCREEN), size=WIDE),
    "both_with_backup": part((SPEAKER, BOTH), (SPEAKER, SCREEN), backup=(BOTH, SCREEN)),
    "both_and_inset": part((BOTH, INSET), size=WIDE),
    "nvenc_both": part((SPEAKER, BOTH), encoder="h264_nvenc"),
    "nvenc_inset": part((SCREEN, INSET), backup=(SCREEN,), size=WIDE, encoder="h264_nvenc"),
    "vaapi_inset": part((SCREEN, INSET), size=WIDE, encoder="h264_vaapi"),
    "nvenc": part((lane(shot("speaker", size=OLD)), HOLED), backup=(HOLED,), encoder="h264_nvenc"),
    # what the GPU would show in other colours is prepared in system memory
    "nvenc_mixed": part(
        (
            lane(shot("speaker", full_range=True, matrix="bt601", suits_gpu=False)),
            lane(shot("screen")),
        ),
        encoder="h264_nvenc",
    ),
    "nvenc_alone": part((ALONE,), encoder="h264_nvenc"),
    "vaapi": part((SPEAKER, SCREEN), backup=(SCREEN,), encoder="h264_vaapi"),
    "svtav1": part((SPEAKER, SCREEN), encoder="libsvtav1"),
}


def heard(name: str, samples: int, **changes: Any) -> SoundPiece:
    source = Input(f"/library/{name}.mp4", name, "mov", 1, changes.pop("seek_us", 9_500_000))
    return SoundPiece(samples, source, **{"at_us": 10_000_000, "sample_rate": 48_000} | changes)


def sound(*pieces: SoundPiece) -> SoundSpec:
    return SoundSpec(sum(piece.samples for piece in pieces), pieces, "128k")


SOUNDS = {
    "sound_plain": sound(heard("speaker", 480_000)),
    "sound_crossfade_and_silence": sound(
        heard("audio", 480_000, sample_rate=44_100, seek_us=None, at_us=-23_000),
        heard("speaker", 240_000, lead=1920),
        heard("speaker2", 240_000),
        SoundPiece(96_000, lead=1920),
        heard("audio", 480_000, sample_rate=44_100, lead=1920),
    ),
    "sound_drift": sound(heard("speaker", 480_000, rate=DRIFT)),
}

COMMANDS: dict[str, Callable[[], list[str]]] = {
    **{
        name: lambda spec=spec: part_command(spec, OUTPUTS, SLATES)  # type: ignore[misc]
        for name, spec in PARTS.items()
    },
    **{name: lambda spec=spec: sound_command(spec, "sound.m4a") for name, spec in SOUNDS.items()},  # type: ignore[misc]
    "join": lambda: join_command(
        "merge.ffconcat", "a.m4a", "/out/w/m.mp4", ("-moov_size", "70000")
    ),
}


def as_text(arguments: list[str]) -> str:
    """Return one argument a line, with each filter of a graph on its own."""
    return "\n".join(arguments).replace(";", ";\n  ") + "\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_golden_command(name: str) -> None:
    path, text = GOLDEN / f"{name}.txt", as_text(COMMANDS[name]())
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_every_golden_file_has_its_command() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(COMMANDS)


def graph_of(name: str) -> str:
    arguments = COMMANDS[name]()
    return arguments[arguments.index("-filter_complex") + 1]


def test_what_comes_often_is_thinned_before_and_what_comes_seldom_repeated_after_scaling() -> None:
    often, seldom = graph_of("rates_60_and_1").split("[1:0]")
    assert often.index("fps=") < often.index("scale=")
    assert seldom.index("scale=") < seldom.index("fps=")


def evaluate(expression: str, width: int, height: int) -> int:
    """Return what ffmpeg makes of an expression for a picture; here without any rounding errors."""
    numbers = re.sub(r"(\d+)", r"Fraction(\1)", expression)
    known = {
        "Fraction": Fraction, "iw": Fraction(width), "ih": height, "min": min, "max": max,
        "round": lambda x: floor(x + Fraction(1, 2)),
    }  # fmt: skip
    return int(eval(numbers, known))


sides = st.integers(16, 4000)
pixel_aspects = st.fractions(Fraction(1, 8), 8, max_denominator=100)


@given(sides, sides, pixel_aspects, st.sampled_from([WIDE, OLD]))
def test_pictures_of_any_shape_are_brought_to_the_size_that_fits(
    width: int, height: int, pixel_aspect: Fraction, box: Size
) -> None:
    found = [evaluate(side, width, height) for side in _fit_expressions(box, pixel_aspect)]
    fitting = fit_into(Fraction(width, height) * pixel_aspect, box)
    # a half is rounded up by the one and to even by the other
    assert found == pytest.approx([fitting.width, fitting.height], abs=2)


def test_a_fitting_size_is_the_same_for_common_shapes() -> None:
    """What was encoded before goes together with what is encoded now."""
    for width, height in ((640, 480), (1280, 720), (1920, 1080), (1920, 1200)):
        found = [evaluate(side, width, height) for side in _fit_expressions(WIDE)]
        fitting = fit_into(Fraction(width, height), WIDE)
        assert found == [fitting.width, fitting.height]


def test_pictures_stay_on_the_gpu() -> None:
    for name in ("nvenc", "nvenc_alone", "nvenc_inset", "nvenc_both"):
        graph = graph_of(name)
        assert "hwdownload" not in graph
        assert "]scale=1280:720" not in graph
        assert "]pad=" not in graph
        assert "stack" not in graph
        assert "scale_cuda" in graph
        assert COMMANDS[name]().count("-hwaccel_output_format") == len(
            [file for file, _ in input_files(COMMANDS[name]()) if not file.endswith(".png")]
        )
    assert "overlay_cuda" in graph_of("nvenc")


def test_a_lane_lies_above_the_canvas_in_a_border() -> None:
    for name, pad, overlay in (
        ("inset_with_backup", "pad", "overlay"),
        ("vaapi_inset", "pad", "overlay"),
        ("nvenc_inset", "pad_cuda", "overlay_cuda"),
    ):
        graph = graph_of(name)
        assert f"]{pad}=296:168:2:2:color=0xE6E6E6[" in graph
        assert f"]{overlay}=eval=init:shortest=1:x=970:y=538[" in graph
        assert "stack" not in graph
    # what is seen in the backup, too, is decoded once
    assert graph_of("inset_with_backup").count("split=2") == 2


def test_a_slide_lies_above_the_board_in_every_rendition() -> None:
    graph = graph_of("both_with_backup")
    assert graph.count("]overlay=eval=init:shortest=1:x=14:y=466[") == 1  # both see the same one
    assert "]pad=424:240:2:2:color=0xE6E6E6[" in graph and graph.count("split=2") == 2
    assert "overlay_cuda=eval=init:shortest=1:x=14:y=466[" in graph_of("nvenc_both")
    assert graph_of("both_and_inset").count("]overlay=") == 2


HOSTILE = "/library/a';[0]drawtext=text=%{n}; -i x\n\"$(id)`.mp4"


@pytest.mark.parametrize("name", [*PARTS, *SOUNDS])
def test_nothing_but_files_stands_behind_i(name: str) -> None:
    arguments = COMMANDS[name]()
    own = {*SLATES.values(), "anullsrc=r=48000:cl=stereo"}
    files = [file for file, _ in input_files(arguments)]
    assert files
    assert all(file in own or file.startswith("/library/") for file in files)
    rest = [a for n, a in enumerate(arguments) if n == 0 or arguments[n - 1] != "-i"]
    assert not any("library" in a or ".mp4" in a for a in rest if a not in OUTPUTS.values())
    # Each input is opened with a demuxer that we name.
    assert arguments.count("-i") == len(files)
    for n in (n for n, a in enumerate(arguments) if a == "-i"):
        before = arguments[:n]
        begun = max((m + 2 for m, a in enumerate(before) if a == "-i"), default=0)
        assert "-f" in before[begun:]


def test_a_hostile_file_name_is_one_argument_and_no_more() -> None:
    spec = part((lane(shot("a", file=HOSTILE)), SCREEN))
    plain = part((lane(shot("a", file="/library/b.mp4")), SCREEN))
    arguments = part_command(spec, OUTPUTS, SLATES)
    assert arguments.count(HOSTILE) == 1
    expected = part_command(plain, OUTPUTS, SLATES)
    assert [a.replace(HOSTILE, "/library/b.mp4") for a in arguments] == expected


def test_inputs_reads_back_what_a_command_opens() -> None:
    spec = part(
        (lane(shot("a", 1000, seek_us=None), shot("b", 1000, seek_us=-7), NO_SCREEN), SCREEN)
    )
    assert sorted(input_files(part_command(spec, OUTPUTS, SLATES)), key=str) == sorted(
        [
            ("/library/a.mp4", None),
            ("/library/b.mp4", -7),
            ("no_screen-1280x720.png", None),
            ("/library/screen.mp4", 59_920_000),
        ],
        key=str,
    )


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_file_and_a_slate_may_be_shown_again_and_again(encoder: str) -> None:
    again = shot("screen", 1000, at_us=61_000_000)
    once_more = lane(shot("screen", 1000), NO_SCREEN, again, NO_SCREEN, again)
    speaker = lane(shot("speaker", 5000))
    spec = part(
        (speaker, once_more), (once_more, speaker), backup=(once_more,) * 2, encoder=encoder
    )
    files = [file for file, _ in input_files(part_command(spec, OUTPUTS, SLATES))]
    assert set(files) == {"/library/screen.mp4", "/library/speaker.mp4", "no_screen-1280x720.png"}


def test_one_source_may_be_on_both_sides() -> None:
    command = part_command(part((SCREEN, SCREEN), backup=(SCREEN,)), OUTPUTS, SLATES)
    assert {file for file, _ in input_files(command)} == {"/library/screen.mp4"}


def test_a_sound_may_be_heard_again_and_again() -> None:
    silence, drifting = SoundPiece(48_000, lead=1920), {"rate": Fraction(101, 100), "lead": 1920}
    again = heard("speaker", 48_000, seek_us=None, at_us=300_000, **drifting)
    command = sound_command(sound(SoundPiece(48_000), again, silence, again, silence), "a.m4a")
    graph = command[command.index("-filter_complex") + 1]
    assert graph.count("acrossfade=") == 4


LONGEST_ARGUMENT = 128 * 1024  # of Linux


def many_pieces(count: int, every: int = 3) -> SoundSpec:
    """Return a sound of many files, of which each so-manieth is of another source."""
    return sound(
        *(
            heard(
                f"{n:05}", 480_000, rate=DRIFT, mono=True, sample_rate=44_100,
                lead=1920 if n and n % every == 0 else 0,
            )
            for n in range(count)
        )
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, MOST_PIECES])
def test_few_pieces_are_one_run_and_it_is_the_sound(count: int) -> None:
    spec = many_pieces(count)
    assert sound_runs(spec) == [spec]


@pytest.mark.parametrize("every", [50, 3])  # the runs begin with an overlap, or without
def test_many_pieces_are_several_runs(every: int) -> None:
    spec = many_pieces(2 * MOST_PIECES + 30, every)
    runs = sound_runs(spec)
    assert [len(run.pieces) for run in runs] == [MOST_PIECES, MOST_PIECES, 30]
    assert tuple(piece for run in runs for piece in run.pieces) == spec.pieces
    leads = [run.pieces[0].lead for run in runs]
    assert leads == ([0, 1920, 1920] if every == 50 else [0, 0, 0])
    assert sum(run.samples for run in runs) == spec.samples + sum(leads)
    files = [f"{n}.pcm" for n in range(3)]
    last = sound_of_runs_command(spec, runs, files, "sound.m4a")
    assert [file for file, _ in input_files(last)] == files
    graph = last[last.index("-filter_complex") + 1]
    assert (graph.count("acrossfade="), graph.count("concat=")) == (
        (2, 0) if any(leads) else (0, 1)
    )
    assert graph.endswith(f"atrim=end_sample={spec.samples}" + graph[graph.rindex("[") :])
    for run, file in zip(runs, files, strict=True):
        command = sound_run_command(run, file)
        assert f"atrim=end_sample={run.samples}" in command[command.index("-filter_complex") + 1]


def test_no_argument_is_longer_than_the_system_takes() -> None:
    spec = many_pieces(500)  # more than 75 minutes in files of ten seconds
    runs = sound_runs(spec)
    files = [f"{'0' * 40}.partial.m4a.{n}.pcm" for n in range(len(runs))]
    commands = [sound_run_command(*one) for one in zip(runs, files, strict=True)]
    commands.append(sound_of_runs_command(spec, runs, files, "sound.m4a"))
    assert max(len(argument) for command in commands for argument in command) < LONGEST_ARGUMENT / 2
