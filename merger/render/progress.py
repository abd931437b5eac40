"""How a merge gets on, as a person sees it: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TextIO

from merger.i18n import Message
from merger.logs import printable

_BAR = 24
_LINE_EVERY_S = 10.0
_DRAW_EVERY_S = 0.1


class Reporter(Protocol):
    """Whoever wants to know how a merge gets on."""

    def stage(self, name: str) -> None:
        """Tell that a stage begins."""

    def progress(self, done: float, total: float, *, media: bool = False) -> None:
        """Tell how much of a stage is done.

        Args:
            media: done and total are seconds of media, of which the speed is of interest.
        """

    def note(self, message: Message) -> None:
        """Tell something worth reading that is not a warning about the result."""


class Silent:
    """Tells nobody."""

    def stage(self, name: str) -> None: ...
    def progress(self, done: float, total: float, *, media: bool = False) -> None: ...
    def note(self, message: Message) -> None: ...


class Terminal:
    """Writes to a stream: a bar that redraws itself on a terminal, a line now and then elsewhere.

    Args:
        now: a monotonic clock in seconds.
        width: of the terminal in columns, 0 for one that cannot redraw a line.
    """

    def __init__(
        self, stream: TextIO, now: Callable[[], float], width: Callable[[], int] = lambda: 80
    ) -> None:
        self._stream = stream
        self._now = now
        self._bar = stream.isatty() and width() > 0
        self._width = width
        self._drawn = False
        self._stage = ""
        self._begun = self._last = now()
        self._first_done: float | None = None

    def stage(self, name: str) -> None:
        self.clear()
        self._stage, self._begun, self._first_done = name, self._now(), None
        self._last = self._begun if not self._bar else self._begun - _DRAW_EVERY_S
        if not self._bar:
            self._write(f"{name} ...\n")

    def progress(self, done: float, total: float, *, media: bool = False) -> None:
        now = self._now()
        if self._first_done is None:
            self._first_done = done  # what was there already took no time
        if now - self._last < (_DRAW_EVERY_S if self._bar else _LINE_EVERY_S):
            return
        self._last = now
        text = describe(done, total, now - self._begun, done - self._first_done, media=media)
        if not self._bar:
            self._write(f"{self._stage}: {text}\n")
            return
        filled = round(_BAR * min(1.0, done / total)) if total else 0
        line = f"{self._stage:8} [{'#' * filled}{'.' * (_BAR - filled)}] {text}"
        self._write(f"\r\x1b[K{line[: self._width() - 1]}")
        self._drawn = True

    def note(self, message: Message) -> None:
        self.clear()
        self._write(f"{printable(str(message))}\n")

    def clear(self) -> None:
        """Remove the bar, so that other text can follow."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def describe(done: float, total: float, spent_s: float, new: float, *, media: bool) -> str:
    """Return percent, speed and time left in words.

    Args:
        new: how much was done in the time spent; what came from the cache is no part of it.
    """
    words = [f"{100 * done / total:.0f} %" if total else "0 %"]
    if spent_s > 0 and new > 0:
        pace = new / spent_s
        if media:
            words.append(f"{pace:.1f} x real time")
        words.append(f"{clock((total - done) / pace)} left")
    return ", ".join(words)


def clock(seconds: float) -> str:
    """Return a length as h:mm:ss or m:ss."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
