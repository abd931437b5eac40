"""Messages in Russian, for tests that nothing of a sentence is left in English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from merger import i18n
from merger.i18n import Message


def in_russian(message: Message | Mapping[str, Any]) -> str:
    """Return a message in Russian. Fails where a part of it has no Russian text.

    Args:
        message: as such, or as a document of the core.
    """
    if not isinstance(message, Message):
        message = i18n.from_json(message)
    for part in _parts(message):
        assert part.key != "verbatim", f"{part} has no key"
        assert i18n.text_key(part) in i18n.catalogue("ru"), f"{part.key} is not in Russian"
    return i18n.render("ru", message)


def _parts(message: Message) -> Iterator[Message]:
    """Yield a message, and those among its parameters, down to the last one."""
    yield message
    for value in message.params.values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Message):
                yield from _parts(part)
