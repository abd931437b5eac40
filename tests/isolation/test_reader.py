"""Reading in a process of its own: whatever a file does to it, ours goes on and knows which file."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from merger.analysis.looking import look_at
from merger.errors import Broken, Temporary
from merger.i18n import Message
from merger.isolation import reader, wire
from merger.isolation.reader import LENGTH, Unreadable
from merger.timeline.clock import Stretch
from merger.timeline.media import Audio, MediaFile, Video
from tests.support.waiting import status_of, until

VIDEO = Video(
    stream=0, codec="h264", width=320, height=180, pixel_aspect=Fraction(4, 3), rotation=90,
    pixel_format="yuv420p", full_range=False, matrix=None, interlaced=False, frame_us=40_000,
    variable_rate=False, reorders=True,
)  # fmt: skip
MEDIA = MediaFile(
    path=Path("/library/a.mp4"), demuxer="mov", size_bytes=1 << 40, mtime_ns=5, video=VIDEO,
    audio=Audio(1, "aac", 48_000, 2), picture_us=np.arange(0, 4_000_000, 40_000),
    picture_ends_us=4_000_000, key_us=np.array([0]), key_read_us=np.array([0]),
    sound=(Stretch(0, 4_000_000),), zero_us=0,
    complaints=(Message("media.of_file", file="ä", what=Message("media.empty")),),
)  # fmt: skip


# What readers are asked to do here: functions of a module, as everywhere.


def parent() -> int:
    return os.getppid()


def count(kept: list[int] = []) -> int:  # noqa: B006
    kept.append(1)
    return len(kept)


def same(media: MediaFile) -> MediaFile:
    return media


_prepared_by: list[int] = []


def prepare() -> None:
    """Once, before the forks."""
    _prepared_by[:] = _prepared_by or [os.getpid()]


def prepared_by() -> list[int]:
    return _prepared_by


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)


def leave(code: int) -> None:
    os._exit(code)


def end_once(mark: Path) -> str:
    if not mark.exists():
        mark.touch()
        os.abort()
    return "alive"


def fail(how: str) -> None:
    if how == "overflow":
        raise OverflowError("date value out of range")
    if how == "assert":
        raise AssertionError
    if how == "os":
        Path("/no/such/file").read_bytes()
    if how == "temporary":
        raise Temporary("input_changed", "media.changed", path="/a")
    if how == "broken":
        raise Broken("parts", "render.parts_differ")
    raise Unreadable(Message("media.empty"))


def chatter() -> int:
    print("a library says something")
    os.write(1, b"and a native one, too\n")
    return 7


def forge() -> int:
    """Answer the next requests, too, wherever answers might be written."""
    for pipe in range(3, 20):
        with suppress(OSError):
            answer = wire.encode((None, 8))
            os.write(pipe, LENGTH.pack(len(answer)) + answer)
    return 7


def environment() -> dict[str, str]:
    return dict(os.environ)


def wrong_type() -> int:
    return "no number"  # type: ignore[return-value]


def wait_for(path: Path) -> int:
    path.open("rb").read(1)  # a pipe, until somebody writes
    return os.getpid()


def test_what_a_reader_returns_arrives_as_it_was() -> None:
    found = reader.call(same, MEDIA)
    for name in ("path", "demuxer", "size_bytes", "video", "audio", "sound", "complaints", "torn"):
        assert getattr(found, name) == getattr(MEDIA, name)
    assert np.array_equal(found.picture_us, MEDIA.picture_us) and found.key_us.dtype == np.int64
    assert found.length_us == MEDIA.length_us


def test_one_process_answers_one_request_after_another() -> None:
    assert reader.call(parent) == reader.call(parent) != os.getpid()


def test_what_is_the_same_for_all_files_is_made_ready_once() -> None:
    assert [reader.call(prepared_by) for _ in range(2)] == [[reader.call(parent)]] * 2


def test_what_a_file_did_to_its_reader_does_not_reach_the_next() -> None:
    assert reader.call(parent) == reader.call(parent)
    assert [reader.call(count), reader.call(count)] == [1, 1]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_file_that_ends_the_reader_twice_is_unreadable(number: signal.Signals) -> None:
    with pytest.raises(Unreadable, match=number.name):
        reader.call(end_by, number)
    assert reader.call(chatter) == 7


def test_a_reader_that_leaves_is_no_answer() -> None:
    with pytest.raises(Unreadable, match="exit 3"):
        reader.call(leave, 3)


def test_a_file_cannot_answer_for_the_next() -> None:
    with pytest.raises(Unreadable):
        reader.call(forge)
    assert [reader.call(chatter), reader.call(chatter)] == [7, 7]


def test_a_reader_that_was_killed_once_says_nothing_of_the_file(tmp_path: Path) -> None:
    assert reader.call_writing(tmp_path, end_once, tmp_path / "mark") == "alive"


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ("overflow", Unreadable, "OverflowError"),
        ("assert", Unreadable, "AssertionError"),
        ("os", FileNotFoundError, "/no/such/file"),
        ("temporary", Temporary, "changed"),
        ("broken", Broken, "parts"),
        ("unreadable", Unreadable, "empty"),
    ],
)
def test_what_a_function_raises_arrives(how: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text) as raised:
        reader.call(fail, how)
    if isinstance(raised.value, OSError):
        assert raised.value.errno == errno.ENOENT
    if isinstance(raised.value, Temporary):
        assert raised.value.code == "input_changed"


def test_what_libraries_print_is_no_answer() -> None:
    assert reader.call(chatter) == 7


def test_our_secrets_are_not_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    reader.end_all()
    monkeypatch.setenv("MERGER_DATABASE_PASSWORD", "hunter2")
    assert not [name for name in reader.call(environment) if name.startswith("MERGER")]


def test_an_answer_of_another_type_is_refused() -> None:
    with pytest.raises(Unreadable, match="Expected `int"):
        reader.call(wrong_type)
    with pytest.raises(ValueError):
        wire.decode(wire.encode({"key_us": 5}), MediaFile)


def test_threads_that_read_at_the_same_time_have_readers_of_their_own(tmp_path: Path) -> None:
    pipes = [tmp_path / "a", tmp_path / "b"]
    for pipe in pipes:
        os.mkfifo(pipe)
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(reader.call, wait_for, pipe) for pipe in pipes]
        # Each opens once its reader waits at the other end, so both wait at once here.
        opened = [pipe.open("wb") for pipe in pipes]
        for file in opened:
            file.close()
        assert len({call.result(timeout=60) for call in calls}) == 2


def test_a_reader_ends_with_the_thread_that_gave_up(tmp_path: Path) -> None:
    """An answer that nobody waited for must not be taken for that to the next request."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:

        def signal_when_it_reads() -> None:
            with pipe.open("wb"):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                done.wait(60)

        done = threading.Event()
        beside = threading.Thread(target=signal_when_it_reads)
        beside.start()
        with pytest.raises(Interrupted):
            reader.call(wait_for, pipe)
        done.set()
        beside.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert reader.call(chatter) == 7


ASKER = "import time\nfrom merger.isolation import reader\nreader.call(time.sleep, 600)"


def children_of(pid: int) -> list[int]:
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if status_of(int(process.name), "PPid") == str(pid)
    ]


@pytest.mark.parametrize("killed", ["asker", "reader"])
def test_nothing_is_read_on_once_nobody_waits(killed: str) -> None:
    root = Path(reader.__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", ASKER], cwd=root, stderr=-1) as asker:
        child = until(lambda: children_of(asker.pid))[0]
        fork = until(lambda: children_of(child))[0]
        os.kill(asker.pid if killed == "asker" else child, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{fork}").exists())
        asker.kill()
        until(lambda: not Path(f"/proc/{child}").exists())


def test_a_reader_has_no_threads_that_its_forks_would_miss() -> None:
    reader.end_all()
    with pytest.raises(Temporary):  # once the cards are drawn
        reader.call(look_at, MEDIA, [], [], ())
    [child] = reader._idle
    assert status_of(child._process.pid, "Threads") == "1"
