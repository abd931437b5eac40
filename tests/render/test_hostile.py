"""Media that is broken, or wants to harm: no traceback, no silent wrong result."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from merger.analysis import sampling
from merger.analysis.cards import Card
from merger.analysis.targets import Sight, Target
from merger.errors import Broken, NoMedia, Temporary
from merger.i18n import Message, from_json
from merger.isolation import reader
from merger.render import encoding, renderer
from merger.render.ffmpeg import Tool, run
from merger.render.screen import presence
from merger.storage.cache import sum_path
from merger.timeline.clock import Stretch
from merger.timeline.media import MediaFile
from merger.timeline.report import MergeResult
from merger.timeline.screen.signals import Observation
from tests.conftest import CARRIED, START, Room
from tests.render.test_time import check_instants, path_of
from tests.support.programs import write_program
from tests.support.selection import BOTH_FFMPEGS, rarely
from tests.support.truth import error_ms, frames_seen, instant_of

GOP = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25")


def honest(result: MergeResult, frames: int) -> int:
    """Check that every picture of the speaker is of its instant; return how many there are."""
    seen = frames_seen(path_of(result))
    assert len(seen) == frames
    shown = 0
    for frame in seen:
        instant = instant_of(START, frame.frame)
        assert frame.right is not None and abs(error_ms(frame.right, instant)) <= 40
        if frame.left is not None:
            shown += 1
            assert abs(error_ms(frame.left, instant)) <= 40, f"a picture of another time: {frame}"
    return shown


def filmed(room: Room, container: str = "mp4", **options: object) -> Path:
    room.film("screen", 0, 8, sound=False)
    return room.film("speaker", 0, 8, container=container, codec=GOP, **options)


@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_truncated(room: Room, container: str) -> None:
    path = filmed(room, container)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    shown = honest(room.merge(8.0), 200)
    assert 60 <= shown <= 140


def test_truncated_behind_its_index(room: Room) -> None:
    """An MP4 with its index in front looks whole until its packets are read."""
    path = filmed(room, options=("-movflags", "+faststart"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    result = room.merge(8.0)
    assert 60 <= honest(result, 200) <= 160
    assert any(source == "speaker" for source, _ in result.plan.gaps())


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("seed", [1, rarely(2, why="from more seeds of chance")])
def test_flipped_bits(room: Room, container: str, seed: int) -> None:
    path = filmed(room, container)
    data = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(12):
        at = chance.randrange(len(data) // 3, len(data) * 2 // 3)
        data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    result = room.merge(8.0)
    shown = honest(result, 200)
    assert shown >= 100
    assert shown == 200 or result.warnings, "something is missing and nobody is told"


def test_a_hole_in_a_transport_stream(room: Room) -> None:
    path = filmed(room, "ts")
    data = path.read_bytes()
    third = len(data) // 3 // 188 * 188
    path.write_bytes(data[:third] + data[third + len(data) // 6 // 188 * 188 :])
    result = room.merge(8.0)
    assert 100 <= honest(result, 200) <= 185


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 50_000,
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\x00\x00\x00\x18ftypmp42" + b"\xff" * 5000,
        b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 40,
        (b"\x47" + bytes(187)) * 300,
        b"GIF89a" + bytes(3000),
    ],
    ids=["empty", "zeros", "playlist", "concat", "mp4 head", "mkv head", "ts head", "gif"],
)
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_files_that_are_no_media(one_room: Room, content: bytes, container: str) -> None:
    path = filmed(one_room, container)
    path.write_bytes(content)
    result = one_room.merge(8.0)
    assert honest(result, 200) == 0
    assert any(path.name in str(warning) for warning in result.warnings)


def test_without_an_index(one_room: Room) -> None:
    path = filmed(one_room)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    result = one_room.merge(8.0)
    assert honest(result, 200) == 0
    assert any(f"{path.name} is left out" in str(warning) for warning in result.warnings)


def test_a_wrong_extension_is_forgiven(one_room: Room) -> None:
    path = filmed(one_room, "mkv")
    path.rename(path.with_suffix(".mp4"))
    assert honest(one_room.merge(8.0), 200) == 200


def test_a_playlist_inside_a_real_name_fetches_nothing(one_room: Room) -> None:
    """The demuxer is forced: a playlist of a real film beside it is not followed."""
    path = filmed(one_room)
    real = path.with_name("real.mp4")
    path.rename(real)
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\n{real}\n#EXT-X-ENDLIST\n")
    result = one_room.merge(8.0)
    assert honest(result, 200) == 0


def test_nothing_but_rubbish_is_no_media(one_room: Room) -> None:
    path = filmed(one_room)
    for file in one_room.library.iterdir():
        file.write_bytes(b"rubbish")
    with pytest.raises(NoMedia, match="left out"):
        one_room.merge(8.0)
    assert path.exists() and not list(one_room.output.glob("*"))


LIAR = """#!/bin/sh
# Says that all went well, whatever it did: {what}
case "$*" in
*partial.mp4*|*partial.m4a*|*ffconcat*)
    {body}
    exit 0;;
*) exec "{real}" "$@";;
esac
"""
LIES = {
    "writes nothing": "true",
    "writes rubbish": 'for last; do :; done; echo rubbish > "$last"',
    "stops early": '"{real}" "$@"; for last; do :; done; '
    '"{real}" -v error -y -i "$last" -t 3 -c copy "$last.short.mp4"; mv "$last.short.mp4" "$last"',
    "writes half": '"{real}" "$@"; for last; do :; done; head -c 3000 "$last" > "$last.h"; mv "$last.h" "$last"',
}


@pytest.mark.parametrize("what", sorted(LIES))
def test_an_exit_code_is_not_believed(one_room: Room, what: str) -> None:
    filmed(one_room)
    liar = one_room.folder / "ffmpeg"
    body = LIES[what].replace("{real}", CARRIED.path)
    liar.write_text(LIAR.format(what=what, body=body, real=CARRIED.path))
    liar.chmod(0o755)
    from merger.render.ffmpeg import find_tool

    one_room.tool = find_tool(str(liar))
    with pytest.raises(Broken):
        one_room.merge(8.0)
    assert not list(one_room.output.glob("*"))


def test_a_full_disk_is_temporary_and_leaves_nothing(one_room: Room) -> None:
    filmed(one_room)
    full = one_room.folder / "ffmpeg"
    full.write_text(
        '#!/bin/sh\ncase "$*" in *partial.mp4*) echo "[error] x.mp4: No space left on device" >&2; exit 0;; esac\n'
        f'exec "{CARRIED.path}" "$@"\n'
    )
    full.chmod(0o755)
    from merger.render.ffmpeg import find_tool

    one_room.tool = find_tool(str(full))
    with pytest.raises(Temporary, match=r"disk of .* was full"):
        one_room.merge(8.0)
    assert not list(one_room.output.glob("*"))


def test_two_gaps_in_one_group_of_pictures(one_room: Room) -> None:
    """Two shots that begin with the same key frame of the same file, in one part."""
    one_room.film("screen", 0, 8, sound=False)
    one_room.film("speaker", 0, 8, codec=("-c:v", "libx264", "-preset", "ultrafast", "-g", "1000"))
    from merger.timeline.clock import Stretch

    original = renderer.segments

    def with_a_hole(entries, screen, holes, *still):
        speaker = next(e for e in entries if e.source == "speaker")
        holes = {**holes, speaker.file: [Stretch(3_000_000, 5_000_000)]}
        return original(entries, screen, holes, *still)

    renderer.segments, restore = with_a_hole, renderer.segments
    try:
        result = one_room.merge(8.0)
    finally:
        renderer.segments = restore
    seen = frames_seen(path_of(result))
    assert [s.frame for s in seen if s.left is None] == list(range(75, 125))
    check_instants([s for s in seen if s.left], START)


@BOTH_FFMPEGS
def test_one_damaged_place_costs_one_group_of_pictures(room: Room) -> None:
    """What follows the next key frame is shown again, in a transport stream with B-frames, too."""
    room.film("screen", 0, 12, sound=False)
    codec = ("-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2")
    path = room.film("speaker", 0, 12, container="ts", codec=codec, sound=False)
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    assert honest(room.merge(12.0), 300) >= 200


def test_known_damage_is_not_encoded_again(one_room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command again encodes nothing and says the same, for damaged input, too."""
    path = filmed(one_room)
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) * 2 // 3, 997):
        data[at] ^= 0x55
    path.write_bytes(data)
    first = one_room.merge(8.0)
    assert any(warning.key == "render.damaged" for warning in first.warnings)
    for step in ("encode_part", "encode_sound"):
        monkeypatch.setattr(encoding, step, lambda *a, **k: pytest.fail("encoded again"))
    again = one_room.merge(8.0)
    assert again.warnings == first.warnings
    assert [r.sha256 for r in again.renditions] == [r.sha256 for r in first.renditions]
    with_sentences(one_room)
    later = one_room.merge(8.0)
    assert [str(w) for w in later.warnings] == [str(w) for w in first.warnings]
    assert later.reasons and [list(map(str, reasons)) for reasons in later.reasons] == [
        list(map(str, reasons)) for reasons in first.reasons
    ]


def with_sentences(room: Room) -> None:
    """Leave sentences in the cache where there are messages, as the version before had them."""
    for path in room.cache.glob("??/*.json"):
        facts = json.loads(path.read_text())
        if path.name.endswith(".chunk.json"):
            facts[4] = [str(from_json(reason)) for reason in facts[4]]
        elif not path.name.endswith((".holes.json", ".watched.json")):
            facts = [str(from_json(warning)) for warning in facts]
        path.write_text(json.dumps(facts))
        sum_path(path).unlink()


def test_sidecars_that_are_no_files(one_room: Room) -> None:
    path = filmed(one_room)
    os.mkfifo(path.with_suffix(".json"))
    result = one_room.merge(8.0)
    assert honest(result, 200) == 200
    assert any(warning.key == "media.sidecar_not_used" for warning in result.warnings)


def test_ffmpeg_knows_none_of_our_secrets(
    one_room: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It decodes what strangers sent: its environment is clean, and it cannot gain rights."""
    monkeypatch.setenv("SQLALCHEMY_DATABASE_URI", "mysql://merger:hunter2@db/merger")
    seen = tmp_path / "seen"
    body = """env > "$SEEN"
for file in status limits; do
    while read -r line; do echo "$line" >> "$SEEN"; done < /proc/self/$file
done
"""
    spy = write_program(tmp_path / "ffmpeg", body, SEEN=seen)
    run(Tool(str(spy), "7"), ["-i", "in.mp4", "out.mp4"], tmp_path)
    text = seen.read_text()
    assert "hunter2" not in text and "AV_LOG_FORCE_NOCOLOR=1" in text
    assert "NoNewPrivs:\t1" in text
    [limit] = [line for line in text.splitlines() if line.startswith("Max address space")]
    assert "unlimited" not in limit
    run(Tool(str(spy), "7"), ["-init_hw_device", "cuda=gpu", "out.mp4"], tmp_path)
    [limit] = [line for line in seen.read_text().splitlines() if line.startswith("Max address")]
    assert "unlimited" in limit


def test_a_file_of_absurd_times_is_left_out(
    one_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other side is shown all the same, and the warning names the file."""
    bad = filmed(one_room)
    whole = reader.call

    def call(function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        found = whole(function, *args, **more)
        is_bad = isinstance(found, MediaFile) and found.path == bad
        return replace(found, picture_ends_us=10**18) if is_bad else found

    monkeypatch.setattr(reader, "call", call)
    result = one_room.merge(8.0)
    why = Message("media.absurd_times")
    assert Message("media.left_out", file=bad.name, why=why) in result.warnings
    assert {s.right and s.right.source for s in result.plan.scenes} == {"screen"}


def end_looking(
    file: MediaFile,
    wanted: Sequence[Target],
    to_show: Sequence[Target],
    own_cards: Sequence[Card],
    *,
    reads: bool,
) -> list[Sight]:
    """Look at a file whose decoder ends the process."""
    os.abort()


def end_watching(
    file: MediaFile, stretch: Stretch, own_cards: Sequence[Card], *, reads: bool
) -> Observation:
    """Watch a file whose decoder ends the process."""
    os.abort()


@pytest.mark.parametrize("decide", ["instant", "chunk"])
def test_a_screen_that_nobody_can_look_at_is_named(
    one_room: Room, monkeypatch: pytest.MonkeyPatch, decide: str
) -> None:
    """It is not shown, as what it shows is not known; the next run looks at it again."""
    screen = one_room.film("screen", 0, 2)
    one_room.film("speaker", 0, 2)
    with monkeypatch.context() as patched:
        patched.setattr(sampling, "look_at", end_looking)
        patched.setattr(presence, "watch", end_watching)
        result = one_room.merge(2.0, decide=decide)
    died = Message("media.reader_died", how="SIGABRT")
    assert Message("media.of_file", file=screen.name, what=died) in result.warnings
    assert not any(chunk.presence for chunk in result.plan.chunks)
    assert all(chunk.presence for chunk in one_room.chunks(2.0, decide=decide))
