"""The four kinds of failure, classified by who must act.

A foreign exception is translated into one of these once, at the border where it appears, with the
original as its cause. `code` is a stable word for programs; the message is a sentence for people
that says what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MergerError(Exception):
    """Any failure that this project knows how to explain."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Temporary(MergerError):
    """Nobody has to act: the same call may succeed later (a full disk, a network share away)."""


class Refused(MergerError):
    """The requester has to act: what was asked for makes no sense or cannot be had."""


class NoMedia(Refused):
    """No source has any media in the requested span."""


class Broken(MergerError):
    """The operator has to act: something that should work does not."""


class Cancelled(MergerError):
    """Somebody asked to stop; not a failure."""


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a phrase that names the likeliest of some words, or all of a few, or nothing."""
    known = list(words)
    close = difflib.get_close_matches(word, known, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(known) == 1:
        return f"; there is only {known[0]!r}"
    return f"; there are {', '.join(known)}" if 0 < len(known) <= 12 else ""
