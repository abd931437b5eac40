"""Kind `folder`: names, zones, sidecars, uploads that are not over, and files that mean no good."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from merger import failpoints
from merger.errors import Broken, Refused, Temporary
from merger.library import read_sidecar
from recorders import base
from recorders.base import Collected, Found, SourceOfRoom
from recorders.folder import Folder
from tests.recorders.conftest import (
    CLIP_S,
    LONG_AGO,
    TEN,
    Share,
    digest,
    never,
    set_changed,
    span,
    state_of,
)

HOUR = span(0, 3600)
NOW = TEN + timedelta(hours=5)
BERLIN = ZoneInfo("Europe/Berlin")
NAME = "2026-11-20_10-00_504_camera.mp4"
FOLDER = Folder()


def find(share: Share, wanted=HOUR, now: datetime = NOW) -> Found:
    return FOLDER.find(share.source, wanted, now)


def collect(share: Share, wanted=HOUR, now: datetime = NOW, cancelled=never) -> list[Collected]:
    return FOLDER.collect(share.source, wanted, into(share), now, cancelled)


def into(share: Share) -> Path:
    return share.folder.parent / "into"


def origins(found: Found) -> list[str]:
    return [item.origin for item in found.items]


def minutes(value: float) -> datetime:
    return TEN + timedelta(minutes=value)


@pytest.fixture
def afar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is on another file system."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", link)


# Names


def test_names_of_all_forms(share: Share) -> None:
    names = [
        "2026-11-20_10-00-00_504_camera.mp4", "2026-11-20_10-10_504_camera.MKV",
        "2026-11-20_10:20_504_camera.ts", "2026-11-20_10:30:15_504_camera.webm",
    ]  # fmt: skip
    for name in (*names, "2026-11-20_10-00_504_screen.mp4", "2026-11-20_10-00_505_camera.mp4"):
        share.put(name)
    for name in ("10-00_504_camera.mp4", "2026-11-20_10-00_504_camera.mp4.part", "camera.mp4"):
        share.put(name)
    found = find(share)
    assert origins(found) == names
    assert found.items[3].start == TEN + timedelta(minutes=30, seconds=15)
    assert {one.path.suffix for one in collect(share)} == {".mp4", ".mkv", ".ts", ".webm"}


def test_files_named_by_another_room(share: Share) -> None:
    share.put("2026-11-20_10-00_Hörsaal_7_left_cam.mp4")
    share.put(NAME)
    share.address = f"{share.folder}#Hörsaal_7_left_cam"
    assert origins(find(share)) == ["2026-11-20_10-00_Hörsaal_7_left_cam.mp4"]


def test_names_as_macos_writes_them(share: Share) -> None:
    share.put(unicodedata.normalize("NFD", "2026-11-20_10-00_й_é.mp4"))
    share.address = f"{share.folder}#й_é"
    assert len(find(share).items) == 1


def test_a_folder_with_a_sharp_in_its_name(share: Share) -> None:
    share.folder = share.folder.with_name("C#")
    share.put(NAME)
    share.address = f"{share.folder}#504_camera"
    assert origins(find(share)) == [NAME]


@pytest.mark.parametrize(
    "address", ["/srv#camera", "/srv#_x", "/srv#x_", "/srv#", "/C#/x", "//a#b/c_d"]
)
def test_what_is_behind_the_sharp_must_make_sense(share: Share, address: str) -> None:
    share.address = address
    with pytest.raises(Refused, match="like #504_camera"):
        FOLDER.check(share.source)


def test_a_room_that_no_file_can_be_named_by(share: Share) -> None:
    source = dataclasses.replace(share.source, room="B/504")
    with pytest.raises(Refused, match="cannot be part of a file's name"):
        FOLDER.check(source)
    FOLDER.check(dataclasses.replace(source, address=f"{share.folder}#B-504_camera"))


def test_credentials_are_the_mounts(share: Share) -> None:
    FOLDER.check(dataclasses.replace(share.source, credentials=""))
    with pytest.raises(Refused, match="no credentials") as told:
        FOLDER.check(dataclasses.replace(share.source, credentials="user:secret"))
    assert "secret" not in told.value.message


def test_a_mistyped_source_is_told_what_there_is(share: Share) -> None:
    share.put("2026-11-20_10-00_504_kamera.mp4")
    share.put("2026-11-20_10-00_504_\x1b[2Jslides.mp4")
    (note,) = find(share).notes
    assert "no file of 504_camera" in note and "504_kamera" in note and "\x1b" not in note
    (share.folder / "2026-11-20_10-00_504_kamera.mp4").rename(share.folder / NAME)
    assert find(share).notes == ()


# Where the files lie on the wall clock


def test_the_sidecar_knows_better_than_the_name(share: Share) -> None:
    begins = TEN + timedelta(seconds=2, microseconds=250_000)
    share.put(NAME, start=begins, length_s=1800)
    (item,) = find(share).items
    assert (item.start, item.end) == (begins, begins + timedelta(minutes=30))
    assert item.start.utcoffset() == timedelta()


def test_the_header_of_an_unchanged_file_is_read_once(share: Share, clip_at, monkeypatch) -> None:
    share.put(NAME, clip_at(TEN))
    first = find(share)
    monkeypatch.setattr("recorders.folder.opened", lambda *_: pytest.fail("read again"))
    assert find(share) == first


def test_the_header_says_where_a_file_ends(share: Share, clip_at) -> None:
    share.put(NAME, clip_at(TEN))
    (item,) = find(share).items
    assert item.end is not None
    assert abs(item.end - TEN - timedelta(seconds=CLIP_S)) < timedelta(milliseconds=100)
    share.put(NAME, b"no media at all")
    assert find(share).items[0].end is None


@pytest.mark.parametrize(
    "sidecar",
    [b"{", b"[]", b'{"start": "ten"}', b'{"start": 5}', b'{"start": "2026-11-20T10:00:00"}', b"\xff",
     b'{"start": "0001-01-01T00:00:00+00:00"}', b"[" * 100_000, b" " * 2_000_000],
)  # fmt: skip
def test_a_sidecar_that_is_not_understood(share: Share, sidecar: bytes) -> None:
    share.put(NAME, sidecar=sidecar)
    found = find(share)
    assert found.items[0].start == TEN
    assert "its start is taken from its name" in found.notes[0] and NAME in found.notes[0]
    assert len(collect(share)) == 1


def test_a_sidecar_that_is_no_file(share: Share) -> None:
    share.put(NAME)
    share.put("2026-11-20_10-30_504_camera.mp4")
    os.mkfifo((share.folder / NAME).with_suffix(".json"))
    (share.folder / "2026-11-20_10-30_504_camera.json").mkdir()
    assert len(find(share).items) == len(collect(share)) == 2
    assert list(into(share).glob("*.json")) == []


def test_the_night_in_which_clocks_go_back(share: Share) -> None:
    """02:30 comes twice: a name means the earlier one, and a sidecar either."""
    share.zone = BERLIN
    early, late = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    night = span(0, 7200, early)
    share.put("2026-10-25_02-30_504_camera.mp4")
    share.put("2026-10-25_02-30-00_504_camera.mp4", start=late, length_s=1800)
    found = find(share, night)
    assert [item.start for item in found.items] == [early, late]
    assert found.notes == (
        "2026-10-25_02-30_504_camera.mp4: its time happened twice in its zone;"
        " the earlier one is taken",
    )


def test_the_night_in_which_clocks_go_forward(share: Share) -> None:
    share.zone = BERLIN
    share.put("2026-03-29_02-30_504_camera.mp4")
    found = find(share, span(0, 7200, datetime(2026, 3, 29, 1, 0, tzinfo=UTC)))
    assert found.items[0].start == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert "does not exist" in found.notes[0]


def test_the_same_name_in_another_zone(share: Share) -> None:
    share.put(NAME)
    share.zone = BERLIN
    assert find(share).items == ()
    assert len(find(share, span(7200, 10_800)).items) == 1


def test_only_what_may_reach_into_the_span(share: Share, clip_at) -> None:
    share.put("2026-11-20_09-00_504_camera.mp4", start=minutes(-60), length_s=1800)
    share.put("2026-11-20_09-30_504_camera.mp4", start=minutes(-30), length_s=1801)
    share.put("2026-11-20_09-59-50_504_camera.mp4", clip_at(TEN - timedelta(seconds=CLIP_S)))
    share.put("2026-11-20_10-30_504_camera.mp4", start=minutes(30), length_s=1800)
    share.put("2026-11-20_11-00_504_camera.mp4", start=minutes(60), length_s=1800)
    assert [name[11:16] for name in origins(find(share))] == ["09-30", "10-30"]
    assert len(collect(share)) == 2


def test_only_what_is_of_the_span_is_noted(share: Share) -> None:
    share.put("2026-11-20_09-00_504_camera.mp4", sidecar=b"{")
    share.put("2026-11-20_09-20_504_camera.mp4", b"")
    share.put(NAME, start=TEN, length_s=3600)
    assert find(share).notes == ()
    assert len(find(share, span(-3600, 0)).notes) == 2


def test_a_wrong_end_does_not_cost_the_media(share: Share, clip_at) -> None:
    """A sidecar that ends too early is checked with the header, which the merge believes."""
    begins = TEN - timedelta(seconds=5)
    share.put("2026-11-20_09-59-55_504_camera.mp4", clip_at(begins), start=begins, length_s=3)
    assert len(find(share).items) == 1


def test_without_a_known_end_a_file_is_over_when_the_next_begins(share: Share) -> None:
    share.put("2026-11-20_09-00_504_camera.mp4")
    share.put("2026-11-20_09-30_504_camera.mp4")
    assert len(find(share).items) == 1  # for all we know it goes on
    share.put(NAME)
    assert origins(find(share)) == [NAME]


def test_a_file_of_another_day_is_not_looked_into(share: Share, monkeypatch) -> None:
    share.put("2026-11-10_10-00_504_camera.mp4", start=TEN, length_s=60)
    monkeypatch.setattr("recorders.folder.read_sidecar", lambda path: pytest.fail(f"read {path}"))
    assert find(share).items == ()


# Whether more is expected


@pytest.mark.parametrize(
    "pieces,expected",
    [
        ([(0, 1800), (1800, 1800)], False),
        ([(1.5, 1798), (1801, 1798)], False),  # joints and edges of up to two seconds
        ([(0, 1800), (1803, 1797)], True),
        ([(3, 3597)], True),
        ([(0, 3597)], True),
        ([(0, 3600), (600, 60)], False),
        ([(-600, 5000)], False),
        ([(0, None), (1800, 1800)], False),  # reaches to the next
        ([(0, 1800), (1800, None)], True),  # proves nothing
        ([], True),
    ],
)
def test_media_that_does_not_reach_over_the_span(share: Share, pieces, expected: bool) -> None:
    for at, length in pieces:
        begins = TEN + timedelta(seconds=at)
        share.put(f"{begins:%Y-%m-%d_%H-%M-%S}_504_camera.mp4", start=begins, length_s=length)
    assert find(share).more_expected is expected


@pytest.mark.parametrize(
    "changed_s,ends_s,settled",
    [
        (-3600, None, True),
        (-61, None, True),
        (-59, None, False),
        (0, -3600, False),
        (+120, -3600, False),  # the share's clock is ahead by two minutes, or more
        (+3 * 3600, -3600, True),  # it takes local time for UTC: the media says that it is over
        (+3 * 3600, +5, False),
        (+3 * 3600, None, False),
        (+3 * 86_400, None, True),  # no clock at all: it would never pass
        (10**11, None, True),
    ],
)
def test_when_a_file_is_settled(share: Share, changed_s, ends_s, settled: bool) -> None:
    path = share.put(NAME)
    if ends_s is not None:
        length = (NOW - TEN).total_seconds() + ends_s
        share.put(NAME, start=TEN, length_s=length)
    set_changed(path, NOW + timedelta(seconds=changed_s))
    found = find(share)
    assert [item.settled for item in found.items] == [settled]
    assert len(collect(share)) == settled


def test_a_clock_that_is_ahead_is_waited_for_and_no_longer(share: Share) -> None:
    share.put(NAME, changed=NOW + timedelta(minutes=4))
    later = [find(share, now=NOW + timedelta(minutes=m)).items[0].settled for m in (0, 4, 6)]
    assert later == [False, False, True]


def test_a_sidecar_that_is_being_written(share: Share) -> None:
    path = share.put(NAME, start=TEN, length_s=3600)
    set_changed(path.with_suffix(".json"), NOW - timedelta(seconds=3))
    found = find(share)
    assert not found.items[0].settled and found.more_expected


def test_an_empty_file(share: Share) -> None:
    path = share.put(NAME, b"", changed=NOW)
    assert [item.settled for item in find(share).items] == [False]
    assert collect(share) == []
    set_changed(path, LONG_AGO)
    found = find(share)
    assert found.items == () and found.more_expected
    assert found.notes == (f"{NAME}: it is empty",)


# Bringing


def test_on_one_file_system_nothing_is_copied(share: Share) -> None:
    path = share.put(NAME, start=TEN, length_s=3600)
    (one,) = collect(share)
    assert one.path.stat().st_ino == path.stat().st_ino
    assert read_sidecar(one.path) == read_sidecar(path)


def test_from_another_file_system_all_is_kept(share: Share, afar: None) -> None:
    data = os.urandom(3_000_000)
    path = share.put(NAME, data, start=TEN, length_s=3600, sha256=digest(data))
    (one,) = collect(share)
    ours, theirs = one.path.stat(), path.stat()
    assert ours.st_ino != theirs.st_ino
    assert (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)
    assert one.path.read_bytes() == data
    assert read_sidecar(one.path) == read_sidecar(path)
    assert one.path.name.startswith("2026-11-20_10-00_504_camera~")


@pytest.mark.parametrize("how", ["linked", "copied"])
def test_changed_content_comes_under_another_name(share: Share, how: str, request) -> None:
    if how == "copied":
        request.getfixturevalue("afar")
    path = share.put(NAME)
    (first,) = collect(share)
    path.unlink()
    share.put(NAME, b"other", changed=LONG_AGO + timedelta(days=1))
    (second,) = collect(share)
    assert first.item.origin == second.item.origin
    assert first.item.fingerprint != second.item.fingerprint
    assert (first.path.read_bytes(), second.path.read_bytes()) == (b"media", b"other")


def test_a_link_shows_what_is_written_into_the_original(share: Share) -> None:
    """Then the first name is no longer what it was, and is brought anew should that come back."""
    path = share.put(NAME)
    (first,) = collect(share)
    with path.open("ab") as file:
        file.write(b" and more")
    set_changed(path, LONG_AGO + timedelta(days=1))
    (second,) = collect(share)
    assert second.path != first.path and second.path.read_bytes() == b"media and more"
    path.unlink()
    share.put(NAME)
    assert collect(share) == [first]
    assert first.path.read_bytes() == b"media"


def test_another_sidecar_is_another_placing(share: Share) -> None:
    path = share.put(NAME, start=TEN, length_s=3600)
    (first,) = collect(share)
    set_changed(path.with_suffix(".json"), LONG_AGO + timedelta(days=1))
    assert collect(share) == [first]  # only touched
    share.put(NAME, start=minutes(1), length_s=3600)
    (second,) = collect(share)
    assert second.path != first.path
    assert read_sidecar(second.path)[0].start == minutes(1)
    path.with_suffix(".json").unlink()
    (third,) = collect(share)
    assert third.path not in (first.path, second.path)
    assert not third.path.with_suffix(".json").exists()


def test_two_files_with_one_sidecar(share: Share) -> None:
    share.put(NAME, start=TEN, length_s=3600)
    share.put(NAME.replace("mp4", "mkv"), b"other")
    names = {one.path.with_suffix(".json").name for one in collect(share)}
    assert len(names) == 2 == len(list(into(share).glob("*.json")))


def test_two_sources_may_share_a_folder_for_what_is_brought(share: Share) -> None:
    share.put(NAME)
    other = dataclasses.replace(share.source, name="board", address=f"{share.folder}#504_camera")
    (one,) = collect(share)
    (two,) = FOLDER.collect(other, HOUR, into(share), NOW, never)
    assert one.path != two.path


@pytest.mark.parametrize("how", ["linked", "copied"])
def test_what_is_not_as_its_sidecar_says(share: Share, how: str, request) -> None:
    """It may be half uploaded; an hour later nothing better will come, and it is used as it is."""
    if how == "copied":
        request.getfixturevalue("afar")
    whole = b"media and more"
    changed = NOW - timedelta(minutes=59)
    share.put(NAME, b"media", start=TEN, sha256=digest(whole), changed=changed)
    assert collect(share) == []
    assert list(into(share).iterdir()) == []
    assert len(collect(share, now=NOW + timedelta(minutes=2))) == 1
    share.put(NAME, whole, start=TEN, sha256=digest(whole).upper(), changed=changed)
    assert len(collect(share)) == 1


def test_a_file_that_grows_while_it_is_copied(share: Share, afar: None, monkeypatch) -> None:
    monkeypatch.setattr(base, "BLOCK", 4)
    path = share.put(NAME, b"some media")
    share.put("2026-11-20_10-30_504_camera.mp4")

    def grows() -> bool:
        if list(into(share).glob(f".merge-work-*/{path.stem}*")):
            path.write_bytes(b"some media and more")
        return False

    assert [one.item.origin[11:16] for one in collect(share, cancelled=grows)] == ["10-30"]
    assert len(list(into(share).iterdir())) == 1


def test_a_copy_that_is_too_short(share: Share, afar: None, monkeypatch) -> None:
    """A share that says "end of file" in the middle has not changed the file."""
    path = share.put(NAME, b"some media")
    original = Path.open

    def opens(opened: Path, *rest: Any, **more: Any) -> Any:
        return io.BytesIO(b"some") if opened == path else original(opened, *rest, **more)

    monkeypatch.setattr(Path, "open", opens)
    assert collect(share) == []


@pytest.mark.parametrize("harm", ["media cut", "media gone", "sidecar gone"])
def test_what_was_harmed_is_brought_again(share: Share, afar: None, harm: str) -> None:
    share.put(NAME, start=TEN, length_s=3600)
    (first,) = collect(share)
    if harm == "media cut":
        first.path.write_bytes(b"med")
        set_changed(first.path, LONG_AGO)
    elif harm == "media gone":
        first.path.unlink()
    else:
        first.path.with_suffix(".json").unlink()
    assert collect(share) == [first]
    assert first.path.read_bytes() == b"media"
    assert read_sidecar(first.path)[0].start == TEN


def test_a_file_that_is_touched_while_it_is_copied(share: Share, afar: None) -> None:
    path = share.put(NAME)

    def touched() -> bool:
        os.utime(path, (5, 5))
        return False

    assert collect(share, cancelled=touched) == []


@pytest.mark.parametrize("how", ["linked", "copied"])
def test_a_file_that_vanishes(share: Share, how: str, request) -> None:
    if how == "copied":
        request.getfixturevalue("afar")
    path = share.put(NAME)

    def vanishes() -> bool:
        path.unlink(missing_ok=True)
        return False

    assert collect(share, cancelled=vanishes) == []
    share.put(NAME)
    share.put("2026-11-20_10-30_504_camera.mp4")
    assert [one.item.origin[11:16] for one in collect(share, cancelled=vanishes)] == ["10-30"]


def test_the_sidecar_is_there_before_the_media(share: Share, monkeypatch) -> None:
    seen: dict[str, set[str]] = {}

    def hook(name: str) -> None:
        seen[name] = {path.suffix for path in into(share).iterdir() if path.is_file()}

    monkeypatch.setattr(failpoints, "hook", hook)
    share.put(NAME, start=TEN, length_s=3600)
    collect(share)
    assert seen == {"recorder.copied": set(), "recorder.sidecar": {".json"}}


# A share that is away, and what may not be read


def test_the_share_is_away(share: Share) -> None:
    share.folder.rmdir()
    for call in (find, collect):
        with pytest.raises(Temporary, match="mount the share") as told:
            call(share)
        assert told.value.code == "source_away" and str(share.folder) in told.value.message


def test_the_share_is_not_mounted_on_its_folder(share: Share) -> None:
    """An empty folder may be just that; a note says what it looks like."""
    found = find(share)
    assert found.items == () and found.more_expected
    assert "is the share mounted?" in found.notes[0]


def test_who_asked_for_another_day_is_told_what_is_nearest(share: Share) -> None:
    for name in ("2026-11-17_10-00", "2026-11-18_10-00", "2026-11-23_10-00", "2026-11-24_10-00"):
        share.put(f"{name}_504_camera.mp4")
    (note,) = find(share).notes
    assert note == (
        f"{share.folder} holds nothing of this time; the nearest files are"
        " 2026-11-18_10-00_504_camera.mp4 and 2026-11-23_10-00_504_camera.mp4"
    )
    share.put(NAME)
    assert find(share).notes == ()


def test_the_address_is_a_file(share: Share) -> None:
    share.address = str(share.put(NAME))
    with pytest.raises(Refused, match="write its folder"):
        find(share)


@pytest.mark.parametrize(
    "number,kind",
    [(errno.EIO, Temporary), (errno.ESTALE, Temporary), (errno.ETIMEDOUT, Temporary),
     (errno.EHOSTDOWN, Temporary), (errno.EACCES, Broken), (errno.EMFILE, Broken)],
)  # fmt: skip
def test_a_folder_that_cannot_be_read(share: Share, number: int, kind: type, monkeypatch) -> None:
    def iterdir(path: Path) -> Any:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(kind) as told:
        find(share)
    assert str(share.folder) in told.value.message
    assert ("let the user of this service read it" in told.value.message) == (
        number == errno.EACCES
    )


@pytest.mark.parametrize("number,kind", [(errno.EIO, Temporary), (errno.EACCES, Broken)])
def test_one_bad_file_does_not_stop_the_others(
    share: Share, number: int, kind: type, afar: None, monkeypatch
) -> None:
    bad = share.put(NAME)
    other = share.put("2026-11-20_10-30_504_camera.mp4")
    original = Path.open

    def opens(path: Path, *rest: Any, **more: Any) -> Any:
        if path == bad:
            raise OSError(number, os.strerror(number), str(path))
        return original(path, *rest, **more)

    monkeypatch.setattr(Path, "open", opens)
    assert [one.item.origin for one in collect(share)] == [other.name]
    other.unlink()
    with pytest.raises(kind, match=NAME):
        collect(share)
    assert [path for path in into(share).iterdir() if path.name.startswith(".")] == []


def test_a_file_that_may_not_be_read(share: Share, monkeypatch) -> None:
    share.put(NAME)
    monkeypatch.setattr("recorders.folder.os.access", lambda path, how: False)
    found = find(share)
    assert found.items == () and found.more_expected
    assert "let the user of this service read it" in found.notes[0]


def test_our_own_folder_may_not_be_written_to(share: Share, monkeypatch) -> None:
    share.put(NAME)
    into(share).write_bytes(b"a file")
    with pytest.raises(Broken, match="choose another"):
        collect(share)
    into(share).unlink()
    monkeypatch.setattr("merger.storage.os.access", lambda path, how: path == share.folder / NAME)
    with pytest.raises(Broken, match="cannot be written to; choose another"):
        collect(share)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_our_own_disk_is_full(share: Share, number: int, monkeypatch) -> None:
    def mkdir(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(path))

    share.put(NAME)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(Temporary, match="was full") as told:
        collect(share)
    assert told.value.code == "disk_full"


# Names that mean no good


def test_hostile_names_do_no_harm(share: Share) -> None:
    share.put("2026-11-20_10-40_504_camera.mp4")
    share.put(".2026-11-20_10-00_504_camera.mp4")  # an upload of rsync
    (share.folder / "2026-11-20_10-01_504_camera.mp4").mkdir()
    os.mkfifo(share.folder / "2026-11-20_10-02_504_camera.mp4")
    loop = share.folder / "2026-11-20_10-03_504_camera.mp4"
    loop.symlink_to(loop)
    (share.folder / "2026-11-20_10-04_504_camera.mp4").symlink_to("/nowhere/at/all")
    (share.folder / "2026-11-20_10-05_504_camera.mp4").symlink_to("/dev/zero")
    for name in ("2026-11-20_10-06\n_504_camera.mp4", "2026-11-20_10-07_504_camera.mp4\n",
                 "2026-11-20_25-61_504_camera.mp4", "2026-02-30_10-00_504_camera.mp4",
                 "9999-12-31_23-59_504_camera.mp4", "٢٠٢٦-11-20_10-08_504_camera.mp4",
                 "-i.mp4", "'; rm -rf x #.mp4", "2026-11-20_10-09_504_camera.json.mp4"):  # fmt: skip
        share.put(name)
    Path(os.fsdecode(os.fsencode(share.folder) + b"/2026-11-20_10-10_\xff_504_camera.mp4")).touch()
    before = state_of(share.folder)
    found = find(share)
    assert origins(found) == ["2026-11-20_10-40_504_camera.mp4"] and found.notes == ()
    assert len(collect(share)) == 1
    changed = {name for name, was in state_of(share.folder).items() if was != before.get(name)}
    assert changed == set()


def test_a_link_to_media_is_followed(share: Share) -> None:
    real = share.put("real.bin")
    (share.folder / NAME).symlink_to(real)
    (one,) = collect(share)
    assert one.path.is_file() and not one.path.is_symlink() and one.path.read_bytes() == b"media"


@pytest.mark.parametrize(
    "part", ["a\nb_\tc", "😀" * 40 + "_x", "я" * 110 + "_x", "..._..", "$(x)_`y`", "a b_c: d"]
)
def test_what_is_brought_has_a_safe_name(share: Share, part: str) -> None:
    share.put(f"2026-11-20_10-00_{part}.mp4", start=TEN, length_s=3600)
    share.address = f"{share.folder}#{part}"
    (one,) = collect(share)
    name = one.path.name
    assert one.path.parent == into(share) and len(name.encode()) <= 255
    assert name.isprintable() and not set(name) & set("\n\t/:$`'\" ") and not name.startswith(".")
    assert read_sidecar(one.path)[0].start == TEN


def test_a_header_that_claims_a_thousand_years(share: Share, monkeypatch) -> None:
    class Container:
        duration = 10**17

        def __enter__(self) -> Container:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("recorders.folder.opened", lambda path, demuxer: Container())
    share.put(NAME, b"\x1a\x45\xdf\xa3")
    assert find(share).items[0].end is None


def test_a_source_is_all_that_is_asked(share: Share, clip_at: Callable[[datetime], bytes]) -> None:
    """The result follows from the files and `now`: nobody looks at a clock."""
    share.put(NAME, clip_at(TEN), changed=TEN)
    source: SourceOfRoom = share.source
    settled = [
        FOLDER.find(source, HOUR, TEN + timedelta(seconds=at)).items[0].settled for at in (59, 61)
    ]
    assert settled == [False, True]
