"""Reading in a process of its own: whatever a file does to it, ours goes on and knows which file."""

from __future__ import annotations

import errno
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from merger.errors import Broken, Temporary
from merger.i18n import Message
from merger.isolation import reader, wire
from merger.isolation.reader import Unreadable
from merger.timeline.clock import Stretch
from merger.timeline.media import Audio, MediaFile, Video

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


def pid() -> int:
    return os.getpid()


def same(media: MediaFile) -> MediaFile:
    return media


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
    assert reader.call(pid) == reader.call(pid) != os.getpid()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_file_that_ends_the_reader_twice_is_unreadable(number: signal.Signals) -> None:
    with pytest.raises(Unreadable, match=number.name):
        reader.call(end_by, number)
    assert reader.call(chatter) == 7


def test_a_reader_that_leaves_is_no_answer() -> None:
    with pytest.raises(Unreadable, match="exit 3"):
        reader.call(leave, 3)


def test_a_reader_that_was_killed_once_says_nothing_of_the_file(tmp_path: Path) -> None:
    assert reader.call(end_once, tmp_path / "mark") == "alive"


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
