"""Looking at a source for somebody who waits: whatever its recorder does, there is an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from merger.errors import Broken, Invalid, MergerError, Refused, Temporary
from merger.i18n import Message
from merger.ports.recorder import Probe, SourceOfRoom
from merger.rooms import probing

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SOURCE = SourceOfRoom(
    "504", "camera", "speaker", "fake", "rtsp://10.0.5.4/", ZoneInfo("UTC"), "user:s3cret"
)
FOUND = Probe(Message("recorders.rtsp.sends_pictures"), b"jpeg")


class Fake:
    """A recorder that does as it is told."""

    settle = timedelta()

    def __init__(self, act: Callable[[], Probe]) -> None:
        self.act = act

    def check(self, source: SourceOfRoom) -> None:
        pass

    def probe(self, source: SourceOfRoom, now: datetime, within: timedelta) -> Probe:
        assert (source, now) == (SOURCE, NOW)
        return self.act()


def probe(recorder: object, within: timedelta = timedelta(seconds=60)) -> Probe:
    return probing.probe_source(lambda kind: recorder, SOURCE, NOW, within)  # type: ignore[arg-type,return-value]


def raising(error: Exception) -> Callable[[], Probe]:
    def act() -> Probe:
        raise error

    return act


def test_what_is_there_is_shown() -> None:
    assert probe(Fake(lambda: FOUND)) == FOUND


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (Refused("credentials", "recorders.rtsp.credentials"), Refused, "it refuses the login"),
        (
            Invalid("address", "error.of_source", source="camera", why=Message("recorders.no_answer")),
            Invalid, "it does not answer",
        ),
        (
            Temporary("away", "recorders.rtsp.unreadable", why="no user:s3cret at rtsp://u:p4ss@h/"),
            Temporary, "it cannot be read (no *** at rtsp://u:***@h/)",
        ),
        (ZeroDivisionError("s3cret"), Broken, "a bug in this program (ZeroDivisionError)"),
    ],
)  # fmt: skip
def test_why_nothing_is_there(error: Exception, kind: type[MergerError], words: str) -> None:
    with pytest.raises(kind) as refused:
        probe(Fake(raising(error)))
    assert words in str(refused.value) and "camera" not in str(refused.value)
    assert probing._free._value == probing._AT_ONCE  # type: ignore[attr-defined]


def test_a_kind_that_cannot_be_looked_at() -> None:
    class Silent:
        def check(self, source: SourceOfRoom) -> None:
            pass

    with pytest.raises(Invalid, match="sources of the kind fake cannot be tested"):
        probe(Silent())


def test_whoever_hangs_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "_GRACE", timedelta())
    monkeypatch.setattr(probing, "_free", threading.BoundedSemaphore(1))
    goes_on, has_ended = threading.Event(), threading.Event()

    def hang() -> Probe:
        goes_on.wait()
        has_ended.set()
        return FOUND

    with pytest.raises(Temporary, match="there is no answer within 0 s"):
        probe(Fake(hang), timedelta(milliseconds=1))
    with pytest.raises(Temporary, match="other connections are being tested"):
        probe(Fake(lambda: FOUND))
    goes_on.set()
    has_ended.wait()
    probing._free.acquire()  # it was given back
