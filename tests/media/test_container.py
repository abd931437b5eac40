"""Whose failure it is that a file could not be read: the data's, or the system's."""

import dataclasses
import errno
import os
from pathlib import Path

import av
import pytest

from merger.errors import Broken, MergerError, Temporary
from merger.media.container import check_readable, explain_failure
from merger.timeline.media import MediaFile
from tests.timeline.test_media import media_file

pytestmark = pytest.mark.quick


@pytest.fixture
def media(tmp_path: Path) -> MediaFile:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"pictures")
    stat = path.stat()
    return dataclasses.replace(
        media_file([0], 1), path=path, size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns
    )


def failure(code: int) -> av.FFmpegError:
    with pytest.raises(av.FFmpegError) as raised:
        av.error.err_check(-code)
    return raised.value


@pytest.mark.parametrize(
    "code", [errno.ENOENT, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT]
)
def test_what_only_the_system_says(media: MediaFile, code: int) -> None:
    """Even where the file is back by now."""
    with pytest.raises(Temporary) as told:
        explain_failure(media, failure(code))
    assert told.value.code == "storage_away"


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOMEM, errno.EAGAIN, errno.EPERM])
def test_what_may_be_said_of_bad_data(media: MediaFile, code: int) -> None:
    explain_failure(media, failure(code))
    media.path.unlink()
    with pytest.raises(Temporary) as told:
        explain_failure(media, failure(code))
    assert told.value.code == "storage_away"


def test_bad_data_is_the_datas_fault(media: MediaFile) -> None:
    media.path.unlink()
    with pytest.raises(av.error.InvalidDataError) as raised:
        av.error.err_check(-1094995529)
    explain_failure(media, raised.value)


def test_a_file_that_is_another_by_now(media: MediaFile) -> None:
    check_readable(media)
    os.utime(media.path, (1, 1))
    with pytest.raises(Temporary, match="changed while it was being read") as told:
        check_readable(media)
    assert told.value.code == "input_changed"


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        (errno.EIO, Temporary, "storage_away"),
        (errno.ESTALE, Temporary, "storage_away"),
        (errno.ENOMEM, Temporary, "storage_away"),
        (errno.EACCES, Broken, "storage"),
    ],
)
def test_a_plain_read_that_fails(
    media: MediaFile,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    kind: type[MergerError],
    word: str,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(media.path))

    monkeypatch.setattr(Path, "open", fails)
    with pytest.raises(kind) as told:
        check_readable(media)
    assert told.value.code == word
