"""What the commands of the service print for people."""

from typing import Any

import pytest

from commands.tables import record_page, records_table, rooms_table, state_words

pytestmark = pytest.mark.quick

RECORD: dict[str, Any] = {
    "id": 7, "room": "504", "name": "Lecture", "start": "2026-11-20T10:00:00+03:00",
    "end": "2026-11-20T11:20:00+03:00", "zone": "Europe/Moscow", "layout": "side_by_side",
    "profile": "720p", "status": "queued", "stage": "collect", "progress": 0.0,
    "run_after": "2026-11-20T12:30:00+03:00", "attempt": 0, "version": 1,
    "delivered_version": None, "error": None, "users": [],
}  # fmt: skip
PAGE: dict[str, Any] = {
    **RECORD, "warnings": [], "gaps": [], "scenes": [], "chunks": [], "renditions": [],
    "deliveries": [], "events": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "queued for 2026-11-20 12:30"),
        ({"run_after": None}, "queued"),
        ({"status": "running", "stage": "encode", "progress": 0.456}, "encode 46 %"),
        ({"status": "running"}, "collect 0 %"),
        ({"status": "running", "stage": "deliver", "progress": 1.0}, "deliver 100 %"),
        ({"status": "delivered"}, "delivered"),
        ({"status": "failed"}, "failed"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_how_a_record_stands(changes: dict[str, Any], text: str) -> None:
    assert state_words({**RECORD, **changes}) == text


def test_a_table_of_records() -> None:
    other = {
        **RECORD, "id": 1234, "room": None, "status": "delivered", "name": "Математика  ",
        "start": "2026-11-20T23:40:00+05:45", "end": "2026-11-21T01:00:00+05:45",
    }  # fmt: skip
    assert records_table([RECORD, other]) == (
        "ID    STATUS                       ROOM  START             END    NAME\n"
        "7     queued for 2026-11-20 12:30  504   2026-11-20 10:00  11:20  Lecture\n"
        "1234  delivered                    -     2026-11-20 23:40  01:00  Математика  "
    )


def test_no_records() -> None:
    assert records_table([]) == "no recordings"


HOSTILE = "\x1b[2Jevil\rname\n\x00"


def test_what_people_write_cannot_draw_on_a_terminal() -> None:
    record = {**RECORD, "name": HOSTILE, "room": HOSTILE}
    page = {
        **PAGE, **record, "users": [HOSTILE], "error": {"code": "x", "message": HOSTILE},
        "warnings": [HOSTILE],
        "events": [{"at": "2026-11-20T10:00:00+00:00", "attempt": 1, "kind": "failed", "text": HOSTILE}],
        "deliveries": [{"destination": "folder", "kind": "merge", "status": "delivered", "link": HOSTILE}],
    }  # fmt: skip
    source = {"role": "speaker", "name": HOSTILE, "kind": "folder", "address": HOSTILE}
    room = {"name": HOSTILE, "zone": "UTC", "sources": [source]}
    for text, lines in ((records_table([record]), 2), (record_page(page), 10), (rooms_table([room]), 2)):  # fmt: skip
        assert "evil" in text
        assert len(text.splitlines()) == lines
        assert all(character.isprintable() for character in text.replace("\n", ""))


def test_a_page_about_a_record() -> None:
    page = {
        **PAGE, "status": "delivered", "run_after": None, "version": 2, "delivered_version": 2,
        "users": ["a@example.org", "b@example.org"],
        "error": {"code": "no_media", "message": "there is nothing"},
        "warnings": ["source 'board' has no media for this record"],
        "chunks": [{"start": "2026-11-20T10:00:00+03:00", "verdict": "presentation", "samples": 60}],
        "deliveries": [
            {"destination": "folder", "kind": "backup", "status": "pending", "link": None},
            {"destination": "folder", "kind": "merge", "status": "delivered", "link": "/merged/a.mp4"},
        ],
        "events": [
            {"at": "2026-11-20T07:00:00.123456+00:00", "attempt": 0, "kind": "asked", "text": "by a@example.org"},
            {"at": "2026-11-20T09:30:00+00:00", "attempt": 1, "kind": "claimed", "text": "attempt 1"},
        ],
    }  # fmt: skip
    assert record_page(page).splitlines() == [
        "recording 7: Lecture",
        "  room 504, 2026-11-20 10:00 to 11:20 (Europe/Moscow)",
        "  Side by side, 720p",
        "  delivered, version 2",
        "  requested by a@example.org, b@example.org",
        "  error no_media: there is nothing",
        "  warning: source 'board' has no media for this record",
        "  chunk 2026-11-20 10:00: presentation (60 pictures)",
        "  Screen only in the output folder: pending",
        "  Video in the output folder: delivered /merged/a.mp4",
        "  history (UTC):",
        "    2026-11-20T07:00:00 Requested: by a@example.org",
        "    2026-11-20T09:30:00 Started: attempt 1",
    ]


def test_a_page_about_a_record_of_which_nothing_is_known_yet() -> None:
    assert record_page({**PAGE, "room": None}).splitlines() == [
        "recording 7: Lecture",
        "  room -, 2026-11-20 10:00 to 11:20 (Europe/Moscow)",
        "  Side by side, 720p",
        "  queued for 2026-11-20 12:30, version 1",
        "  history (UTC):",
    ]


def test_a_table_of_rooms() -> None:
    assert "rooms import" in rooms_table([])
    sources = [
        {"role": "speaker", "name": "camera", "kind": "folder", "address": "/share#camera"},
        {"role": "screen", "name": "laptop", "kind": "folder", "address": "/share#laptop"},
    ]
    rooms = [
        {"name": "504", "zone": "Europe/Moscow", "sources": sources},
        {"name": "empty", "zone": "UTC", "sources": []},
    ]
    assert rooms_table(rooms).splitlines() == [
        "504 (Europe/Moscow)",
        "  speaker: camera (folder, /share#camera)",
        "  screen: laptop (folder, /share#laptop)",
        "empty (UTC)",
    ]
