"""Kind `folder`: what is found, by names, zones, sidecars and headers, and when it is settled."""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from merger.errors import Invalid
from merger.i18n import Message
from tests.recorders.conftest import (
    CLIP_S,
    LONG_AGO,
    TEN,
    Share,
    set_changed,
    span,
)
from tests.recorders.folder.shares import (
    FOLDER,
    NAME,
    NOW,
    collect,
    find,
    into,
    minutes,
    origins,
    reasons,
)

BERLIN = ZoneInfo("Europe/Berlin")


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
    with pytest.raises(Invalid, match="such as #504_camera"):
        FOLDER.check(share.source)


def test_a_room_that_no_file_can_be_named_by(share: Share) -> None:
    source = dataclasses.replace(share.source, room="B/504")
    with pytest.raises(Invalid, match="cannot be part of a file name"):
        FOLDER.check(source)
    FOLDER.check(dataclasses.replace(source, address=f"{share.folder}#B-504_camera"))


def test_credentials_are_the_mounts(share: Share) -> None:
    FOLDER.check(dataclasses.replace(share.source, credentials=""))
    with pytest.raises(Invalid, match="needs no credentials") as told:
        FOLDER.check(dataclasses.replace(share.source, credentials="user:secret"))
    assert "secret" not in str(told.value)


def test_a_mistyped_source_is_told_what_there_is(share: Share) -> None:
    share.put("2026-11-20_10-00_504_kamera.mp4")
    share.put("2026-11-20_10-00_504_\x1b[2Jslides.mp4")
    (note,) = find(share).notes
    assert note.key == "recorders.folder.only_others" and note.params["part"] == "504_camera"
    assert "504_kamera" in str(note) and "\x1b" not in str(note)
    (share.folder / "2026-11-20_10-00_504_kamera.mp4").rename(share.folder / NAME)
    assert find(share).notes == ()


def test_the_sidecar_knows_better_than_the_name(share: Share) -> None:
    begins = TEN + timedelta(seconds=2, microseconds=250_000)
    share.put(NAME, start=begins, length_s=1800)
    (item,) = find(share).items
    assert (item.start, item.end) == (begins, begins + timedelta(minutes=30))
    assert item.start.utcoffset() == timedelta()


def test_the_header_of_an_unchanged_file_is_read_once(share: Share, clip_at, monkeypatch) -> None:
    share.put(NAME, clip_at(TEN))
    first = find(share)
    monkeypatch.setattr("merger.isolation.reader.call", lambda *_: pytest.fail("again"))
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
    assert NAME in str(found.notes[0])
    assert reasons(found) == ["recorders.folder.start_by_name"]
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
    assert reasons(found) == ["timeline.twice_file"]
    assert str(found.notes[0]).startswith("2026-10-25_02-30_504_camera.mp4: its time")


def test_the_night_in_which_clocks_go_forward(share: Share) -> None:
    share.zone = BERLIN
    share.put("2026-03-29_02-30_504_camera.mp4")
    found = find(share, span(0, 7200, datetime(2026, 3, 29, 1, 0, tzinfo=UTC)))
    assert found.items[0].start == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert reasons(found) == ["timeline.skipped_file"]


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
    monkeypatch.setattr(
        "recorders.folder.examine.read_sidecar", lambda path: pytest.fail(f"read {path}")
    )
    assert find(share).items == ()


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
    why = Message("recorders.folder.empty")
    assert found.notes == (Message("recorders.of_file", file=NAME, why=why),)
