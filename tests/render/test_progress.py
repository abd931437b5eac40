"""What a terminal and a log file are told while a merge works."""

import io

import pytest

from merger.i18n import verbatim
from merger.render.progress import Silent, Terminal, clock, describe

pytestmark = pytest.mark.quick

CLEAR = "\r\x1b[K"


class Screen(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


class Told:
    """A reporter with a clock that is moved by hand."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream
        self.now = 1000.0
        self.reporter = Terminal(stream, lambda: self.now)

    def after(self, seconds: float, done: float, total: float = 100, *, media: bool = True) -> str:
        """Return what is written when some is done after a while."""
        self.now += seconds
        before = len(self.stream.getvalue())
        self.reporter.progress(done, total, media=media)
        return self.stream.getvalue()[before:]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"),
     (90_061, "25:01:01"), (-5, "0:00")],
)  # fmt: skip
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("done", "total", "spent", "new", "media", "text"),
    [
        (0, 100, 0, 0, True, "0 %"),
        (0, 0, 5, 0, True, "0 %"),
        (25, 100, 5, 25, True, "25 %, 5.0 x real time, 0:15 left"),
        (25, 100, 5, 25, False, "25 %, 0:15 left"),
        (100, 100, 10, 100, True, "100 %, 10.0 x real time, 0:00 left"),
        # what came from the cache took no time, and says nothing about the pace
        (90, 100, 10, 10, True, "90 %, 1.0 x real time, 0:10 left"),
        (90, 100, 10, 0, True, "90 %"),
        (3, 7200, 6, 3, True, "0 %, 0.5 x real time, 3:59:54 left"),
    ],
)
def test_describe(
    done: float, total: float, spent: float, new: float, media: bool, text: str
) -> None:
    assert describe(done, total, spent, new, media=media) == text


def test_a_log_gets_plain_lines_and_none_more_often_than_every_ten_seconds() -> None:
    told = Told(io.StringIO())
    told.reporter.stage("encode")
    assert told.stream.getvalue() == "encode ...\n"
    assert told.after(0, 0) == ""
    assert told.after(9.9, 10) == ""
    assert told.after(0.1, 10) == "encode: 10 %, 1.0 x real time, 1:30 left\n"
    assert told.after(9.9, 20) == ""
    assert told.after(5, 30) == "encode: 30 %, 1.2 x real time, 0:58 left\n"
    told.reporter.note(verbatim("ignored notes.txt"))
    told.reporter.stage("join")
    assert told.stream.getvalue().endswith("ignored notes.txt\njoin ...\n")
    assert told.after(9, 50) == ""  # each stage has its own ten seconds
    assert "\r" not in told.stream.getvalue()
    assert "\x1b" not in told.stream.getvalue()


def test_a_terminal_gets_a_bar_that_redraws_itself() -> None:
    told = Told(Screen())
    told.reporter.stage("encode")
    assert told.after(0, 0) == f"{CLEAR}encode   [........................] 0 %"
    assert told.after(0.05, 1) == ""
    drawn = told.after(9.95, 50)
    assert drawn == f"{CLEAR}encode   [############............] 50 %, 5.0 x real time, 0:10 left"
    assert told.after(5, 120).startswith(f"{CLEAR}encode   [########################] 120 %")
    assert "\n" not in told.stream.getvalue()


def test_a_bar_is_cleared_before_anything_else_is_written() -> None:
    told = Told(Screen())
    told.reporter.stage("encode")
    told.after(1, 10)
    for act, text in (
        (lambda: told.reporter.note(verbatim("a note")), f"{CLEAR}a note\n"),
        (lambda: told.reporter.stage("join"), CLEAR),
        (told.reporter.clear, CLEAR),
    ):
        told.after(1, 20)
        before = len(told.stream.getvalue())
        act()
        told.reporter.clear()  # a second time there is nothing left to clear
        assert told.stream.getvalue()[before:] == text


def test_what_was_there_at_the_beginning_of_a_stage_does_not_count_for_its_speed() -> None:
    told = Told(io.StringIO())
    told.reporter.stage("encode")
    told.after(0, 80)  # from the cache
    assert told.after(10, 90) == "encode: 90 %, 1.0 x real time, 0:10 left\n"


def test_an_empty_stage_is_no_mistake() -> None:
    told = Told(Screen())
    told.reporter.stage("collect")
    assert told.after(1, 0, 0, media=False) == f"{CLEAR}collect  [........................] 0 %"


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.stage("encode")
    silent.progress(1, 2, media=True)
    silent.note(verbatim("nobody hears this"))
    assert capsys.readouterr() == ("", "")
