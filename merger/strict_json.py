"""JSON that strangers send, read strictly.

Python's own reader also takes NaN and Infinity, which RFC 8259 does not know, makes an infinity of
a number such as 1e999, and lets through halves of characters, which no file and no table can hold.
Each of these would fail later, in a place that expects none.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from merger.i18n import Message


class UnusableJson(ValueError):
    """A document holds what nobody can use; the message says what."""

    def __init__(self, message: Message) -> None:
        super().__init__(str(message))
        self.message = message


def loads(text: str | bytes) -> Any:
    """Return what a text in JSON says. Raises UnusableJson, or ValueError where it is no JSON."""
    try:
        document = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeEncodeError as error:
        raise UnusableJson(Message("error.json_text")) from error
    return document


def _refuse(word: str) -> NoReturn:
    raise UnusableJson(Message("error.json_number", text=word))


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refuse(text[:40])
    return number
