"""Media in Drive: all pages of what is there, and loads that break off."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from google_apis.drive import files
from google_apis.drive.download import download
from google_apis.http import Google as Client
from merger.errors import Refused
from merger.i18n import Message
from merger.timeline.clock import Span
from recorders.base import SourceOfRoom
from recorders.drive.library import File, files_of
from recorders.drive.place import place_of
from tests.fakes.google import SUBJECT, Google
from tests.google_apis.conftest import asked

BEGIN = datetime(2026, 11, 20, 7, tzinfo=UTC)  # ten in Moscow
SPAN = Span(BEGIN, BEGIN + timedelta(hours=1))
DATA = os.urandom(1_000_000)


@pytest.fixture
def folder(google: Google) -> str:
    return google.drive.make_folder("504", google.drive.root(SUBJECT), SUBJECT)


def found(
    client: Client, folder: str, note: Callable[[Message], None] = lambda message: None
) -> list[File]:
    zone = ZoneInfo("Europe/Moscow")
    source = SourceOfRoom("504", "camera", "speaker", "drive", f"drive:{folder}", zone)
    return files_of(client, place_of(source), source, SPAN, BEGIN + timedelta(days=1), note)


def test_all_pages_are_read(google: Google, client: Client, folder: str) -> None:
    google.drive.longest_page = 3
    names = [f"2026-11-20_10-{n:02}_504_camera.mp4" for n in range(8)]
    for name in names:
        google.drive.put(name, b"video", folder, SUBJECT)
    listed = files.find_files(client, f"{files.quote(folder)} in parents")
    assert [one["name"] for one in listed] == names
    assert asked(google, "GET /drive/v3/files by") == 3
    assert [file.item.origin.split()[1] for file in found(client, folder)] == names


@pytest.mark.parametrize("how", ["it", "the folder that it is in"])
def test_a_folder_in_the_bin_is_no_gap(
    google: Google, client: Client, folder: str, how: str
) -> None:
    below = google.drive.make_folder("camera", folder, SUBJECT)
    google.drive.put("2026-11-20_10-00_504_camera.mp4", b"video", below, SUBJECT)
    wanted = folder if how == "it" else below
    assert len(found(client, wanted)) == 1
    google.drive.files[folder]["trashed"] = True
    with pytest.raises(Refused, match=r"source 'camera'.* in the bin") as refused:
        found(client, wanted)
    assert refused.value.code == "address"


MEDIA = "2026-11-20_10-00_504_camera.mp4"


@pytest.mark.parametrize(
    ("changed", "is_settled"),
    [
        ("2026-11-21T06:59:30.0000000Z", False),  # half a minute ago
        ("2026-11-21T07:02:00Z", False),  # a clock that is a little ahead
        ("2026-11-22T07:00:01Z", True),  # no clock's, and never to pass
        ("2031-01-01T00:00:00+14:00", True),
    ],
)
def test_a_change_in_the_future_does_not_last_for_ever(
    google: Google, client: Client, folder: str, changed: str, is_settled: bool
) -> None:
    google.drive.put(MEDIA, b"video", folder, SUBJECT, modifiedTime=changed)
    [file] = found(client, folder)
    assert file.item.settled == is_settled


def shortcut(google: Google, name: str, target: str, parent: str) -> str:
    kind = google.drive.files[target]["mimeType"]
    details = {"targetId": target, "targetMimeType": kind}
    link = {"mimeType": files.SHORTCUT, "shortcutDetails": details}
    return google.drive.put(name, b"", parent, SUBJECT, **link)


def test_shortcuts_are_followed(google: Google, client: Client, folder: str) -> None:
    elsewhere = google.drive.make_folder("elsewhere", google.drive.root(SUBJECT), SUBJECT)
    other = google.drive.put("upload 17.mp4", b"one", elsewhere, SUBJECT)
    below = google.drive.make_folder("camera", elsewhere, SUBJECT)
    google.drive.put("2026-11-20_10-30_504_camera.mp4", b"video", below, SUBJECT)
    gone = google.drive.put("gone.mp4", b"three", elsewhere, SUBJECT)
    google.drive.files[gone]["trashed"] = True
    shortcut(google, MEDIA, other, folder)  # to a file, whose own name says nothing
    shortcut(google, "camera", below, folder)
    shortcut(google, "2026-11-20_10-45_504_camera.mp4", gone, folder)
    shortcut(google, "back", folder, below)
    other_day = shortcut(google, "2026-11-01_10-00_504_camera.mp4", other, folder)
    notes: list[Message] = []
    shown = [
        (file.item.start.minute, file.item.size_bytes)
        for file in found(client, folder, notes.append)
    ]
    assert shown == [(0, 3), (30, 5)]
    [note] = notes
    assert note.key == "recorders.drive.shortcut_to_nothing"
    assert note.params["name"] == "2026-11-20_10-45_504_camera.mp4"
    # Of that time nothing is asked for each shortcut there is.
    assert asked(google, f"GET /drive/v3/files/{other} ") == 1 and not asked(google, other_day)
    assert len(found(client, shortcut(google, "room 504", folder, elsewhere))) == 2


def test_a_file_is_no_folder(google: Google, client: Client, folder: str) -> None:
    file = google.drive.put(MEDIA, b"video", folder, SUBJECT)
    with pytest.raises(Refused, match=f"is the file '{MEDIA}'; enter the folder"):
        found(client, file)
    link = f"https://drive.google.com/file/d/{file}/view?usp=sharing"
    source = SourceOfRoom("504", "camera", "speaker", "drive", link, ZoneInfo("Europe/Moscow"))
    with pytest.raises(Refused, match="is the link of a file; enter that of the folder"):
        place_of(source)


# --- loading --------------------------------------------------------------------------------------


@pytest.fixture
def known(google: Google, folder: str) -> str:
    return google.drive.put("video.mp4", DATA, folder, SUBJECT)


@pytest.fixture
def ranges(google: Google) -> list[str]:
    """What was asked for of files, load by load."""
    said: list[str] = []
    original = google.faults.next

    def noting(asked: Any) -> Any:
        if asked.query.get("alt") == "media":
            said.append(asked.headers.get("Range", "all"))
        return original(asked)

    google.faults.next = noting  # type: ignore[method-assign]
    return said


def load(client: Client, known: str, partial: Path) -> bytes:
    md5 = download(client, known, partial, lambda: None)
    data = partial.read_bytes()
    assert md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    return data


def test_a_load_goes_on_where_it_broke_off(
    google: Google, client: Client, known: str, ranges: list[str], tmp_path: Path
) -> None:
    google.faults.add("alt=media", "cut", times=2)
    assert load(client, known, tmp_path / "partial") == DATA
    assert len(google.faults.happened) == 2
    begun = [int(one.removeprefix("bytes=").removesuffix("-")) for one in ranges[1:]]
    assert ranges[0] == "all" and 0 < begun[0] < begun[1] < len(DATA)


def test_what_another_process_has_loaded_is_not_loaded_again(
    client: Client, known: str, ranges: list[str], tmp_path: Path
) -> None:
    (tmp_path / "partial").write_bytes(DATA)
    assert load(client, known, tmp_path / "partial") == DATA
    assert ranges == ["bytes=1000000-"]  # and the answer is that there is no more: 416


def test_a_file_that_became_shorter_is_loaded_from_its_beginning(
    client: Client, known: str, ranges: list[str], pauses: list[float], tmp_path: Path
) -> None:
    (tmp_path / "partial").write_bytes(DATA + b"of the file before")
    assert load(client, known, tmp_path / "partial") == DATA
    assert ranges == ["bytes=1000018-", "all"] and len(pauses) == 1
