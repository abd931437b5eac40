"""Folders in Drive, created when they are missing: each once, however many workers need it.

Drive accepts two folders of one name in one place. So the id of a folder is reserved and stored
before the folder is created, and the first who stored one wins.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from google_apis.drive import files
from google_apis.http import Google
from merger.errors import Refused, Temporary
from merger.i18n import Message

_MOST_CREATED = 3  # in a row


_OTHER_IN_SETTING = Message("google.other_folder.setting")


class Memory(Protocol):
    """What is remembered for all workers, by name: the first who writes wins."""

    def get(self, name: str) -> str | None:
        """Return the value of a name."""

    def get_or_set(self, name: str, value: str) -> str:
        """Return the value of a name, which becomes this one where there was none."""

    def forget(self, name: str, value: str) -> None:
        """Forget a value, unless another has replaced it."""


@dataclass(frozen=True)
class Folders:
    """Folders by their names. memory: of all workers of a database."""

    google: Google
    memory: Memory

    def require(self, folder: str, room: str | None) -> None:
        """Raise Refused for a folder, named by people, that nothing can be put into.

        Args:
            room: whose folder it is; None for that of the setting.
        """
        there = files.get_file(self.google, folder)
        other = Message("google.other_folder.room", room=room) if room else _OTHER_IN_SETTING
        if there is None:
            raise Refused(
                "google_folder", "google.no_folder",
                folder=folder, account=self.google.account, other=other,
            )  # fmt: skip
        if there.get("trashed"):
            raise Refused("google_folder", "google.folder_in_bin", folder=folder, other=other)

    def below(self, parent: str, *names: str) -> str:
        """Return the id of the folder at the end of a path of names."""
        for name in names:
            parent = self._child(parent, name)
        return parent

    def _child(self, parent: str, name: str) -> str:
        key = f"drive-{hashlib.sha256(f'{parent}/{name}'.encode()).hexdigest()[:48]}"
        for _ in range(_MOST_CREATED):
            folder = self.memory.get(key)
            if folder is None:
                oldest = self._oldest(parent, name)
                folder = self.memory.get_or_set(key, oldest or files.reserve_id(self.google))
                if folder == oldest:
                    return folder
            there = files.get_file(self.google, folder)
            if there is None:
                files.make_folder(self.google, folder, name, parent)
                there = files.get_file(self.google, folder)
            if there is not None and not there.get("trashed"):
                return folder
            # Somebody put it into the bin, or deleted it for ever: another one is created.
            self.memory.forget(key, folder)
        raise Temporary("google_busy", "google.folder_vanishes", name=name)

    def _oldest(self, parent: str, name: str) -> str | None:
        """Return the oldest folder of this name that somebody has created."""
        query = (
            f"name = {files.quote(name)} and {files.quote(parent)} in parents"
            f" and mimeType = {files.quote(files.FOLDER)}"
        )
        return next((str(f["id"]) for f in files.find_files(self.google, query)), None)
