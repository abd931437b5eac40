"""Folders in Drive, made when they are missing: each once, whoever asks for it at the same time.

Drive takes two folders of one name in one place. So the id of a folder is reserved, written down
before it is made, and the first who wrote it down is right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from google_apis.drive import files
from google_apis.http import Google
from merger.errors import Refused, Temporary

_MOST_MADE = 3  # in a row


class Memory(Protocol):
    """What is remembered for all workers, by a name: whoever writes first is right."""

    def known(self, name: str) -> str | None:
        """Return what is known under a name."""

    def settled(self, name: str, value: str) -> str:
        """Return what is known under a name; that is the value, where nothing was."""

    def forget(self, name: str, value: str) -> None:
        """Forget a value, unless it has become another one."""


@dataclass(frozen=True)
class Folders:
    """Folders by their names. memory: of all workers of a database."""

    google: Google
    memory: Memory

    def require(self, folder: str, other: str) -> None:
        """Raise Refused for a folder that people named and in which nothing is to be put.

        other: how to name another one, as advice.
        """
        there = files.get_file(self.google, folder)
        if there is None:
            raise Refused(
                "google_folder",
                f"there is no folder {folder} in Drive, or not for {self.google.account}; share it"
                f" with that address, with the right to change it, or {other}",
            )
        if there.get("trashed"):
            raise Refused(
                "google_folder",
                f"the folder {folder} in Drive is in the bin, which Drive empties; take it out, or"
                f" {other}",
            )

    def below(self, parent: str, *names: str) -> str:
        """Return the id of the folder at the end of a path of names."""
        for name in names:
            parent = self._one(parent, name)
        return parent

    def _one(self, parent: str, name: str) -> str:
        key = f"drive-{hashlib.sha256(f'{parent}/{name}'.encode()).hexdigest()[:48]}"
        for _ in range(_MOST_MADE):
            known = self.memory.known(key)
            if known is None:
                found = self._there(parent, name)
                known = self.memory.settled(key, found or files.reserved_id(self.google))
                if known == found:
                    return known
            there = files.get_file(self.google, known)
            if there is None:
                files.make_folder(self.google, known, name, parent)
                there = files.get_file(self.google, known)
            if there is not None and not there.get("trashed"):
                return known
            # Somebody put it into the bin, or deleted it for ever: another one is made.
            self.memory.forget(key, known)
        raise Temporary("google_busy", f"the folder {name!r} in Drive vanishes again and again")

    def _there(self, parent: str, name: str) -> str | None:
        """Return the oldest folder of this name that somebody has made."""
        query = (
            f"name = {files.quoted(name)} and {files.quoted(parent)} in parents"
            f" and mimeType = {files.quoted(files.FOLDER)}"
        )
        ids = [str(one["id"]) for one in files.find_files(self.google, query)]
        return ids[0] if ids else None
