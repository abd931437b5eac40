"""The reader's language: of pages, of problems, and of the sentences of the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from babel.core import Locale
from flask import current_app, g, request
from werkzeug.wrappers import Response

from merger import i18n
from merger.i18n import Message, from_json, verbatim


class Phrase(NamedTuple):
    """A text and its language: what comes from elsewhere, or from old rows, is not translated."""

    text: str
    language: str


Phrases = tuple[Phrase, ...]

_COOKIE = "merger-language"
_KEPT_FOR = timedelta(days=365)


def language() -> str:
    """Return the reader's language.

    That is the one that they have chosen: the person, or somebody in this browser; else the one
    that the browser prefers. Programs get what they ask for, whoever they act for.
    """
    chosen = None if g.get("by_key") else _chosen()
    return chosen if chosen in i18n.languages() else i18n.choose_language(request.accept_languages)


def _chosen() -> str | None:
    who = g.get("principal")
    return (who.language if who else None) or request.cookies.get(_COOKIE)


def keep_language(response: Response, code: str | None) -> None:
    """Have a browser keep a language for whoever is not signed in; None: not any more."""
    if code is None:
        response.delete_cookie(_COOKIE)
        return
    response.set_cookie(
        _COOKIE, code, max_age=int(_KEPT_FOR.total_seconds()), httponly=True, samesite="Lax",
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
    )  # fmt: skip


@lru_cache
def language_name(code: str) -> str:
    """Return the name of a language, in that language."""
    name = Locale.parse(code).get_language_name() or code
    return name[:1].upper() + name[1:]


def t(key: str, /, **values: object) -> str:
    """Return a text in the reader's language."""
    return i18n.say(language(), key, **values)


def word(kind: str, code: object, otherwise: str | None = None) -> str:
    """Return the text for a word of the core; if there is none, another one, or the word itself."""
    key = f"{kind}.{code}"
    return t(key) if i18n.has(key) else str(code) if otherwise is None else otherwise


def phrases_of(message: Message | Mapping[str, Any] | str) -> Phrases:
    """Return a message in the reader's language.

    Args:
        message: as such, as a document of the core (`i18n.document`), or a sentence without a key.
    """
    if not isinstance(message, Message):
        message = from_json(message)
    if message.key == "sentences":
        return tuple(part for each in _parts_of(message) for part in phrases_of(each))
    is_translated = message.key != "verbatim" and i18n.text_key(message) in i18n.catalogue(
        language()
    )
    spoken = language() if is_translated else i18n.SOURCE
    return (Phrase(i18n.render(language(), message), spoken),)


def _parts_of(message: Message) -> Iterator[Message]:
    parts = message.params.get("list", ())
    for part in parts if isinstance(parts, tuple) else ():
        yield part if isinstance(part, Message) else verbatim(part)


def translate_document(document: Any) -> Any:
    """Return a document of the core with its sentences in the reader's language.

    A sentence stands beside its key and parameters, as `message` or `text`; or, as in `warnings`
    and `error`, beside `warning_messages` and `error_message`, which hold them.
    """
    return document if language() == i18n.SOURCE else _translate(document)


def _translate(document: Any) -> Any:
    if isinstance(document, list):
        return [_translate(part) for part in document]
    if not isinstance(document, dict):
        return document
    found = {name: _translate(part) for name, part in document.items()}
    if "key" in document and "params" in document:
        field = next((name for name in ("message", "text") if name in document), None)
        if field is not None:
            found[field] = _words(document)
    for name, part in document.items():
        if name.endswith("_messages"):
            found[f"{name.removesuffix('_messages')}s"] = [_words(message) for message in part]
        elif name.endswith("_message") and part is not None:
            found[name.removesuffix("_message")] = _words(part)
    return found


def _words(document: Mapping[str, Any]) -> str:
    return i18n.render(language(), from_json(document))
