"""The kinds of failure, classified by who must act.

A foreign exception is translated into one of these once, at the border where it appears, with the
original as its cause.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from merger.i18n import Message, Param, sentences, verbatim

_KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
_MOST_CHOICES = 12  # words that are listed


class MergerError(Exception):
    """Any failure that this project knows how to explain.

    Args:
        code: a stable word for programs.
        message: what to tell a person, with what to do about it; or the key of that, with params.
    """

    def __init__(self, code: str, message: Message | str, /, **params: Param) -> None:
        if isinstance(message, str):
            message = Message(message, **params) if _KEY.fullmatch(message) else verbatim(message)
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return str(self.message)


class Temporary(MergerError):
    """Nobody has to act: the same call may succeed later (a full disk, a network share away)."""


class Refused(MergerError):
    """The requester has to act: what was requested makes no sense or cannot be had."""


class Invalid(Refused):
    """A field holds what cannot be used. code: the name of the field."""


class InvalidFields(Refused):
    """Several fields hold what cannot be used, perhaps.

    Args:
        fields: what is wrong with each, by its name; one at least.
    """

    def __init__(self, fields: Mapping[str, Message]) -> None:
        parts = [Message("error.of_field", field=name, why=why) for name, why in fields.items()]
        super().__init__("validation", sentences(parts))
        self.fields = dict(fields)


def refuse(wrong: Mapping[str, Message]) -> None:
    """Raise Invalid, or InvalidFields, where something is wrong with some fields."""
    if len(wrong) > 1:
        raise InvalidFields(wrong)
    for field, why in wrong.items():
        raise Invalid(field, why)


class NotFound(Refused):
    """What was named is not there, or not for this person. code: what it is."""


class Conflict(Refused):
    """It is not possible as things stand now."""


class Forbidden(Refused):
    """This person may not do that."""


class NoMedia(Refused):
    """No source has any media in the requested span."""


class Broken(MergerError):
    """The operator has to act: something that should work does not."""


class Cancelled(MergerError):
    """Somebody asked to stop; not a failure."""


def did_you_mean(word: str, words: Iterable[str]) -> Message:
    """Return what to add to "there is no …": the likeliest of some words, a few, or nothing."""
    choices = list(words)
    close = difflib.get_close_matches(word, choices, 1)
    if close:
        return Message("error.did_you_mean", word=close[0])
    if len(choices) == 1:
        return Message("error.only_choice", word=choices[0])
    if 0 < len(choices) <= _MOST_CHOICES:
        return Message("error.choices", words=tuple(choices))
    return Message("nothing")
