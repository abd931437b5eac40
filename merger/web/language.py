"""The reader's language: of pages, of problems, and of what the API says in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import request

from merger import i18n
from merger.i18n import Message, from_json


class Phrase(NamedTuple):
    """A text, and the language that it is in: what others said, or old rows, is not translated."""

    text: str
    language: str


Phrases = tuple[Phrase, ...]


def language() -> str:
    """Return the language of whoever reads, as their browser or program says."""
    return i18n.choose_language(request.accept_languages)


def t(key: str, /, **values: object) -> str:
    """Return a text in the reader's language."""
    return i18n.say(language(), key, **values)


def named(kind: str, code: object, otherwise: str | None = None) -> str:
    """Return the text for a word of the core; where there is none, the word, or another."""
    key = f"{kind}.{code}"
    return t(key) if i18n.has(key) else str(code) if otherwise is None else otherwise


def phrases_of(message: Message | Mapping[str, Any] | str) -> Phrases:
    """Return a message in the reader's language.

    Args:
        message: as such, as a document of the core (`i18n.document`), or a sentence without a key.
    """
    if not isinstance(message, Message):
        message = from_json(message)
    if message.key == "verbatim":
        return (Phrase(str(message), i18n.SOURCE),)
    return (Phrase(i18n.render(language(), message), language()),)


def translate_document(document: Any) -> Any:
    """Return a document of the core with its sentences in the reader's language.

    A sentence stands beside its key and parameters, under `text` or `message`; warnings stand in a
    list beside that of their messages.
    """
    if language() == i18n.SOURCE:
        return document
    if isinstance(document, list):
        return [translate_document(part) for part in document]
    if not isinstance(document, dict):
        return document
    found = {name: translate_document(part) for name, part in document.items()}
    if "key" in found and "params" in found:
        field = "message" if "message" in found else "text"
        found[field] = i18n.render(language(), from_json(document))
    if "warnings" in found and "warning_messages" in found:
        messages = [from_json(message) for message in document["warning_messages"]]
        found["warnings"] = [i18n.render(language(), message) for message in messages]
    return found
