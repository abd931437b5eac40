"""Sound: whose it is at every instant, that it is in time with the pictures, and continuous."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import subprocess
import wave
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from merger.i18n import Message
from merger.render.ffmpeg import Tool
from merger.render.sound_step import encode_sound
from merger.render.steps import Step
from merger.timeline import specs
from merger.timeline.specs import Input, SoundPiece, SoundSpec
from tests.conftest import CARRIED, PITCHES, START, Room, seconds
from tests.render.test_time import path_of
from tests.support.selection import BOTH_FFMPEGS
from tests.support.truth import beep_onsets, frames_seen, pitch, sound_of

MOST_OFFSET_S = 0.040


@pytest.fixture
def room(room: Room) -> Room:
    """A room whose pictures are few: here, people listen."""
    room.rate = Fraction(5)
    return room


def check_beeps(path, until_s: int, missing: set[int] = frozenset()) -> np.ndarray:
    """Beeps begin at each whole second of wall clock; the record begins on one."""
    sound = sound_of(path)
    onsets = beep_onsets(np.concatenate([np.zeros(480, np.float32), sound])) - 0.01
    for second in range(until_s):
        if second in missing:
            continue
        nearest = onsets[np.argmin(np.abs(onsets - second))]
        assert abs(nearest - second) < MOST_OFFSET_S, f"the beep of second {second} is at {nearest}"
    return sound


def test_preference_and_silence(room: Room) -> None:
    """Audio where it is, then the speaker's, then the screen's, then the board's, then none."""
    room.film("audio", 0, 5)
    room.film("speaker", 0, 10)
    room.film("screen", 0, 15)
    room.film("board", 0, 20)
    result = room.merge(25.0, roles=("speaker", "screen", "board", "audio"))
    sound = check_beeps(path_of(result), 20)
    assert len(sound) == pytest.approx(25 * 48000, abs=2048)
    for second in range(25):
        order = ("audio", "speaker", "screen", "board")
        expected = PITCHES[order[second // 5]] if second < 20 else 0.0
        assert pitch(sound, second + 0.01) == pytest.approx(expected, abs=8), second
    assert Message("timeline.silence", seconds=5.0) in result.warnings


def test_the_backup_has_the_same_sound(one_room: Room) -> None:
    one_room.film("speaker", 0, 5)
    one_room.film("screen", 0, 5)
    result = one_room.merge(5.0)
    both = [sound_of(path_of(result, kind)) for kind in ("merge", "backup")]
    assert np.array_equal(*both)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_in_time_over_joints_and_files(room: Room, container: str) -> None:
    start = START + timedelta(minutes=1, seconds=50)
    for at in (0, 20, 40):
        room.film("speaker", at, 20, start=start, container=container)
    room.film("screen", 0, 60, start=start, sound=False)
    result = room.merge(60.0, start=start, chunk=timedelta(minutes=1))
    check_beeps(path_of(result), 60)


@pytest.mark.parametrize(
    "media_rate", [Fraction(10002, 10000), Fraction(102, 100), Fraction(98, 100)]
)
def test_in_time_with_a_drifting_clock(room: Room, media_rate: Fraction) -> None:
    fast = room.film("speaker", 0, 40, media_rate=media_rate)
    ends = {"start": START.isoformat(), "end": (START + seconds(40)).isoformat()}
    fast.with_suffix(".json").write_text(json.dumps(ends))
    room.film("screen", 0, 40, sound=False)
    check_beeps(path_of(room.merge(40.0)), 40)


def test_a_hole_in_the_sound_shifts_nothing(room: Room) -> None:
    room.film("speaker", 0, 6)
    room.film("speaker", 9, 6)
    room.film("screen", 0, 15, sound=False)
    result = room.merge(15.0)
    sound = check_beeps(path_of(result), 15, missing={6, 7, 8})
    assert pitch(sound, 7.01) == 0


def test_sound_that_begins_late_inside_its_file(room: Room) -> None:
    late = room.film("speaker", 0, 8, options=("-af", "atrim=start=2.5"))
    assert late.exists()
    room.film("screen", 0, 8, sound=False)
    check_beeps(path_of(room.merge(8.0)), 8, missing={0, 1, 2})


def test_a_microphone_only_file(room: Room) -> None:
    """A source of the role audio may hold no pictures at all."""
    filmed = room.film("audio", 0, 8)
    only = filmed.with_name(".only.mp4")
    with av.open(str(filmed)) as source, av.open(str(only), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    only.rename(filmed)
    room.film("speaker", 0, 8)
    room.film("screen", 0, 8)
    sound = check_beeps(path_of(room.merge(8.0, roles=("speaker", "screen", "audio"))), 8)
    assert pitch(sound, 3.01) == pytest.approx(PITCHES["audio"], abs=8)


def test_one_continuous_stream_exactly_as_long_as_the_picture(room: Room) -> None:
    room.film("speaker", 0, 10)
    room.film("screen", 0, 10)
    with av.open(str(path_of(room.merge(10.0)))) as container:
        audio, video = container.streams.audio[0], container.streams.video[0]
        assert (audio.codec_context.name, audio.rate, audio.layout.name) == ("aac", 48000, "stereo")
        assert abs(audio.duration * audio.time_base - video.duration * video.time_base) < 0.05
        assert audio.start_time == video.start_time == 0


@BOTH_FFMPEGS
def test_picture_and_sound_agree(room: Room) -> None:
    """The clock in the picture and the beep in the sound tell the same time, at both ends."""
    start = START + timedelta(seconds=0.5)
    room.film("speaker", 0, 30, start=START, rate=Fraction(25))
    room.film("screen", 0, 30, start=START)
    path = path_of(room.merge(29.0, start=start))
    onsets = beep_onsets(sound_of(path))
    seen = {s.frame: s.left.day_ms / 1000 for s in frames_seen(path)}
    for onset in (onsets[0], onsets[-1]):
        frame = round(onset * 25)
        shown = seen[frame] + (onset - frame / 25)
        assert abs(shown - round(shown)) < MOST_OFFSET_S


def test_a_dead_microphone_does_not_make_a_mute_video(room: Room) -> None:
    """A stream of digital silence is no sound: the next source's is heard."""
    room.film("audio", 0, 6, options=("-af", "volume=0"))
    room.film("speaker", 0, 6)
    room.film("screen", 0, 6, sound=False)
    sound = check_beeps(path_of(room.merge(6.0, roles=("speaker", "screen", "audio"))), 6)
    assert pitch(sound, 2.01) == pytest.approx(PITCHES["speaker"], abs=8)


def test_timestamps_that_jitter(room: Room) -> None:
    """Milliseconds of jitter, as network recorders write, move nothing for good."""
    jittery = room.film("speaker", 0, 20, container="mkv")
    again = jittery.with_name(".again.mkv")
    chance = random.Random(1)
    with av.open(str(jittery)) as source, av.open(str(again), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio" and packet.pts * packet.time_base > 8:
                packet.pts += chance.randint(-5, 5)
                packet.dts = packet.pts
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    again.rename(jittery)
    room.film("screen", 0, 20, sound=False)
    check_beeps(path_of(room.merge(20.0)), 20)


@pytest.mark.parametrize("changed", [("-ac", "2"), ("-ar", "44100")], ids=["stereo", "44100 Hz"])
def test_sound_that_changes_inside_a_file(room: Room, changed: tuple[str, ...]) -> None:
    """Another sample rate or layout in mid-file delays neither the rest nor what follows."""
    one = room.film("speaker", 0, 5, container="ts", options=("-ac", "1"))
    other = room.film("speaker", 5, 5, container="ts", options=(*changed, "-output_ts_offset", "5"))
    one.write_bytes(one.read_bytes() + other.read_bytes())
    other.unlink()
    room.film("speaker", 10, 5)
    room.film("screen", 0, 15, sound=False)
    # where the two films meet, their sound overlaps by some packets
    check_beeps(path_of(room.merge(15.0)), 15, missing={5, 6})


def test_sound_before_the_first_picture_of_its_file(room: Room) -> None:
    """ffmpeg seeks by pictures; the sound before the first of them is heard all the same."""
    pictures = room.film("speaker", 12, 10, sound=False)
    sound = room.film("board", 0, 22)
    both = room.library / "2026-11-20_10-00-00_504_speaker.mp4"
    command = [
        CARRIED.path, "-v", "error", "-y", "-itsoffset", "12", "-i", str(pictures), "-i", str(sound),
        "-map", "0:v", "-map", "1:a", "-c", "copy", str(both),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    pictures.unlink()
    sound.unlink()
    room.film("screen", 0, 22, sound=False)
    check_beeps(path_of(room.merge(22.0, from_s=6.0)), 16)


@pytest.mark.parametrize("channels", ["1", "2"])
def test_sound_is_as_loud_as_it_was_recorded(room: Room, channels: str) -> None:
    room.environ["MERGER_LOUDNESS"] = "off"  # else it is as loud as all are
    recorded = room.film("speaker", 0, 6, options=("-ac", channels))
    room.film("screen", 0, 6, sound=False)
    levels = [level(path) for path in (recorded, path_of(room.merge(6.0)))]
    assert levels[1] == pytest.approx(levels[0], rel=0.05)


def level(path) -> float:
    """Return the root mean square of the first channel."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return float(np.sqrt(np.mean(np.concatenate(frames) ** 2)))


TONE_HZ = 441.7  # no whole number of waves in a piece: what is shifted is out of phase
PIECE, MARGIN, LEAD = 12_000, 4_800, 1_920  # samples


def tone(first: int, end: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * TONE_HZ * np.arange(first, end) / 48_000)


def many_files(folder: Path, count: int, every: int) -> SoundSpec:
    """Write one tone in many files; each so-manieth is faded into, as that of another source."""
    pieces = []
    for n in range(count):
        path = folder / f"{n:04}.wav"
        samples = tone(n * PIECE - MARGIN, (n + 1) * PIECE + MARGIN)
        with wave.open(str(path), "wb") as file:
            file.setparams((2, 2, 48_000, 0, "NONE", ""))
            file.writeframes(np.repeat(np.rint(samples * 32767), 2).astype("<i2").tobytes())
        lead = LEAD if n and n % every == 0 else 0
        at_us = (MARGIN - lead) * 1_000_000 // 48_000
        pieces.append(SoundPiece(PIECE, Input(str(path), f"{n}", "wav", 0, None), at_us, lead=lead))
    return SoundSpec(count * PIECE, tuple(pieces), "128k")


@pytest.mark.parametrize("every", [20, 7], ids=["faded", "cut"])  # at the joint of two commands
def test_more_pieces_than_one_command_takes(
    tmp_path: Path, tool: Tool, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = many_files(tmp_path, 130, every)
    step = Step(tool, tmp_path, lambda: False)
    path, complaints = encode_sound(step, spec, "runs")
    assert complaints == [] and not list(tmp_path.glob("*.pcm"))
    with av.open(str(path)) as container:
        assert container.streams.audio[0].duration == spec.samples
    made = sound_of(path) / np.sqrt(2)  # both sides at once, of one phase
    assert len(made) == spec.samples
    # One tone from end to end, in phase: no click, no hole, nothing shifted by a single sample.
    error = np.abs(made - tone(0, spec.samples))[2_400:-2_400]
    assert error.max() < 0.02
    monkeypatch.setattr(specs, "MOST_PIECES", 1000)
    at_once, _ = encode_sound(step, spec, "at-once")
    whole = sound_of(at_once)
    # A graph of so many pieces, which the product never makes, ends 29 samples early in FFmpeg 5.1;
    # the encoder sees that two packets ahead.
    assert 0 <= spec.samples - len(whole) < 32
    same = slice(0, len(whole) - 2 * 1024)
    assert np.array_equal(whole[same], sound_of(path)[same])


def film_with_sounds(room: Room, container: str, *sounds: str, options: Sequence[str] = ()) -> Path:
    """Film the speaker for nine seconds, with sound streams of FFmpeg's sources."""
    path = room.film("speaker", 0, 9, sound=False, container=container)
    again = path.with_name(f".again.{container}")
    inputs = [text for sound in sounds for text in ("-f", "lavfi", "-t", "9", "-i", sound)]
    maps = [text for n in range(len(sounds) + 1) for text in ("-map", str(n))]
    subprocess.run(
        [CARRIED.path, "-v", "error", "-y", "-i", str(path), *inputs, *maps, "-c:v", "copy", "-c:a", "aac",
         *options, str(again)], check=True,
    )  # fmt: skip
    again.rename(path)
    return path


def heard_at(room: Room, *seconds: float) -> list[float]:
    """Merge nine seconds and return the pitch at some times, in steps of 10 Hz."""
    room.film("screen", 0, 9, sound=False)
    sound = sound_of(path_of(room.merge(9.0)))
    return [round(pitch(sound, at), -1) for at in seconds]


def test_the_sound_stream_that_carries_sound_is_heard(room: Room) -> None:
    """A computer's sound, silent but for three seconds, beside a microphone: neither is lost."""
    computer = "aevalsrc='0.3*sin(2*PI*660*t)*between(t,3,6)':s=48000"
    film_with_sounds(room, "mkv", computer, "sine=frequency=440:sample_rate=48000")
    assert heard_at(room, 1, 4.5, 7.5) == [440, 660, 440]


def film_channels(room: Room, container: str, filters: str, codec: str) -> Path:
    """Film the speaker for nine seconds, with a tone in channels of some layout."""
    room.rate = Fraction(5)
    path = room.film("speaker", 0, 9, sound=False, container=container)
    again = path.with_name(f".again.{container}")
    subprocess.run(
        [CARRIED.path, "-v", "error", "-y", "-i", str(path), "-f", "lavfi", "-t", "9", "-i", "sine=frequency=440:sample_rate=48000",
         "-filter_complex", f"{filters}[a]", "-map", "0:v", "-map", "[a]", "-c:v", "copy", "-c:a", codec, str(again)], check=True,
    )  # fmt: skip
    return again.rename(path)


FOUR_CHANNELS = "[1:a]channelmap=map=0|0|0|0:channel_layout=FL+FR+FL+FR"


@pytest.mark.parametrize(
    ("container", "filters", "codec"),
    [
        ("mp4", "[1:a]pan=7.1|c0=c0|c1=c0", "aac"),
        ("mov", "[1:a]channelmap=map=0|0:channel_layout=FR+FL", "pcm_s16le"),
        ("mov", FOUR_CHANNELS, "pcm_s16le"),
    ],
    ids=["7.1", "right, left", "left, right, left, right"],
)
def test_unusual_channel_layouts(one_room: Room, container: str, filters: str, codec: str) -> None:
    film_channels(one_room, container, filters, codec)
    assert heard_at(one_room, 1, 7.5) == [440, 440]


def test_channels_that_ffmpeg_cannot_mix_are_left_out_by_name(one_room: Room) -> None:
    """QuickTime's left, right, unused, unused."""
    path = film_channels(one_room, "mov", FOUR_CHANNELS, "pcm_s16le")
    data = bytearray(path.read_bytes())
    labels = data.index(b"chan") + 20  # behind version, layout, bits and their count
    for at in (labels + 2 * 20, labels + 3 * 20):
        data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    one_room.film("screen", 0, 9)
    result = one_room.merge(9.0)
    assert Message("render.sound_left_out", file=path.name) in result.warnings
    assert pitch(sound_of(path_of(result)), 5.01) == pytest.approx(PITCHES["screen"], abs=8)


@pytest.mark.parametrize("only", [True, False])
def test_a_sound_of_an_unknown_codec_is_left_out(one_room: Room, only: bool) -> None:
    """A phone's spatial sound, flagged as the default one: the other is heard, or a warning says so."""
    one_room.rate = Fraction(5)
    options = ("-c:a:0", "pcm_s16le", "-disposition:a:0", "default")
    sounds = [
        "anullsrc=r=48000:cl=stereo",
        *([] if only else ["sine=frequency=440:sample_rate=48000"]),
    ]
    path = film_with_sounds(one_room, "mov", *sounds, options=options)
    path.write_bytes(path.read_bytes().replace(b"sowt", b"apac"))
    one_room.film("screen", 0, 9, sound=False)
    result = one_room.merge(9.0)
    assert round(pitch(sound_of(path_of(result)), 4.0), -1) == (0 if only else 440)
    unknown = Message("media.of_file", file=path.name, what=Message("media.sound_unknown"))
    assert (unknown in result.warnings) == only


def test_sound_that_cannot_be_decoded_is_left_out(one_room: Room) -> None:
    """Every packet of it is rubbish: another source is heard, and a warning names the file."""
    one_room.rate = Fraction(5)
    path = one_room.film("speaker", 0, 9)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.audio[0]):
            if packet.pos is not None and packet.size:
                data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    one_room.film("screen", 0, 9)
    result = one_room.merge(9.0)
    sound = sound_of(path_of(result))
    assert pitch(sound, 5.01) == pytest.approx(PITCHES["screen"], abs=8)
    assert Message("render.sound_left_out", file=path.name) in result.warnings


def speech_like(folder: Path, seconds_lufs: Sequence[tuple[int, float]]) -> SoundSpec:
    """Write noise in syllables and words, each so many seconds about so loud; 0: digital silence."""
    chance = np.random.default_rng(4)
    pieces = []
    for n, (seconds_, lufs) in enumerate(seconds_lufs):
        at = np.arange(seconds_ * 48_000) / 48_000
        noise = np.convolve(chance.standard_normal(len(at)), np.hanning(16), "same")
        words = np.repeat(10 ** (chance.normal(0, 3, seconds_) / 20), 48_000)
        sound = noise * np.maximum(0.03, np.sin(8 * np.pi * at)) * words
        sound *= 10 ** ((lufs + 3) / 20) / np.sqrt(np.mean(sound**2)) if lufs else 0
        path = folder / f"{n}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 48_000, 0, "NONE", ""))
            file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
        source = Input(str(path), f"{n}", "wav", 0, None)
        pieces.append(SoundPiece(len(at), source, mono=True))
    return SoundSpec(sum(p.samples for p in pieces), tuple(pieces), "128k", -18.0)


def loudness_and_peak(path: Path, filters: str = "anull") -> tuple[float, float]:
    """Return the integrated loudness in LUFS and the true peak in dBTP."""
    command = [
        CARRIED.path, "-hide_banner", "-nostats", "-i", str(path),
        "-af", f"{filters},ebur128=peak=true", "-f", "null", "-",
    ]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    summary = said[said.rindex("Summary:") :]
    loudness, peak = (re.search(rf"\b{name}:\s+(\S+)", summary) for name in ("I", "Peak"))
    assert loudness and peak
    return float(loudness[1]), float(peak[1])


@BOTH_FFMPEGS
@pytest.mark.parametrize(
    "parts",
    [
        [(30, -38.0)],
        [(30, -23.0)],
        [(30, -9.0)],
        [(25, -20.0), (25, -35.0)],
        [(25, -35.0), (25, -20.0)],
    ],
    ids=["soft", "usual", "loud", "step down", "step up"],
)
def test_all_records_are_equally_loud(
    tmp_path: Path, tool: Tool, parts: list[tuple[int, float]]
) -> None:
    spec = speech_like(tmp_path, parts)
    step = Step(tool, tmp_path, lambda: False)
    path, warnings = encode_sound(step, spec, "sound")
    assert warnings == []
    with av.open(str(path)) as container:
        assert container.streams.audio[0].duration == spec.samples
    loudness, peak = loudness_and_peak(path)
    assert loudness == pytest.approx(-18, abs=1) and peak <= -1
    at = 0
    for length, _ in parts:
        settled = f"atrim={at + 10 * (at > 0)}:{at + length - 3}"
        assert loudness_and_peak(path, settled)[0] == pytest.approx(-18, abs=2)
        at += length


@BOTH_FFMPEGS
def test_loudness_moves_no_sample(
    tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same sound in one run or in many, again or anew; silence stays silence."""
    spec = speech_like(tmp_path, [(6, -30.0), (6, 0), (6, -12.0)])
    step = Step(tool, tmp_path, lambda: False)
    first, again = (encode_sound(step, spec, name)[0].read_bytes() for name in ("a", "b"))
    assert first == again
    plain, _ = encode_sound(step, dataclasses.replace(spec, loudness=None), "plain")
    before, after = sound_of(plain), sound_of(tmp_path / "a.partial.m4a")
    assert len(before) == len(after) == spec.samples
    assert np.abs(after[7 * 48_000 : 11 * 48_000]).max() < 1e-4
    for at in (48_000, 14 * 48_000):
        a, b = (sound[at : at + 48_000] for sound in (before, after))
        shifts = range(-20, 21)
        fits = [np.dot(a[100:-100], np.roll(b, shift)[100:-100]) for shift in shifts]
        assert shifts[int(np.argmax(fits))] == 0
    monkeypatch.setattr(specs, "MOST_PIECES", 1)
    in_runs, _ = encode_sound(step, spec, "runs")
    assert in_runs.read_bytes() == first
