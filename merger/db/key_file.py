"""The key file: with what secrets are encrypted in the tables, so that a copy of those tells none.

It holds a key in each line, the newest first. What is written is encrypted with the newest, what is
read may be of any: so copies of the database from before a change of keys stay readable, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Engine

from merger.errors import Broken
from merger.storage.private import create_private_file, make_private_folder, replace_private_file

if TYPE_CHECKING:  # whoever reads no secret does not pay for it
    from cryptography.fernet import MultiFernet

MARK = "fernet:"  # what encrypted texts begin with in the tables
_CODE = "secret_key"
_Stamp = tuple[int, int, int]


class KeyFile:
    """Encrypts and decrypts with the keys in a file, which is read when it is needed first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: MultiFernet | None = None
        self._stamp: _Stamp | None = None  # of the file that they were read from

    def encrypt(self, text: str) -> str:
        """Return a text as the tables are to hold it: as it is as long as there is no key."""
        self._read_changed()
        if self._keys is None:
            return text
        return MARK + self._keys.encrypt(text.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """Return what a text of the tables says: one that is not encrypted says itself.

        Raises:
            Broken: the key is missing, or another one.
        """
        if not stored.startswith(MARK):
            return stored
        if self._keys is None:
            self._read_changed()
        text = self._decrypt(stored)
        if text is None and self._read_changed():  # by whoever has changed the key meanwhile
            text = self._decrypt(stored)
        if text is None:
            key = "db.key_missing" if self._keys is None else "db.key_wrong"
            raise Broken(_CODE, key, file=str(self.path))
        return text

    def exists(self) -> bool:
        return self.path.exists()

    def create(self) -> None:
        """Make the file, with a first key, unless it is there. Raises Broken."""
        try:
            make_private_folder(self.path.parent)
            create_private_file(self.path, _new_key())
        except OSError as error:
            raise self._unwritable(error) from error

    def add_key(self) -> None:
        """Put a new key before those that are there. Raises Broken; then all is as it was."""
        try:
            replace_private_file(self.path, _new_key() + self.path.read_text())
        except OSError as error:
            raise self._unwritable(error) from error

    def _decrypt(self, stored: str) -> str | None:
        if self._keys is None:
            return None
        from cryptography.fernet import InvalidToken

        try:
            return self._keys.decrypt(stored.removeprefix(MARK)).decode()
        except InvalidToken:
            return None

    def _read_changed(self) -> bool:
        """Read the file where it is not the one that was read; return whether it was another.

        One that is gone changes nothing: what was read goes on to be used.
        """
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp == self._stamp:
                return False
            self._keys = _keys_in(self.path.read_text())
        except FileNotFoundError:
            return False
        except OSError as error:
            why = error.strerror or str(error)
            raise Broken(_CODE, "db.key_unreadable", file=str(self.path), why=why) from error
        except ValueError as error:
            raise Broken(_CODE, "db.key_malformed", file=str(self.path)) from error
        self._stamp = stamp
        return True

    def _unwritable(self, error: OSError) -> Broken:
        why = error.strerror or str(error)
        return Broken(_CODE, "db.key_unwritable", file=str(self.path), why=why)


def _keys_in(text: str) -> MultiFernet:
    """Return the keys of a file. Raises ValueError where there are none, or something else."""
    from cryptography.fernet import Fernet, MultiFernet

    return MultiFernet([Fernet(line) for line in text.split()])


def _new_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode() + "\n"


# --- whose key it is ------------------------------------------------------------------------------

# An engine has a dialect of its own, which is all that the type of a column is told.
_of_dialects: WeakKeyDictionary[Dialect, KeyFile] = WeakKeyDictionary()


def use_key_file(engine: Engine, path: Path) -> None:
    """Encrypt and decrypt secrets with a key file, wherever this engine writes or reads them.

    Without one, they are written as they are, and those that are encrypted cannot be read.
    """
    known = _of_dialects.get(engine.dialect)
    if known is None or known.path != path:
        _of_dialects[engine.dialect] = KeyFile(path)


def key_file_of(dialect: Dialect) -> KeyFile | None:
    """Return the key file of whoever connects."""
    return _of_dialects.get(dialect)


def encrypt(text: str, dialect: Dialect) -> str:
    """Return a text as the tables are to hold it."""
    keys = key_file_of(dialect)
    return text if keys is None else keys.encrypt(text)


def decrypt(stored: str, dialect: Dialect) -> str:
    """Return what a text of the tables says. Raises Broken without the right key."""
    keys = key_file_of(dialect)
    if keys is not None:
        return keys.decrypt(stored)
    if stored.startswith(MARK):
        raise Broken(_CODE, "db.key_unset")
    return stored
