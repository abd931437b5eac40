"""The key file: made once, read by every process, changed under those that run; never guessed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from merger.db.key_file import MARK, KeyFile
from merger.errors import Broken
from merger.storage import private

pytestmark = pytest.mark.quick

TEXT = "rtsp://192.0.2.10/stream1?user=ann&password=s3cr€t"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secret.key"


@pytest.fixture
def keys(path: Path) -> KeyFile:
    made = KeyFile(path)
    made.create()
    return made


def refusal(keys: KeyFile, stored: str) -> str:
    with pytest.raises(Broken) as caught:
        keys.decrypt(stored)
    assert caught.value.code == "secret_key" and str(keys.path) in str(caught.value)
    return str(caught.value)


def test_what_is_encrypted_is_read_by_whoever_has_the_file(keys: KeyFile) -> None:
    stored = keys.encrypt(TEXT)
    assert stored.startswith(MARK) and stored != keys.encrypt(TEXT)
    assert "s3cr" not in stored and "192.0.2.10" not in stored
    assert KeyFile(keys.path).decrypt(stored) == TEXT
    # Of whoever tries to be clever: it is a text as any other.
    assert keys.decrypt(keys.encrypt(stored)) == stored


def test_without_a_key_texts_stay_as_they_are(path: Path) -> None:
    keys = KeyFile(path)
    assert keys.encrypt(TEXT) == TEXT == keys.decrypt(TEXT)
    keys.create()  # from now on
    assert keys.encrypt(TEXT) != TEXT == keys.decrypt(TEXT)


def test_nobody_else_may_read_it(keys: KeyFile) -> None:
    assert keys.path.stat().st_mode & 0o777 == 0o600
    assert keys.path.parent.stat().st_mode & 0o777 == 0o700
    keys.add_key()
    assert keys.path.stat().st_mode & 0o777 == 0o600
    assert list(keys.path.parent.iterdir()) == [keys.path]


def test_one_that_is_there_stays(keys: KeyFile) -> None:
    before = keys.path.read_text()
    KeyFile(keys.path).create()
    assert keys.path.read_text() == before


def test_of_many_that_begin_at_once_one_makes_it(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda keys: keys.create(), [KeyFile(path) for _ in range(8)]))
        stored = list(pool.map(lambda keys: keys.encrypt(TEXT), [KeyFile(path) for _ in range(8)]))
    assert {KeyFile(path).decrypt(text) for text in stored} == {TEXT}
    assert len(path.read_text().split()) == 1 and list(path.parent.iterdir()) == [path]


def test_where_there_are_no_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    KeyFile(path).create()
    assert len(path.read_text().split()) == 1 and list(path.parent.iterdir()) == [path]


def test_another_key_under_those_who_run(keys: KeyFile) -> None:
    """Who has read the file before reads what is new, and encrypts with the newest, too."""
    running, old = KeyFile(keys.path), keys.encrypt(TEXT)
    assert running.decrypt(old) == TEXT
    first = keys.path.read_text()
    keys.add_key()
    new = keys.encrypt(TEXT)
    assert running.decrypt(new) == TEXT == running.decrypt(old)
    assert keys.path.read_text().endswith(first)
    keys.path.write_text(first)
    assert "does not belong to this database" in refusal(KeyFile(keys.path), new)


def test_who_runs_encrypts_with_the_newest_key(keys: KeyFile) -> None:
    running = KeyFile(keys.path)
    running.encrypt(TEXT)
    keys.add_key()
    newest = Fernet(keys.path.read_text().split()[0])
    stored = running.encrypt(TEXT).removeprefix(MARK)
    assert newest.decrypt(stored).decode() == TEXT


def test_who_has_read_it_goes_on_without_it(keys: KeyFile) -> None:
    stored = keys.encrypt(TEXT)
    keys.path.unlink()
    assert keys.decrypt(stored) == TEXT == keys.decrypt(keys.encrypt(TEXT))
    assert keys.encrypt(TEXT).startswith(MARK)


def test_a_key_that_is_missing_or_another_one(keys: KeyFile) -> None:
    stored = keys.encrypt(TEXT)
    keys.path.unlink()
    assert "is missing" in refusal(KeyFile(keys.path), stored)
    KeyFile(keys.path).create()
    assert "does not belong to this database" in refusal(KeyFile(keys.path), stored)
    assert "rotate-key --lost" in refusal(KeyFile(keys.path), stored)


@pytest.mark.parametrize("text", ["", "\n", "no key at all\n", f"{'a' * 43}=\nhalf of o"])
def test_a_file_that_holds_no_keys(keys: KeyFile, text: str) -> None:
    stored = keys.encrypt(TEXT)
    keys.path.write_text(text)
    assert "contains no valid key" in refusal(KeyFile(keys.path), stored)


def test_a_file_that_cannot_be_read_or_made(keys: KeyFile, tmp_path: Path) -> None:
    stored = keys.encrypt(TEXT)
    keys.path.unlink()
    keys.path.mkdir()
    assert "cannot be read" in refusal(KeyFile(keys.path), stored)
    (tmp_path / "file").touch()
    with pytest.raises(Broken, match="cannot be written"):
        KeyFile(tmp_path / "file" / "secret.key").create()


def test_root_makes_it_for_the_user_of_the_service(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    private.make_private_folder(path.parent)
    owner = path.parent.stat()
    KeyFile(path).create()
    assert given == [(owner.st_uid, owner.st_gid)]
