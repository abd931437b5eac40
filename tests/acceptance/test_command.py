"""The command line as others script against it: exit codes, JSON, what people read."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from merger.media.verify import has_moov_in_front
from tests.conftest import Room
from tests.support.site import CHEAP_MERGES

ROOT = Path(__file__).parents[2]


def app(room: Room, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "app.py", "merge", *arguments]
    env = {
        **os.environ, **CHEAP_MERGES, "MERGER_CACHE": str(room.cache), "MERGER_ENCODER": "software", **environ,
    }  # fmt: skip
    return subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, check=False)


def wanted(filmed: Room, /, **changes: str | None) -> list[str]:
    values: dict[str, str | None] = {
        "library": str(filmed.library), "room": "504", "start": "2026-11-20T10:00", "end": "2026-11-20T10:00:08",
        "zone": "Europe/Moscow", "speaker": "speaker", "screen": "screen", "profile": "540p", "chunk": "10s", "output": str(filmed.output),
    }  # fmt: skip
    values.update({name.replace("_", "-"): value for name, value in changes.items()})
    return [
        text for name, value in values.items() if value is not None for text in (f"--{name}", value)
    ]


@pytest.fixture
def filmed(one_room: Room) -> Room:
    one_room.film("speaker", 0, 6, size=(640, 360))
    one_room.film("screen", 0, 8, size=(640, 360))
    return one_room


def test_the_json_object(filmed: Room) -> None:
    done = app(filmed, *wanted(filmed, name="Лекция 1/2"), "--json", PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)  # exactly one object
    assert said["status"] == "delivered"
    assert said["span"] == {
        "start": "2026-11-20T10:00:00+03:00",
        "end": "2026-11-20T10:00:08+03:00",
    }
    merge, backup = said["renditions"]
    assert [merge["kind"], backup["kind"]] == ["merge", "backup"]
    assert Path(merge["path"]).name == "Лекция 1_2_504_2026-11-20_10-00-10-00.mp4"
    assert Path(backup["path"]).name == "Лекция 1_2_504_2026-11-20_10-00-10-00_backup.mp4"
    for rendition, width in ((merge, 1920), (backup, 960)):
        path = Path(rendition["path"])
        assert (rendition["width"], rendition["height"]) == (width, 540)
        assert (rendition["frames"], rendition["duration_s"]) == (200, 8.0)
        assert (rendition["video_codec"], rendition["audio_codec"]) == ("h264", "aac")
        assert rendition["bytes"] == path.stat().st_size
        assert rendition["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert has_moov_in_front(path)
        with av.open(str(path)) as container:
            video = container.streams.video[0].codec_context
            assert (video.pix_fmt, video.profile, video.width) == ("yuv420p", "High", width)
            assert (
                video.colorspace,
                video.color_primaries,
                video.color_trc,
                video.color_range,
            ) == (1, 1, 1, 1)
            assert float(container.streams.video[0].average_rate) == 25
    assert said["chunks"] == [
        {
            "start": "2026-11-20T10:00:00+03:00", "end": "2026-11-20T10:00:08+03:00",
            "presence": True, "verdict": "presentation", "score": 1.0, "samples": 5,
            "reasons": ["5 pictures: presentation (nothing says that it is none)"],
            "reason_messages": said["chunks"][0]["reason_messages"],
        }
    ]  # fmt: skip
    assert said["scenes"] == [
        {"start": "2026-11-20T10:00:00+03:00", "end": "2026-11-20T10:00:06+03:00", "layout": "side_by_side", "left": "speaker", "right": "screen", "slide": None},
        {"start": "2026-11-20T10:00:06+03:00", "end": "2026-11-20T10:00:08+03:00", "layout": "side_by_side", "left": "slate", "right": "screen", "slide": None},
    ]  # fmt: skip
    assert said["gaps"] == [
        {
            "source": "speaker",
            "start": "2026-11-20T10:00:06+03:00",
            "end": "2026-11-20T10:00:08+03:00",
        }
    ]
    assert said["chunks"][0]["reason_messages"][0]["key"] == "analysis.reason"
    assert said["warnings"] == ["speaker has no pictures from 10:00:06 to 10:00:08"]
    params = {"source": "speaker", "start": "10:00:06", "end": "10:00:08"}
    assert said["warning_messages"] == [{"key": "timeline.gap", "params": params}]
    assert said["encoder"] == "libx264"
    assert {"collect", "analyse", "encode", "join", "check"} <= set(said["timings"])
    plan = json.loads(Path(merge["path"]).with_suffix(".plan.json").read_text())
    assert plan["version"] == 1 and plan["frames"] == 200


def test_without_json_the_paths_are_printed(filmed: Room) -> None:
    done = app(filmed, *wanted(filmed))
    assert done.returncode == 0, done.stderr
    assert [Path(line).exists() for line in done.stdout.splitlines()] == [True, True]
    assert "encode ..." in done.stderr and "\r" not in done.stderr  # no terminal: plain lines


REFUSED = [
    ({"end": "2026-11-20T09:00"}, "--end"),
    ({"end": "2026-11-20T10:00"}, "--end"),
    ({"end": "2026-11-21T10:01"}, "24 hours"),
    ({"start": "yesterday"}, "--start"),
    ({"start": "2026-11-20T25:00"}, "--start"),
    ({"start": "2026-02-30T10:00"}, "--start"),
    ({"zone": "Mars/Olympus"}, "--zone"),
    ({"zone": "../../etc/passwd"}, "--zone"),
    ({"zone": "Europe/Berlin", "start": "2026-03-29T02:30", "end": "2026-03-29T04:00"}, "does not exist"),
    ({"zone": "Europe/Berlin", "start": "2026-10-25T02:30", "end": "2026-10-25T04:00"}, "+02:00 or +01:00"),
    ({"profile": "8k"}, "--profile"),
    ({"layout": "pyramid"}, "--layout"),
    ({"corner": "middle"}, "--corner"),
    ({"chunk": "soon"}, "--chunk"),
    ({"chunk": "0s"}, "--chunk"),
    ({"library": "/nonexistent/folder"}, "--library"),
    ({"library": "/etc/passwd"}, "--library"),
    ({"room": "a/b"}, "--room"),
    ({"card": "/nonexistent.png"}, "/nonexistent.png"),
    ({"speaker": None}, "--speaker"),
    ({"no-such-thing": "1"}, "no-such-thing"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "names"), REFUSED, ids=lambda value: str(value)[:40])
def test_requests_that_make_no_sense(
    one_room: Room, changes: dict[str, str | None], names: str
) -> None:
    one_room.library.mkdir()
    done = app(one_room, *wanted(one_room, **changes), "--json")
    assert done.returncode == 2, done.stderr
    assert names in done.stderr and "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if not line.endswith(" ...")]) == 1
    said = json.loads(done.stdout)
    assert (
        said["status"] == "failed" and names in said["error"]["message"] and said["error"]["code"]
    )
    assert not one_room.output.exists()


def test_every_wrong_setting_at_once(one_room: Room) -> None:
    one_room.library.mkdir()
    done = app(one_room, *wanted(one_room), MERGER_CACHE_BYTES="lots", MERGER_LANGUAGE="xx")
    assert done.returncode == 2
    assert "MERGER_CACHE_BYTES" in done.stderr and "MERGER_LANGUAGE" in done.stderr


def test_no_media_for_the_span(filmed: Room) -> None:
    changes = {"start": "2026-11-20T12:00", "end": "2026-11-20T13:00"}
    done = app(filmed, *wanted(filmed, **changes), "--json")
    assert done.returncode == 3
    said = json.loads(done.stdout)
    assert (said["status"], said["error"]["code"]) == ("failed", "no_media")
    assert said["span"]["start"] == "2026-11-20T12:00:00+03:00"
    assert "; the nearest file is 2026-11-20_" in said["error"]["message"]
    assert "Traceback" not in done.stderr and not list(filmed.output.glob("*"))


def test_an_ffmpeg_that_is_none(filmed: Room) -> None:
    for program in ("/bin/true", "/nonexistent/ffmpeg"):
        done = app(filmed, *wanted(filmed), "--json", MERGER_FFMPEG=program)
        assert done.returncode == 1
        assert "MERGER_FFMPEG" in json.loads(done.stdout)["error"]["message"]


def test_an_output_that_cannot_be_written(filmed: Room) -> None:
    (filmed.folder / "file").write_text("in the way")
    done = app(filmed, *wanted(filmed, output=str(filmed.folder / "file" / "below")), "--json")
    assert done.returncode == 1
    assert "--output" in json.loads(done.stdout)["error"]["message"]


def test_offsets_count_more_than_the_zone(filmed: Room) -> None:
    changes = {"start": "2026-11-20T07:00:00Z", "end": "2026-11-20T07:00:08+00:00"}
    done = app(filmed, *wanted(filmed, **changes), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["span"]["start"] == "2026-11-20T10:00:00+03:00"


def test_notes_about_names_that_do_not_fit(filmed: Room) -> None:
    (filmed.library / "holiday.mp4").write_bytes(b"x")
    (filmed.library / "2026-11-20_10-00_505_speaker.mp4").write_bytes(b"x")
    done = app(filmed, *wanted(filmed))
    assert done.returncode == 0
    assert "ignored holiday.mp4" in done.stderr and "505" not in done.stderr


def test_help_names_every_argument() -> None:
    done = subprocess.run(
        [sys.executable, "app.py", "merge", "--help"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    for name in (
        "library",
        "room",
        "start",
        "end",
        "zone",
        "speaker",
        "screen",
        "board",
        "audio",
        "output",
        "profile",
        "layout",
        "corner",
        "chunk",
        "name",
        "card",
        "json",
    ):
        assert f"--{name}" in done.stdout


def test_a_mistyped_source_is_told(filmed: Room) -> None:
    done = app(filmed, *wanted(filmed, speaker="Speaker", audio="mic"), "--json")
    assert done.returncode == 0
    warnings = " ".join(json.loads(done.stdout)["warnings"])
    assert "no files from source 'Speaker'" in warnings and "no files from source 'mic'" in warnings
    assert "504_speaker" in warnings


def test_a_result_of_another_span_under_the_same_name_is_told(filmed: Room) -> None:
    assert app(filmed, *wanted(filmed)).returncode == 0
    again = app(filmed, *wanted(filmed, start="2026-11-20T10:00:02"), "--json")
    assert any("had the same name" in text for text in json.loads(again.stdout)["warnings"])


def test_a_standard_output_that_is_full(filmed: Room) -> None:
    command = [sys.executable, "app.py", "merge", *wanted(filmed), "--json"]
    env = {**os.environ, "MERGER_CACHE": str(filmed.cache), "MERGER_ENCODER": "software"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, cwd=ROOT, env=env, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "cannot be printed" in done.stderr and "Traceback" not in done.stderr


def test_without_the_packages_it_says_what_to_run() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "app.py", "merge"], cwd=ROOT, text=True, capture_output=True
    )
    assert done.returncode == 1
    assert "script/bootstrap" in done.stderr and "Traceback" not in done.stderr
