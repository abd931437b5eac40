"""What the service relies on, for every kind of recorder: one suite, and an entry for each kind."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from google_apis.account import Account
from merger.errors import Cancelled, Invalid, MergerError, Refused
from merger.i18n import say
from merger.ports.recorder import CanBeProbed, ChecksCredentials
from merger.timeline.clock import Span
from recorders import base
from recorders.base import Collected, Recorder, SourceOfRoom
from recorders.drive.source import Drive
from recorders.registry import EXAMPLES, kinds, recorder_of
from recorders.rtsp.recordings import RAW, Journal, folder_of
from recorders.rtsp.source import Rtsp
from recorders.zoom.source import Zoom
from tests.fakes.google import SUBJECT, google_served
from tests.fakes.zoom import NUMBER, zoom_served
from tests.recorders.conftest import (
    CLIP_S,
    MOSCOW,
    RATE,
    TEN,
    Share,
    digest,
    never,
    set_changed,
    span,
    state_of,
)
from tests.support.truth import error_ms, frames_seen
from tests.texts.russian import in_russian

ROOT = Path(__file__).parents[2]
KINDS = kinds()
Clip = Callable[[datetime], bytes]


@dataclass
class Case:
    """A source with two files of ten seconds that follow each other.

    grow makes the second one be growing, at the instant that it returns; finish ends that.
    """

    recorder: Recorder
    source: SourceOfRoom
    now: datetime  # all is complete
    nothing: tuple[Span, datetime]  # a span of which there is nothing (yet), and when
    bad: tuple[str, ...]  # addresses that make no sense
    grow: Callable[[], datetime]
    finish: Callable[[], None]
    span: Span = span(0, 2 * CLIP_S)
    end: Callable[[], None] = lambda: None

    def find(self, now: datetime | None = None) -> base.Found:
        return self.recorder.find(self.source, self.span, now or self.now)

    def collect(
        self, into: Path, cancelled: Callable[[], bool] = never, now: datetime | None = None
    ) -> list[Collected]:
        return self.recorder.collect(self.source, self.span, into, now or self.now, cancelled)


def folder_case(tmp_path: Path, clip_at: Clip) -> Case:
    share = Share(tmp_path / "share")
    first, second = clip_at(TEN), clip_at(TEN + timedelta(seconds=CLIP_S))
    share.put("2026-11-20_10-00-00_504_camera.mp4", first)
    begins = TEN + timedelta(seconds=CLIP_S)
    last = share.put(
        "2026-11-20_10-00_504_camera.mp4", second,
        start=begins, length_s=CLIP_S, sha256=digest(second),
    )  # fmt: skip
    now = TEN + timedelta(hours=2)

    def grow() -> datetime:
        last.write_bytes(second[: len(second) // 2])
        set_changed(last, now - timedelta(seconds=5))
        return now

    def finish() -> None:
        last.write_bytes(second)
        set_changed(last, TEN)

    return Case(
        KINDS["folder"], share.source, now, (span(18_000, 18_020), now),
        ("", "recordings", "smb://server/share", "/share#camera", "/share#a/b_c", "~/x", "/a\0b"),
        grow, finish,
    )  # fmt: skip


def pattern_case(tmp_path: Path, clip_at: Clip) -> Case:
    address = f"testpattern:?segment={CLIP_S}s&rate={RATE}"
    source = SourceOfRoom("504", "camera", "speaker", "testpattern", address, MOSCOW)
    return Case(
        KINDS["testpattern"], source, TEN + timedelta(hours=2),
        (span(0, 20), TEN - timedelta(hours=1)),
        ("", "testpattern", "testpattern:?size", "testpattern:?sise=320x180", "folder:", "/a",
         "testpattern:?rate=5&rate=6", "testpattern:?size=321x180", "testpattern:?rate=0",
         "testpattern:?segment=2h", "testpattern://host", "testpattern:?lost=-1", "testpattern:[",
         "testpattern:?pitch=9", "testpattern:?code=8", "testpattern:#x"),
        lambda: TEN + timedelta(seconds=CLIP_S * 1.5), lambda: None,
    )  # fmt: skip


def zoom_case(tmp_path: Path, clip_at: Clip) -> Case:
    serving = ExitStack()
    zoom = serving.enter_context(zoom_served())
    zoom.add_meeting()
    for n in (0, 1):
        begins = TEN + timedelta(seconds=n * CLIP_S)
        last = zoom.add_file("active_speaker", begins, CLIP_S, clip_at(begins))
    now = TEN + timedelta(hours=4)

    def grow() -> datetime:
        last["status"] = "processing"
        return now

    source = SourceOfRoom("504", "zoom", "speaker", "zoom", f"zoom:{NUMBER}", MOSCOW)
    return Case(
        Zoom(zoom.account), source, now, (span(180_000, 180_020), now),
        ("", "zoom", "zoom:", "zoom:abc", "zoom:12", "12345678901", "https://zoom.us/j/123456789",
         "zoom://123456789", "zoom:1234567890123456789012", "/a", "testpattern:123456789"),
        grow, lambda: last.update(status="completed"), end=serving.close,
    )  # fmt: skip


def rtsp_case(tmp_path: Path, clip_at: Clip) -> Case:
    """What was recorded, as it lies in the data folder; tests/recorders/rtsp/test_source.py records."""
    recorded = tmp_path / "recorded"
    source = SourceOfRoom("504", "camera", "speaker", "rtsp", "rtsp://10.0.5.4/live", MOSCOW, id=7)
    share = Share(folder_of(recorded, 7))
    (share.folder / RAW).mkdir(parents=True)
    for n in range(2):
        begins = TEN + timedelta(seconds=n * CLIP_S)
        clip = clip_at(begins)
        last = share.put(
            f"{begins:%Y-%m-%d_%H-%M-%S}_504_camera.mp4", clip,
            start=begins, length_s=CLIP_S, sha256=digest(clip),
        )  # fmt: skip
    raw = share.folder / RAW / "growing.mkv"

    def grow() -> datetime:
        last.replace(raw)
        Journal("504", "camera", "Europe/Moscow", begins).write(raw)
        return TEN + timedelta(hours=2)

    def finish() -> None:
        raw.with_suffix(".json").unlink()
        raw.replace(last)

    return Case(
        Rtsp(recorded), source, TEN + timedelta(hours=2), (span(18_000, 18_020), TEN),
        ("", "rtsp://", "http://10.0.5.4/live", "rtsp:10.0.5.4", "rtsp://user@10.0.5.4/live",
         "rtsp://user:secret@10.0.5.4/live", "rtsp://127.0.0.1/live", "rtsp://localhost/live",
         "rtsp://[::1]/live", "rtsp://[::ffff:127.0.0.1]/live", "rtsp://169.254.169.254/latest",
         "rtsp://10.0.5.4:port/live", "rtsp://10.0.5.4/a b", "file:///etc/passwd", "/dev/video0",
         "rtsp://10.0.5.4/live#allways", "rtsp://10.0.5.4/live#early=60",
         "rtsp://10.0.5.4/live#always=1",
         "rtsp://10.0.5.4/live#always&always", "rtsp://0.0.0.0/live"),
        grow, finish,
    )  # fmt: skip


def drive_case(tmp_path: Path, clip_at: Clip) -> Case:
    serving = ExitStack()
    google = serving.enter_context(google_served())
    folder = google.drive.make_folder("504", google.drive.root(SUBJECT), SUBJECT)
    day = google.drive.make_folder("2026-11-20", folder, SUBJECT)
    for n, named in enumerate(("2026-11-20_10:00", "2026-11-20_10:00:10")):
        begins = TEN + timedelta(seconds=n * CLIP_S)
        last = google.drive.put(
            f"{named}_504_camera.mp4", clip_at(begins), day, SUBJECT,
            videoMediaMetadata={"durationMillis": str(CLIP_S * 1000)},
            modifiedTime="2026-11-20T07:10:00.000Z",
        )  # fmt: skip
    now = TEN + timedelta(hours=2)
    file = google.drive.files[last]
    md5 = file["md5Checksum"]

    def grow() -> datetime:
        del file["md5Checksum"]  # Drive has not looked at it yet
        return now

    account = Account(google.credentials_file(tmp_path), SUBJECT, google.address)
    source = SourceOfRoom("504", "camera", "speaker", "drive", f"drive:{folder}", MOSCOW)
    return Case(
        Drive(account), source, now, (span(180_000, 180_020), now),
        ("", "drive", "drive:", "drive:a/b", "folder:abcdefgh", "/a", "drive:abcdefgh#camera",
         "https://example.edu/drive/folders/abcdefgh", "drive:abc defgh"),
        grow, lambda: file.update(md5Checksum=md5), end=serving.close,
    )  # fmt: skip


CASES: dict[str, Callable[[Path, Clip], Case]] = {
    "drive": drive_case,
    "folder": folder_case,
    "rtsp": rtsp_case,
    "testpattern": pattern_case,
    "zoom": zoom_case,
}


def test_every_kind_is_in_the_suite() -> None:
    assert set(CASES) == set(KINDS)


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path, clip_at: Clip) -> Case:
    made = CASES[request.param](tmp_path, clip_at)
    request.addfinalizer(made.end)
    return made


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "data" / "into"  # made by who needs it


@pytest.fixture(autouse=True)
def block_by_block(afar: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a share: files cannot be linked, and arrive piece by piece."""
    monkeypatch.setattr(base, "BLOCK", 4096)


def media_in(folder: Path) -> list[Path]:
    """Return what lies under a final name, without sidecars; and check that there is no partial."""
    names = list(folder.iterdir()) if folder.exists() else []
    assert [p.name for p in names if p.name.startswith(".")] == []
    return sorted(path for path in names if path.suffix != ".json")


def test_finds_both_files(case: Case) -> None:
    found = case.find()
    starts = [item.start for item in found.items]
    assert starts == [case.span.start, case.span.start + timedelta(seconds=CLIP_S)]
    assert all(item.settled and item.size_bytes > 0 for item in found.items)
    assert not found.more_expected
    assert len({item.origin for item in found.items}) == 2


def test_finding_changes_nothing(case: Case, tmp_path: Path) -> None:
    before = state_of(tmp_path)
    assert case.find() == case.find()
    assert state_of(tmp_path) == before


def test_what_is_found_fits_the_tables(case: Case, into: Path) -> None:
    for item in case.find().items:
        assert len(item.origin) <= 512 and len(item.fingerprint) <= 128
        assert item.start.utcoffset() == timedelta() and item.end is not None
    assert all(len(one.path.name.encode()) <= 255 for one in case.collect(into))


def test_collected_media_is_of_its_instant(case: Case, into: Path) -> None:
    collected = case.collect(into)
    assert [one.item for one in collected] == list(case.find().items)
    assert sorted(one.path for one in collected) == media_in(into)
    for one in collected:
        seen = frames_seen(one.path, left_width=10_000)
        assert len(seen) == CLIP_S * RATE
        for n, frame in enumerate(seen):
            instant = one.item.start + timedelta(seconds=n / RATE)
            assert frame.left is not None and error_ms(frame.left, instant) == 0


def test_collected_again_is_the_same(case: Case, into: Path) -> None:
    first = case.collect(into)
    before = state_of(into)
    assert case.collect(into) == first
    assert state_of(into) == before


def test_what_is_growing_is_not_taken(case: Case, into: Path) -> None:
    now = case.grow()
    found = case.find(now)
    assert [item.settled for item in found.items] == [True, False]
    assert found.more_expected
    assert [one.item for one in case.collect(into, now=now)] == [found.items[0]]
    assert len(media_in(into)) == 1
    case.finish()
    assert len(case.collect(into)) == 2


def test_nothing_is_there(case: Case, into: Path) -> None:
    empty, now = case.nothing
    found = case.recorder.find(case.source, empty, now)
    assert found.items == () and found.more_expected
    assert case.recorder.collect(case.source, empty, into, now, never) == []
    assert media_in(into) == []


def test_cancelled_in_the_middle(case: Case, into: Path) -> None:
    partials: list[str] = []

    def cancelled() -> bool:
        inside = [p.name for p in into.glob(".merge-work-*/*.mp4") if p.stat().st_size >= 4096]
        partials.extend(inside)
        return bool(partials)

    with pytest.raises(Cancelled):
        case.collect(into, cancelled)
    assert partials, "it was not in the middle of anything"
    assert media_in(into) == [] and list(into.glob("*.json")) == []
    assert len(case.collect(into)) == len(media_in(into)) == 2


def test_cancelled_from_the_beginning(case: Case, into: Path) -> None:
    with pytest.raises(Cancelled):
        case.collect(into, lambda: True)
    assert media_in(into) == []


def test_an_address_that_makes_no_sense(case: Case, into: Path) -> None:
    case.recorder.check(case.source)
    for address in case.bad:
        source = dataclasses.replace(case.source, address=address)
        with pytest.raises(Refused) as told:
            case.recorder.check(source)
        assert told.value.code == "address" and case.source.name in str(told.value)
        with pytest.raises(Refused):
            case.recorder.find(source, case.span, case.now)
        with pytest.raises(Refused):
            case.recorder.collect(source, case.span, into, case.now, never)
    assert not into.exists()


def test_a_source_can_be_looked_at_once(case: Case) -> None:
    assert isinstance(case.recorder, CanBeProbed)
    within = timedelta(seconds=10)
    if case.source.kind == "rtsp":  # nobody here starts processes: tests/recorders/supervisor do
        with pytest.raises(Refused):
            case.recorder.probe(case.source, case.now, within)
        return
    seen = case.recorder.probe(case.source, case.now, within)
    words = in_russian(seen.found)
    assert {
        "drive": "504_camera", "folder": "2 файла", "testpattern": "не нужна", "zoom": "2026-11-20 10:00",
    }[case.source.kind] in words  # fmt: skip
    if case.source.kind == "folder":
        assert seen.jpeg is not None and seen.jpeg.startswith(b"\xff\xd8")
    for address in case.bad:
        with pytest.raises(Refused):
            case.recorder.probe(dataclasses.replace(case.source, address=address), case.now, within)


def test_an_example_of_an_address_is_one(case: Case) -> None:
    source = dataclasses.replace(case.source, address=EXAMPLES[case.source.kind])
    case.recorder.check(source)
    assert EXAMPLES.keys() == CASES.keys()
    for language in ("en", "ru"):
        for key in ("kind", "room.address_hint"):
            assert say(language, f"{key}.{case.source.kind}")


def test_credentials_can_be_checked_whatever_the_address_is(case: Case) -> None:
    assert isinstance(case.recorder, ChecksCredentials)
    source = dataclasses.replace(case.source, address="?", credentials="hunter2")
    with pytest.raises(Invalid) as refused:
        case.recorder.check_credentials(source)
    assert refused.value.code == "credentials" and "hunter2" not in str(refused.value)


def test_credentials_are_never_shown(case: Case) -> None:
    source = dataclasses.replace(case.source, credentials="hunter2")
    assert "hunter2" not in repr(source)
    try:
        case.recorder.check(source)
        shown = repr(case.recorder.find(source, case.span, case.now))
    except MergerError as error:
        shown = repr(error) + str(error)
    assert "hunter2" not in shown


# A process of its own, told what to do by standard input, that prints JSON.
CHILD = """
import errno, json, os, pickle, signal, subprocess, sys
from merger import failpoints
from merger.errors import MergerError
from recorders import base
from recorders.testing import testpattern

def link(*_, **__):
    raise OSError(errno.EXDEV, "another file system")

def collect():
    try:
        return len(recorder.collect(source, span, into, now, lambda: False))
    except MergerError as error:
        return [type(error).__name__, error.code, str(error)]

def killed(name):
    if name == place:
        os.kill(os.getpid(), signal.SIGKILL)

os.link, base.BLOCK = link, 4096
recorder, source, span, into, now, place = pickle.load(sys.stdin.buffer)
failpoints.hook = killed
if place == "full disk, found out":
    base.require_space = testpattern.require_space = lambda *_: None
said = [collect()]
if place.startswith("full disk"):
    said.append(sorted(os.listdir(into)))
    subprocess.run(["mount", "-o", "remount,size=64m", str(into)], check=True)
    said += [collect(), sorted(os.listdir(into))]
print(json.dumps(said))
"""


def run_child(
    case: Case, into: Path, place: str, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    told = pickle.dumps((case.recorder, case.source, case.span, into, case.now, place))
    command = [*before, sys.executable, "-W", "error", "-c", CHILD]
    return subprocess.run(command, cwd=ROOT, input=told, capture_output=True, check=False)


@pytest.mark.parametrize("place", ["recorder.copied", "recorder.sidecar"])
def test_killed_in_the_middle(case: Case, into: Path, place: str) -> None:
    killed = run_child(case, into, place)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(into.glob("*.mp4")) == [] and list(into.glob(".*")) != []
    collected = case.collect(into)
    assert len(collected) == 2
    assert media_in(into) == sorted(one.path for one in collected)
    names = {one.path.stem for one in collected}
    assert {path.stem for path in into.glob("*.json")} <= names


def test_the_leftovers_go_even_when_nothing_is_left_to_do(case: Case, into: Path) -> None:
    case.collect(into)
    dead = into / ".merge-work-dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "half.mp4").write_bytes(b"half")
    case.collect(into)
    assert len(media_in(into)) == 2


def tiny_disk(size: str = "32k") -> tuple[str, ...]:
    """Return how to run something with a small disk at `$INTO`; () where that is not possible."""
    unshare = shutil.which("unshare")
    if not unshare:
        return ()
    apart = [unshare, "-m"] if os.geteuid() == 0 else [unshare, "-Urm"]
    mounted = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    tried = subprocess.run(
        [*apart, "sh", "-c", mounted, str(ROOT / "tests"), "true"], capture_output=True, check=False
    )
    return (*apart, "sh", "-c", mounted) if tried.returncode == 0 else ()


@pytest.mark.parametrize("how", ["foreseen", "found out"])
def test_the_disk_is_full(case: Case, into: Path, how: str) -> None:
    disk = tiny_disk()
    if not disk:
        pytest.skip("NOT TESTED: no tmpfs can be mounted here, so no disk can be full")
    into.mkdir(parents=True)
    ran = run_child(case, into, f"full disk, {how}", (*disk, str(into)))
    assert ran.returncode == 0, ran.stderr.decode()
    full, left, done, there = json.loads(ran.stdout)
    assert full[:2] == ["Temporary", "disk_full"] and str(into) in full[2]
    assert ("needs" in full[2]) == (how == "foreseen")
    assert [name for name in left if name.endswith(".mp4") or name.startswith(".")] == []
    assert done == 2
    assert len([name for name in there if name.endswith(".mp4")]) == 2
    assert [name for name in there if name.startswith(".")] == []


def test_a_mistyped_kind() -> None:
    assert recorder_of(KINDS, "folder") is KINDS["folder"]
    with pytest.raises(Refused, match="did you mean 'folder'"):
        recorder_of(KINDS, "foldr")
    with pytest.raises(Refused, match=r"the choices are drive, folder, .*testpattern, zoom"):
        recorder_of(KINDS, "xyz")
