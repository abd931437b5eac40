"""Paths of the server, which help those who run it: others read the last name of each. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from merger.i18n import Message, Param

_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/;,()'\"«»]+/)*(?=[^\s/])")  # of an absolute path
_PLACES = ("path", "folder", "file", "link")  # parameters that are a path, or an address


def is_web_link(link: str | None) -> bool:
    """Return whether people can follow a link: one that is a path on the server they cannot."""
    return (link or "").lower().startswith(("http://", "https://"))


def without_folders(message: Message) -> Message:
    """Return a message that says of files on the server what they are called, but not where."""
    return Message(
        message.key, **{name: _without_folders(name, value) for name, value in message.items}
    )


def _without_folders(name: str, value: Param) -> Param:
    if isinstance(value, Message):
        return without_folders(value)
    if isinstance(value, tuple):
        return tuple(
            without_folders(v) if isinstance(v, Message) else _FOLDERS.sub("", v) for v in value
        )
    if not isinstance(value, str):
        return value
    if name in _PLACES and value.startswith("/"):
        return PurePosixPath(value).name
    return _FOLDERS.sub("", value)
