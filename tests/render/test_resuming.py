"""Parts: nothing is encoded twice, and a run that was killed goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import pytest

from merger.config import load
from merger.errors import Cancelled, Temporary
from merger.i18n import verbatim
from merger.render import encoding, ffmpeg, merge
from merger.render.progress import Silent
from merger.render.screen import presence
from merger.render.steps import EncoderFailed
from merger.storage.cache import Cache
from merger.storage.files import work_folder
from merger.timeline import plan, profiles
from merger.timeline.report import MergeResult
from tests.conftest import CARRIED, START, Room
from tests.render.test_time import check_instants, path_of
from tests.support.programs import UNCONFINED, write_program
from tests.support.selection import BOTH_FFMPEGS
from tests.support.truth import frames_seen

# 5 s before a multiple of two minutes, so that a short record has two parts ...
BEGIN = START + timedelta(minutes=1, seconds=55)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def filmed(one_room: Room, monkeypatch: pytest.MonkeyPatch) -> Room:
    # ... and four where parts are of ten seconds.
    monkeypatch.setattr(plan, "PART_US", 10_000_000)
    one_room.film("speaker", -5, 40, start=BEGIN)
    one_room.film("screen", -5, 40, start=BEGIN, sound=False)
    return one_room


def merged(room: Room, until_s: float = 30, **changes):
    return room.merge(until_s, start=BEGIN, chunk=timedelta(minutes=10), **changes)


def packets(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as container:
        return [(p.pts, bytes(p)) for p in container.demux(video=0) if p.size]


def test_the_same_again_encodes_nothing(filmed: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    first = merged(filmed)
    assert len(first.plan.parts) == 4
    held = filmed.cached()
    assert len(held) == 4 * 2 + 1  # two renditions, and the sound
    for step in ("encode_part", "encode_sound"):
        monkeypatch.setattr(encoding, step, lambda *a, **k: pytest.fail("encoded again"))
    again = merged(filmed)
    assert filmed.cached() == held
    assert [r.sha256 for r in again.renditions] == [r.sha256 for r in first.renditions]
    check_instants(frames_seen(path_of(again), wanted=range(0, 750, 19)), BEGIN)


def test_another_start_or_end_makes_only_the_edges_anew(filmed: Room) -> None:
    merged(filmed)
    before = filmed.cached()
    merged(filmed, from_s=2)
    added = filmed.cached() - before
    assert len(added) == 2 + 1  # the first part in both renditions, and the sound
    before = filmed.cached()
    merged(filmed, until_s=28)
    assert len(filmed.cached() - before) == 2 + 1


def test_the_cache_may_be_moved_and_the_library_too(filmed: Room) -> None:
    """A part is known by what is in its inputs, not by where they lie."""
    for path in sorted(filmed.library.iterdir()):
        start = "2026-11-20T10:01:50+03:00"
        digest = "0" * 63 + str(len(path.name))
        path.with_suffix(".json").write_text(f'{{"start": "{start}", "sha256": "{digest}"}}')
    merged(filmed)
    held = filmed.cached()
    filmed.library.rename(filmed.folder / "elsewhere")
    merged(filmed, library=filmed.folder / "elsewhere")
    assert filmed.cached() == held


def test_a_changed_file_is_noticed(filmed: Room) -> None:
    merged(filmed)
    held = filmed.cached()
    os.utime(next(filmed.library.glob("*speaker*")), (1, 1))
    merged(filmed)
    assert filmed.cached().isdisjoint(held) or len(filmed.cached() - held) == 9


def test_cancelled_and_resumed(filmed: Room) -> None:
    settings = load({"MERGER_CACHE": str(filmed.cache), "MERGER_ENCODER": "software"})
    request = filmed.request(30, start=BEGIN, chunk=timedelta(minutes=10))

    def after_one_part() -> bool:
        return len([n for n in filmed.cached() if n.endswith(".merge.mp4")]) >= 1

    with pytest.raises(Cancelled):
        merge.merge(
            request, filmed.library, filmed.output, settings, CARRIED, Silent(), after_one_part
        )
    assert not list(filmed.output.glob("*"))
    kept = {p: p.stat().st_ino for p in filmed.cache.glob("??/*.mp4")}
    assert 1 <= len(kept) < 8
    result = merged(filmed)
    assert {p: p.stat().st_ino for p in kept} == kept
    check_instants(frames_seen(path_of(result), wanted=range(0, 750, 19)), BEGIN)


KILLER = """
# Runs ffmpeg, and the second time that a part is to be encoded kills the whole service.
case "$*" in *partial.mp4*)
    echo x >> "$COUNT"
    if [ "$(wc -l < "$COUNT")" = 2 ]; then kill -9 $PPID; fi;;
esac
exec "$REAL" "$@"
"""


def test_killed_with_no_warning_and_resumed(filmed: Room) -> None:
    """kill -9 at the last part: the next run gives the same frames and leaves nothing behind."""
    count = filmed.folder / "count"
    killer = write_program(filmed.folder / "ffmpeg", KILLER, COUNT=count, REAL=CARRIED.path)
    command = [
        sys.executable, "app.py", "merge", "--library", str(filmed.library), "--room", "504",
        "--start", "2026-11-20T10:01:55", "--end", "2026-11-20T10:02:05", "--zone", "Europe/Moscow",
        "--speaker", "speaker", "--screen", "screen", "--profile", "540p", "--chunk", "10m",
    ]  # fmt: skip
    environ = {
        **os.environ,
        **UNCONFINED,
        "MERGER_CACHE": str(filmed.cache),
        "MERGER_ENCODER": "software",
    }

    def run(output: str, **more: str) -> subprocess.CompletedProcess[str]:
        arguments = [*command, "--output", str(filmed.folder / output)]
        return subprocess.run(
            arguments, cwd=ROOT, env={**environ, **more}, text=True, capture_output=True
        )

    killed = run("output", MERGER_FFMPEG=str(killer))
    assert killed.returncode == -signal.SIGKILL
    assert not list(filmed.output.glob("*.mp4"))
    kept = filmed.cached()
    assert len([n for n in kept if n.endswith(".merge.mp4")]) == 1
    resumed = run("output", MERGER_FFMPEG=str(killer))
    assert resumed.returncode == 0, resumed.stderr
    assert count.read_text().count("x") == 3  # two before, and only the lost one again
    whole = run("other", MERGER_CACHE=str(filmed.folder / "fresh"))
    assert whole.returncode == 0
    one, other = (Path(r.stdout.splitlines()[0]) for r in (resumed, whole))
    assert packets(one) == packets(other)
    for folder in (filmed.output, filmed.cache):
        assert not list(folder.glob(".merge-work-*"))


@contextmanager
def away(room: Room) -> Iterator[None]:
    """The share goes away, and comes back."""
    room.library.rename(room.folder / "gone")
    try:
        yield
    finally:
        (room.folder / "gone").rename(room.library)


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (encoding, "encode_part"),
        (encoding, "encode_sound"),
        (presence, "sample_chunk"),
        (presence, "watch_window"),
    ],
    ids=["pictures", "sound", "chunks", "instants"],
)
def test_a_share_that_was_away_for_a_step_is_not_remembered(
    one_room: Room, monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str
) -> None:
    """That is neither damage nor a screen that shows nothing."""
    one_room.film("speaker", 0, 10)
    one_room.film("screen", 0, 10, sound=False)
    original = getattr(module, step)

    decide = "chunk" if step == "sample_chunk" else "instant"

    def without_share(*arguments: Any, **more: Any) -> Any:
        with away(one_room):
            return original(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(module, step, without_share)
        with pytest.raises(Temporary, match="cannot be read right now") as told:
            one_room.merge(10, decide=decide)
    assert told.value.code == "storage_away"
    assert not [name for name in one_room.cached() if name.endswith(".json")]
    result = one_room.merge(10)
    assert [(c.presence, c.verdict) for c in result.plan.chunks] == [(True, "presentation")]
    assert not [warning for warning in result.warnings if warning.key == "render.damaged"]
    check_instants(frames_seen(path_of(result), wanted=range(0, 250, 19)), START)


def flip(path: Path) -> None:
    """Change a bit in the middle: of what is shown or heard, and not of the index."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def digests(result: MergeResult) -> list[str]:
    return [rendition.sha256 for rendition in result.renditions]


def test_what_is_damaged_in_the_cache_is_made_anew(
    filmed: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = merged(filmed, until_s=10)
    made = sorted(filmed.cache.glob("??/*.m??"))
    assert len(first.plan.parts) == 2 and len(made) == 2 * 2 + 1
    one, other = (path for path in made if path.name.endswith(".merge.mp4"))
    [sound] = (path for path in made if path.suffix == ".m4a")
    encoded: list[str] = []

    def watch(step: str, meanwhile: Callable[[], None]) -> None:
        original = getattr(encoding, step)

        def run(*arguments: Any) -> Any:
            encoded.append(step)
            meanwhile()
            return original(*arguments)

        monkeypatch.setattr(encoding, step, run)

    # One was damaged long ago; the other is, too, while the first is made anew.
    watch("encode_part", lambda: flip(other) if len(encoded) == 1 else None)
    watch("encode_sound", lambda: None)
    flip(one)
    assert digests(merged(filmed, until_s=10)) == digests(first)
    assert encoded == ["encode_part"] * 2
    flip(sound)
    assert digests(merged(filmed, until_s=10)) == digests(first)
    assert encoded == ["encode_part"] * 2 + ["encode_sound"]
    assert [
        str(path) in line for path, line in zip((one, other, sound), caplog.messages, strict=True)
    ] == [True] * 3


def test_warnings_that_are_damaged_are_found_anew(
    one_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_room.film("speaker", 0, 2)
    original = encoding.encode_part
    told: list[str] = []

    def encode_part(*arguments: Any) -> Any:
        told.append(f"it was encoded for the {len(told) + 1}. time")
        return original(*arguments)[0], [verbatim(told[-1])]

    monkeypatch.setattr(encoding, "encode_part", encode_part)
    for times in (1, 1, 2):
        if times == 2:
            [kept] = one_room.cache.glob("??/*[!k].json")  # but not *.chunk.json
            flip(kept)
        result = one_room.merge(2, roles=("speaker",))
        assert verbatim(told[-1]) in result.warnings and len(told) == times


def test_a_disk_that_keeps_nothing_is_told(one_room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    one_room.film("speaker", 0, 2)
    monkeypatch.setattr(Cache, "is_intact", lambda *_: False)
    with pytest.raises(Temporary, match="changes by itself; check its disk"):
        one_room.merge(2, roles=("speaker",))
    assert not list(one_room.output.glob("*"))


def test_the_cache_is_bounded(filmed: Room) -> None:
    merged(filmed)
    cache = Cache(filmed.cache, limit_bytes=1)
    used = sorted(filmed.cached())[0]
    with work_folder(filmed.cache) as work:
        assert cache.use(used, work)
        cache.shrink()
        assert filmed.cached() == {used}  # what a living run uses stays
    cache.shrink()
    assert filmed.cached() == set()


@BOTH_FFMPEGS
@pytest.mark.parametrize("profile", ["tiny", "tiny_av1"])
def test_joints_are_exact_with_every_codec(room: Room, profile: str) -> None:
    room.film("speaker", 0, 10, start=BEGIN)
    room.film("screen", 0, 10, start=BEGIN, sound=False)
    result = room.merge(10, start=BEGIN, chunk=timedelta(minutes=10), profile=profile)
    assert len(result.plan.parts) == 2
    seen = frames_seen(path_of(result), wanted=range(105, 145))
    assert [s.left.day_ms - seen[0].left.day_ms for s in seen] == [40 * n for n in range(40)]


def test_the_same_request_replaces_its_result(one_room: Room) -> None:
    one_room.film("speaker", 0, 5)
    one_room.film("screen", 0, 5)
    first = path_of(one_room.merge(5))
    inode = first.stat().st_ino
    second = path_of(one_room.merge(5, layout="screen_large"))
    assert second == first and second.stat().st_ino != inode
    one_room.merge(5, roles=("speaker",))
    assert not list(one_room.output.glob("*_backup.mp4"))  # of another video than this one


def test_hardware_that_fails_in_the_middle(filmed: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """One rendition, one encoder: all its parts are encoded again in software."""
    calls: list[str] = []
    original = encoding.encode_part

    def encode_part(step, spec, *rest):
        calls.append(spec.encoder.name)
        if spec.encoder.hardware is None:
            return original(step, spec, *rest)
        if len(calls) == 2:
            raise EncoderFailed(verbatim("the device was lost"))
        software = dataclasses.replace(spec, encoder=profiles.ENCODERS["libx264"])
        return original(step, software, *rest)

    monkeypatch.setattr(encoding, "encode_part", encode_part)
    monkeypatch.setattr(ffmpeg, "why_refused", lambda tool, encoder: None)
    filmed.environ = {"MERGER_ENCODER": "nvenc"}
    result = merged(filmed)
    assert calls == ["h264_nvenc"] * 2 + ["libx264"] * 4
    assert result.encoder == "libx264"
    assert any(warning.key == "render.encoder_failed_midway" for warning in result.warnings)
    check_instants(frames_seen(path_of(result), wanted=range(0, 750, 19)), BEGIN)


def test_hardware_that_is_not_there_is_said(filmed: Room) -> None:
    """ffmpeg lists NVENC on every machine; one frame shows whether there is any."""
    filmed.environ = {"MERGER_ENCODER": "vaapi"}
    result = merged(filmed, until_s=5)
    if result.encoder == "libx264":
        assert any("h264_vaapi does not work here" in str(w) for w in result.warnings)


def test_interrupted_by_the_keyboard(filmed: Room) -> None:
    """Ctrl-C in the middle of an encode: exit 130, no child left, nothing half-done in sight."""
    pid = filmed.folder / "pid"
    wrapper = write_program(
        filmed.folder / "ffmpeg",
        'case "$*" in *partial.mp4*) echo $$ > "$PID"; kill -INT $PPID; exec sleep 600;; esac\n'
        'exec "$REAL" "$@"\n',
        PID=pid, REAL=CARRIED.path,
    )  # fmt: skip
    command = [
        sys.executable, "app.py", "merge", "--library", str(filmed.library), "--room", "504",
        "--start", "2026-11-20T10:01:55", "--end", "2026-11-20T10:02:05", "--zone", "Europe/Moscow",
        "--speaker", "speaker", "--screen", "screen", "--profile", "540p", "--chunk", "10m",
        "--output", str(filmed.output), "--json",
    ]  # fmt: skip
    environ = {
        **os.environ,
        **UNCONFINED,
        "MERGER_CACHE": str(filmed.cache),
        "MERGER_ENCODER": "software",
        "MERGER_FFMPEG": str(wrapper),
    }
    done = subprocess.run(command, cwd=ROOT, env=environ, text=True, capture_output=True)
    assert done.returncode == 130
    assert json.loads(done.stdout)["error"]["code"] == "cancelled"
    assert "Traceback" not in done.stderr and "finished parts are kept" in done.stderr
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
    assert not list(filmed.output.iterdir())
    assert not list(filmed.cache.glob(".merge-work-*"))


def test_minutes_without_media_are_one_part(one_room: Room) -> None:
    """With two encoders at a time, which must not write the same file."""
    for source in ("speaker", "screen"):
        one_room.film(source, 0, 4, sound=source == "speaker")
    one_room.environ["MERGER_PARALLEL"] = "2"
    result = one_room.merge(6 * 60.0, chunk=timedelta(minutes=30))
    seen = frames_seen(path_of(result), wanted={*range(0, 100, 10), *range(3000, 9000, 1500)})
    check_instants(seen[:10], START)
    assert all(frame.left is None for frame in seen[10:])
    assert len(list(one_room.cache.glob("??/*.merge.mp4"))) < len(result.plan.parts)
