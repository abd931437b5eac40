"""What records one camera: a real process, and a real RTSP server with the clock in its pictures."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import av
import pytest

from merger.i18n import Message
from recorders.rtsp.capture_clock import LATENCY_US, SECOND_US
from recorders.rtsp.finish import finish_all
from recorders.rtsp.recordings import RAW
from recorders.rtsp.stream_writer import StreamWriter
from recorders.rtsp.wire import (
    Arriving,
    ChildMessage,
    Ended,
    FileClosed,
    Job,
    Progress,
    from_line,
    to_line,
)
from recorders.supervisor.finisher import Finisher
from recorders.supervisor.processes import Child
from tests.conftest import Room
from tests.recorders.cameras import CAMERAS, Camera, camera, looked_at, self_signed, uncut_zone
from tests.recorders.test_conformance import tiny_disk
from tests.support.waiting import DEADLINE_S, until

pytestmark = CAMERAS
M = TypeVar("M", bound=ChildMessage)


def job(one: Camera, into: Path, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "url": one.url, "credentials": None, "room": "504", "source": "speaker",
        "zone": uncut_zone(), "folder": str(into), "allowed": "127.0.0.1",
    }  # fmt: skip
    return Job(**{**values, **changes})


@contextmanager
def running(wanted: Job) -> Iterator[Heard]:
    """Give what a process says, which is read as long as somebody waits; end it."""
    child = Child(wanted)
    heard = Heard(child)
    try:
        yield heard
        child.stop()
        until(lambda: heard.more() is None and child.has_ended)
    finally:
        child.kill()
        child.close()


class Heard:
    """What a process has said. heard_us: when each message was heard."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.messages: list[ChildMessage] = []
        self.heard_us: list[int] = []
        self.complaints: list[str] = []

    def more(self) -> None:
        new = self.child.read_messages()
        self.messages += new
        self.heard_us += [time.time_ns() // 1000] * len(new)
        self.complaints += self.child.read_complaints()

    def of(self, kind: type[M]) -> list[M]:
        self.more()
        return [message for message in self.messages if isinstance(message, kind)]

    def size_bytes(self) -> int:
        """Return how much of what can be recorded has come."""
        return max((progress.size_bytes for progress in self.of(Progress)), default=0)

    @property
    def ended(self) -> Ended:
        [ended] = self.of(Ended)
        return ended


@pytest.mark.parametrize(
    "options",
    [
        ("--codec", "bframes"),
        ("--codec", "h265", "--pitch", "0"),
        ("--codec", "jpeg"),
        ("--key-s", "4"),
    ],
    ids=["bframes", "h265", "jpeg", "rare-keys"],
)
def test_every_kind_of_stream_is_exact(tmp_path: Path, options: tuple[str, ...]) -> None:
    with camera(*options) as one, running(job(one, tmp_path, grid_s=10)) as heard:
        until(lambda: heard.of(FileClosed))
        until(lambda: len(sizes := raw_sizes(tmp_path)) > 1 and sizes[1] > 20_000)
    seen = [looked_at(path) for path in finish_all(tmp_path)]
    for one_seen in seen:
        assert one_seen.clock == "camera" and max(map(abs, one_seen.errors_ms)) <= 1
    # Cut at the first key frame of the grid, and nothing is lost there.
    first, second, *_ = seen
    assert first.end is not None and abs(first.end - second.start) < timedelta(milliseconds=5)
    key_s = 4 if "--key-s" in options else 1
    into_cell = timedelta(seconds=second.start.timestamp() % 10)
    assert into_cell < timedelta(seconds=key_s + 0.1)


def test_key_frames_that_are_rarer_than_any_lecture_lasts(tmp_path: Path) -> None:
    """A camera sends one when it is connected to: with that one, the file begins."""
    with camera("--key-s", "3600") as one, running(job(one, tmp_path)) as heard:
        until(lambda: heard.size_bytes() > 60_000)
    assert len({progress.key_us for progress in heard.of(Progress)}) == 1
    [path] = finish_all(tmp_path)
    seen = looked_at(path)
    assert seen.clock == "camera" and max(map(abs, seen.errors_ms)) <= 1


def test_that_something_comes_is_said_before_the_first_key_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that who watches knows for how long to wait for one."""
    made = Room(tmp_path).film("speaker", 0, 2, container="mkv")
    with av.open(str(made)) as film:
        lead = film.streams.video[0]
        writer = StreamWriter(job(Camera(), tmp_path), (lead,), lead)
        for packet in film.demux(lead):
            if packet.pts is not None and not packet.is_keyframe:
                writer.write(packet, round(packet.pts * packet.time_base * SECOND_US))
    [first, *_] = map(from_line, capsys.readouterr().out.splitlines())
    assert isinstance(first, Arriving) and first.size_bytes > 0 and writer.current is None


def test_over_tls(tmp_path: Path) -> None:
    """With a certificate of the camera's own; nothing of it can be read on the way."""
    certificate = str(self_signed(tmp_path))
    options = ("--certificate", certificate, "--user", "viewer", "--password", "s3cr%t/p@ss")
    with camera(*options) as one:
        assert one.url.startswith("rtsps://")
        with running(job(one, tmp_path, credentials="viewer:s3cr%t/p@ss")) as heard:
            until(lambda: heard.size_bytes() > 60_000)
        wrong = {"credentials": "viewer:wrong"}, {"url": one.url.replace("rtsps:", "rtsp:")}
        for changes, ended in zip(wrong, ("credentials", "away"), strict=True):
            with running(job(one, tmp_path, **changes)) as refused:
                until(lambda refused=refused: refused.of(Ended))
            assert refused.ended.code == ended
    [path] = finish_all(tmp_path)
    seen = looked_at(path)
    assert seen.clock == "camera" and max(map(abs, seen.errors_ms)) <= 1
    assert heard.complaints == []


def raw_sizes(into: Path) -> list[int]:
    """Return how large the raw files are, in the order in which they were begun."""
    return [path.stat().st_size for path in sorted((into / RAW).glob("*.mkv"))]


@pytest.mark.parametrize("options", [("--mute-rtcp",), ("--wrong-clock",)], ids=["none", "wrong"])
def test_without_a_clock_arrival_counts(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A picture is of 150 ms before it arrived, which is later than it was taken.

    How much later is the machine's business, which may have others: what arrived had at least not
    arrived when it was taken, and had when somebody heard of it.
    """
    with camera(*options) as one, running(job(one, tmp_path)) as heard:
        until(lambda: heard.size_bytes() > 60_000)
    ended_at = datetime.now(UTC)
    [path] = finish_all(tmp_path)
    seen = looked_at(path)
    assert seen.clock == "arrival"
    [error_ms] = set(seen.errors_ms)
    assert error_ms <= LATENCY_US // 1000
    last_at = seen.start + timedelta(milliseconds=40 * (seen.frames - 1))
    assert last_at <= ended_at - timedelta(microseconds=LATENCY_US)
    assert {progress.by for progress in heard.of(Progress)} == {"arrival"}
    for message, heard_us in zip(heard.messages, heard.heard_us, strict=True):
        if isinstance(message, Progress):
            assert heard_us - message.at_us >= LATENCY_US


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tiny_disk()
    if not disk:
        pytest.skip("NOT TESTED: no tmpfs can be mounted here, so no disk can be full")
    with camera() as one:
        ran = subprocess.run(
            [*disk, str(tmp_path), sys.executable, "-m", "recorders.rtsp.child"],
            input=to_line(job(one, tmp_path)), text=True, capture_output=True, check=False,
        )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    ended = from_line(ran.stdout.splitlines()[-1])
    assert (
        isinstance(ended, Ended) and ended.code == "disk_full" and str(tmp_path) in str(ended.why)
    )


def test_an_address_that_does_not_exist(tmp_path: Path) -> None:
    with camera() as one:
        elsewhere = job(one, tmp_path, url=one.url.replace("/live", "/dead"))
        with running(elsewhere) as heard:
            until(lambda: heard.of(Ended))
    # A server may say so while nobody sends to it: it is tried again as what is away.
    assert heard.ended.code == "address" and not heard.ended.is_lasting
    with running(job(Camera(), tmp_path)) as heard:  # nobody is there
        until(lambda: heard.of(Ended))
    assert heard.ended.code == "away"
    with running(job(Camera(), tmp_path, allowed="")) as heard:
        until(lambda: heard.of(Ended))
    assert heard.ended.code == "address" and "MERGER_ALLOW_LOCAL_CAMERAS" in str(heard.ended.why)


@pytest.mark.parametrize("after", ["OPTIONS", "DESCRIBE"])
def test_a_camera_that_sends_us_elsewhere_is_not_followed(tmp_path: Path, after: str) -> None:
    """Nobody there hears anything of us, and least of all the password."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        place = f"127.0.0.1:{elsewhere.getsockname()[1]}"
        with redirecting(f"rtsp://eve:secret@{place}/live", after) as url:
            wanted = job(Camera(), tmp_path, url=url, credentials="viewer:s3cr%t")
            with running(wanted) as heard:
                until(lambda: heard.of(Ended))
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    why = Message("recorders.rtsp.redirected", place=place)
    assert heard.ended == Ended("address", why, is_lasting=True)
    assert heard.complaints == []


@contextmanager
def redirecting(to: str, after: str) -> Iterator[str]:
    """Give the address of a camera that sends who has said who it is elsewhere, at some request."""
    with socket.create_server(("127.0.0.1", 0)) as camera_:
        camera_.settimeout(DEADLINE_S)

        def answer() -> None:
            with camera_.accept()[0] as connection, connection.makefile("rb") as requests:
                while first := requests.readline().decode():
                    more = dict(
                        line.decode().strip().split(": ", 1)
                        for line in iter(requests.readline, b"\r\n")
                    )
                    status, headers = "200 OK", "Public: DESCRIBE, SETUP"
                    asks_who = after == "DESCRIBE" and "Authorization" not in more
                    if asks_who and first.startswith(after):
                        status, headers = "401 Who", 'WWW-Authenticate: Basic realm="camera"'
                    elif first.startswith(after):
                        status, headers = "302 Moved", f"Location: {to}"
                    said = f"RTSP/1.0 {status}\r\nCSeq: {more['CSeq']}\r\n{headers}\r\n\r\n"
                    connection.sendall(said.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"rtsp://127.0.0.1:{camera_.getsockname()[1]}/live"
        finally:
            thread.join()


def test_what_cannot_be_finished_waits_for_another_try(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the disk is full: here, a folder is in the way."""
    with camera() as one, running(job(one, tmp_path)) as heard:
        until(lambda: heard.size_bytes() > 30_000)
    [raw] = (tmp_path / RAW).glob("*.mkv")
    content = raw.read_bytes()
    raw.unlink()
    raw.mkdir()
    finisher = Finisher()
    finisher.add(tmp_path)
    until(lambda: finisher.go_on() is None and "not finished yet" in caplog.text)
    assert finisher.is_idle  # for a while
    raw.rmdir()
    raw.write_bytes(content)
    assert len(finish_all(tmp_path)) == 1
