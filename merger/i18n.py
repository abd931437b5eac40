"""Texts for people in their language: catalogues as data, looked up by key.

A text is a sentence with {placeholders}. One that counts has forms (one, few, many, other) of which
`count` chooses. The core speaks English; what it says often is recognised by the English text of
`said`, and said again in the reader's language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FOLDER = Path(__file__).with_name("texts")
LANGUAGES = ("en", "ru")
FORMS = ("one", "few", "many", "other")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_WORDS = {"role", "status"}  # placeholders for words of the core that have texts of their own
_LONGEST_SAID = 1000  # characters; the core says nothing longer, unless somebody has typed it

Text = str | Mapping[str, str]


class Said(NamedTuple):
    """A sentence, and the language that it is in."""

    text: str
    language: str


Sentences = tuple[Said, ...]


def catalogue(language: str) -> dict[str, Text]:
    """Read all texts of a language, by their keys with dots."""
    text = (FOLDER / f"{language}.yaml").read_text("utf-8")
    return dict(_flat(yaml.safe_load(text)))


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Text]]:
    for name, value in node.items():
        key = f"{prefix}{name}"
        if isinstance(value, str) or ("other" in value and value.keys() <= set(FORMS)):
            yield key, value
        else:
            yield from _flat(value, f"{key}.")


_TEXTS = {language: catalogue(language) for language in LANGUAGES}


def has(key: str) -> bool:
    """Return whether there is a text of this key."""
    return key in _TEXTS[LANGUAGES[0]]


def say(language: str, key: str, **values: object) -> str:
    """Return a text. values: its placeholders; count chooses the form. Raises KeyError."""
    text = _TEXTS[language][key]
    if not isinstance(text, str):
        text = text[form(language, int(str(values["count"])))]
    return text.format(**values)


def form(language: str, count: int) -> str:
    """Return which form counts so many (https://cldr.unicode.org, plural rules of integers)."""
    if language != "ru":
        return "one" if count == 1 else "other"
    tens, ones = count // 10 % 10, count % 10
    if ones == 1 and tens != 1:
        return "one"
    return "few" if ones in (2, 3, 4) and tens != 1 else "many"


def chosen(wanted: Iterable[tuple[str, float]]) -> str:
    """Return the language for a reader. wanted: tags and their weights, the dearest first."""
    for tag, weight in wanted:
        language = tag.lower().partition("-")[0]
        if weight > 0 and language in LANGUAGES:
            return language
    return LANGUAGES[0]


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for key, text in _TEXTS["en"].items():
        if key.startswith("said.") and isinstance(text, str):
            yield key, _pattern(text)


def _pattern(text: str) -> re.Pattern[str]:
    """Return what recognises a text, in time that grows no faster than what is looked at.

    What was found up to the next words of the text is not looked for anew, further on: a name may
    repeat these words as often as somebody likes.
    """
    first, *rest = _PLACEHOLDER.split(text)
    parts = [
        f"(?P<{name}>[^;]+?){re.escape(words)}"
        for name, words in zip(rest[::2], rest[1::2], strict=True)
    ]
    return re.compile(
        re.escape(first) + "".join(f"(?>{part})" for part in parts[:-1]) + "".join(parts[-1:])
    )


_SAID = dict(_patterns())


def translated(language: str, sentence: str) -> Sentences:
    """Return what the core said in English in a language, as far as we know what it says.

    Several sentences may stand in one, with "; " between them.
    """
    if language == "en":
        return (Said(sentence, "en"),)
    whole = _known(language, sentence)
    if whole is not None:
        return (whole,)
    pieces = sentence.split("; ")
    known = tuple(_known(language, piece) for piece in pieces)
    if not any(known):
        return (Said(sentence, "en"),)
    return tuple(found or Said(piece, "en") for found, piece in zip(known, pieces, strict=True))


def _known(language: str, sentence: str) -> Said | None:
    if len(sentence) > _LONGEST_SAID:
        return None
    for key, pattern in _SAID.items():
        if match := pattern.fullmatch(sentence):
            found = match.groupdict()
            for name in _WORDS & found.keys():
                if has(word := f"{name}.{found[name]}"):
                    found[name] = say(language, word)
            if (why := found.get("why")) and (reason := _known(language, why)):
                found["why"] = reason.text
            return Said(say(language, key, **found), language)
    return None
