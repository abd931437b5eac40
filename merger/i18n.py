"""Messages for people: a key and its parameters, put into words where a person reads them.

Catalogues are data: `texts/LANGUAGE.yaml`, one file for each language. A text is a sentence with
{placeholders}. One that counts has forms (one, few, many, other), of which `count` chooses.
English is complete; where another language lacks a text, the English one stands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Union

from merger.logs import mask_passwords

FOLDER = Path(__file__).with_name("texts")
SOURCE = "en"  # the language that has every text
FORMS = ("zero", "one", "two", "few", "many", "other")  # as CLDR names them
# Parameters that are words of the core, with texts of their own below `word`.
_WORDS = ("role", "status", "stage")

Param = Union[str, int, float, "Message", tuple["Message | str", ...]]
Text = str | Mapping[str, str]


@dataclass(frozen=True, init=False)
class Message:
    """Something to tell a person, in no language yet.

    As a string it is in English, which is what logs hold. Passwords in addresses never get into
    one: it may be shown, logged and kept.

    key: of its text, with dots; below `messages` in the catalogue, or as it is.
    params: for the placeholders. A message among them is put into the same language; several in a
        tuple are listed.
    """

    key: str
    items: tuple[tuple[str, Param], ...]

    def __init__(self, key: str, /, **params: Param) -> None:
        object.__setattr__(self, "key", key)
        items = tuple((name, _without_passwords(value)) for name, value in params.items())
        object.__setattr__(self, "items", items)

    @property
    def params(self) -> dict[str, Param]:
        return dict(self.items)

    def __str__(self) -> str:
        return render(SOURCE, self)


def _without_passwords(value: Param) -> Param:
    if isinstance(value, str):
        return mask_passwords(value)
    if isinstance(value, tuple):
        return tuple(mask_passwords(v) if isinstance(v, str) else v for v in value)
    return value


def verbatim(text: str) -> Message:
    """Return a message that says the same in every language: what others said, or old rows."""
    return Message("verbatim", text=text)


def sentences(messages: Iterable[Message]) -> Message:
    """Return several messages as one; a single one stays as it is."""
    several = tuple(messages)
    return several[0] if len(several) == 1 else Message("sentences", list=several)


# --- as JSON --------------------------------------------------------------------------------------


def to_json(message: Message) -> dict[str, Any]:
    """Return a message as plain values: {"key": …, "params": {…}}."""
    return {"key": message.key, "params": {name: _plain(value) for name, value in message.items}}


def _plain(value: Param) -> Any:
    if isinstance(value, Message):
        return to_json(value)
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def from_json(stored: Any) -> Message:
    """Return a message from plain values: of `to_json`, or a sentence that is older than keys."""
    if isinstance(stored, str):
        return verbatim(stored)
    return Message(stored["key"], **{name: _param(v) for name, v in stored["params"].items()})


def document(message: Message, field: str = "text") -> dict[str, Any]:
    """Return a message for programs: in English under a field, with its key and parameters."""
    return {field: str(message), **to_json(message)}


def _param(value: Any) -> Param:
    if isinstance(value, Mapping):
        return from_json(value)
    if isinstance(value, list):
        return tuple(from_json(v) if isinstance(v, Mapping) else str(v) for v in value)
    return value  # type: ignore[no-any-return]


# --- into words -----------------------------------------------------------------------------------


def render(language: str, message: Message) -> str:
    """Return a message in words. One whose key is unknown (of another version) shows its parts."""
    key = text_key(message)
    if key is None:
        return " ".join([message.key, *(f"{name}={value}" for name, value in message.items)])
    values = {name: _in_words(language, name, value) for name, value in message.items}
    return say(language, key, **values)


def _in_words(language: str, name: str, value: Param) -> Param:
    if isinstance(value, Message):
        return render(language, value)
    if isinstance(value, tuple):
        words = [render(language, v) if isinstance(v, Message) else v for v in value]
        return ("; " if name == "list" else ", ").join(words)
    if name in _WORDS and has(key := f"word.{name}.{value}"):
        return say(language, key)
    return value


def has(key: str) -> bool:
    """Return whether there is a text of this key."""
    return key in catalogue(SOURCE)


def text_key(message: Message) -> str | None:
    """Return the key of a message's text in the catalogues; None for one of another version."""
    return next((k for k in (f"messages.{message.key}", message.key) if has(k)), None)


def say(language: str, key: str, /, **values: object) -> str:
    """Return a text with its placeholders filled in.

    Args:
        language: one of `languages()`.
        key: of the text, with dots.
        values: for the placeholders; `count` chooses the form.

    Raises:
        KeyError: there is no such text, or a placeholder has no value.
    """
    text = catalogue(language).get(key)
    if text is None:
        language, text = SOURCE, catalogue(SOURCE)[key]
    if not isinstance(text, str):
        text = text[form(language, int(str(values["count"])))]
    return text.format(**values)


def form(language: str, count: int) -> str:
    """Return which form of a text counts so many, by the CLDR's plural rules."""
    return str(_plural_rule(language)(count))


@lru_cache
def _plural_rule(language: str) -> Any:
    from babel.core import Locale  # reads its data: only who counts pays that

    return Locale.parse(language).plural_form


# --- languages ------------------------------------------------------------------------------------


@lru_cache
def languages() -> tuple[str, ...]:
    """Return the languages that have a catalogue, English first."""
    found = {path.stem for path in FOLDER.glob("*.yaml")}
    return (SOURCE, *sorted(found - {SOURCE}))


def choose_language(accepted: Iterable[tuple[str, float]]) -> str:
    """Return the language for a reader.

    Args:
        accepted: language tags and their weights, as of Accept-Language, the best first.
    """
    for tag, weight in accepted:
        language = tag.lower().partition("-")[0]
        if weight > 0 and language in languages():
            return language
    return SOURCE


@lru_cache
def catalogue(language: str) -> Mapping[str, Text]:
    """Read all texts of a language, by their keys with dots."""
    import yaml  # whoever says nothing does not pay for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (FOLDER / f"{language}.yaml").read_text("utf-8")
    return dict(_flat(loader(text).get_single_data()))


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Text]]:
    for name, value in node.items():
        key = f"{prefix}{name}"
        if isinstance(value, str) or ("other" in value and value.keys() <= set(FORMS)):
            yield key, value
        else:
            yield from _flat(value, f"{key}.")
