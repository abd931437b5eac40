"""Names and titles that people wrote, as they may be shown. Pure."""

from __future__ import annotations

import unicodedata

LONGEST_NAME = 255  # characters, as the tables have it

# Controls, formats (which turn the direction of text, or cannot be seen), halves of characters.
_NO_TEXT = ("Cc", "Cf", "Cs")
# Formats that are a part of words: Persian and the scripts of India need them, and so do emoji.
_JOINERS = "\u200c\u200d"


def clean_name(text: str) -> str:
    """Return a name as one line, without characters that decide how the text around it is shown.

    A name could else be read backwards, hide its end, or look like another one.
    """
    line = "".join(c for c in text if c.isspace() or c in _JOINERS or not _is_no_text(c))
    return " ".join(line.split()).strip(f" {_JOINERS}")


def _is_no_text(character: str) -> bool:
    return unicodedata.category(character) in _NO_TEXT
