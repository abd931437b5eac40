"""Why nothing comes from a source: the recorder's signs, and the newest record of its room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from merger.db.engine import writing
from merger.i18n import Message, to_json
from merger.live.bookings import Booking
from merger.live.silence import LastRecord, Silence, last_records, silence_in, silence_of_live
from merger.live.source_status import Flow
from merger.ports.recorder import SourceOfRoom
from merger.timeline.clock import Span
from models import Record, RecordMedia
from recorders.registry import kinds, recorder_of
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

TEN = datetime(2026, 11, 20, 7, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PASSWORD = Message("recorders.rtsp.credentials")
ANN, OTHER = Booking(1, "504", Span(TEN, TEN + HOUR)), Booking(2, "505", Span(TEN, TEN + HOUR))


@pytest.mark.parametrize(
    ("kind", "flow", "bookings", "after", "key"),
    [
        ("rtsp", Flow("coming"), [ANN], MINUTE, None),
        ("rtsp", Flow("silent", TEN, PASSWORD), [ANN], MINUTE, "recorders.rtsp.credentials"),
        ("rtsp", Flow("silent", TEN), [ANN], MINUTE, "live.nothing_yet"),
        ("rtsp", Flow("unknown", TEN, PASSWORD), [ANN], MINUTE, "live.recorder_silent"),
        ("rtsp", None, [ANN], MINUTE, "live.no_recorder"),
        ("rtsp", None, [ANN], 5 * timedelta(seconds=1), None),  # it has just begun
        ("rtsp", None, [ANN], HOUR + MINUTE, None),
        ("rtsp", None, [OTHER], MINUTE, None),
        ("rtsp", None, [], MINUTE, None),
        ("rtsp#always", None, [], MINUTE, "live.no_recorder"),
        ("folder", None, [ANN], MINUTE, None),
        ("unheard-of", None, [ANN], MINUTE, None),
    ],
)
def test_what_is_to_be_recorded_now(
    kind: str, flow: Flow | None, bookings: list[Booking], after: timedelta, key: str | None
) -> None:
    name, _, options = kind.partition("#")
    source = SourceOfRoom(
        "504", "camera", "speaker", name, f"rtsp://10.0.5.4/1#{options}", ZoneInfo("UTC")
    )
    known = kinds()
    found = silence_of_live(source, lambda k: recorder_of(known, k), flow, bookings, TEN + after)
    assert (found and found.why.key) == key


def about(source: str, note: Message) -> dict[str, Any]:
    return to_json(Message("worker.about_source", source=source, note=note))


NOTHING = Message("recorders.folder.nothing", folder="/srv", part="504_camera")
AWAY = Message("recorders.away", place="/srv", why="?")
UNREACHABLE = to_json(Message("worker.source_unreachable", source="camera", why=AWAY))
FILES = [["a.mp4", "1", "a.mp4", "2026-11-20T07:00:00+00:00"]]


@pytest.mark.parametrize(
    ("media", "why"),
    [
        ({}, None),
        ({"items": {"camera": FILES}, "warnings": [about("camera", NOTHING)]}, None),  # it has some
        ({"items": {"camera/screen": FILES}, "incomplete": ["camera"]}, None),  # of another role
        ({"items": {"camera": []}, "warnings": [about("camera", NOTHING)]}, NOTHING),
        ({"warnings": ["a sentence of old", about("slides", NOTHING), UNREACHABLE]}, AWAY),
        ({"items": {"slides": FILES}, "incomplete": ["camera"]}, Message("live.no_files")),
        ({"items": {"slides": FILES}, "incomplete": ["slides"]}, None),  # it is newer than that
    ],
)
def test_what_the_newest_record_lacks(media: dict[str, Any], why: Message | None) -> None:
    found = silence_in(LastRecord(TEN, cast(RecordMedia, media)), "camera")
    assert found == (why and Silence(why, TEN))
    assert silence_in(None, "camera") is None


@ON_SQLITE
def test_the_newest_record_that_is_over(site: Site) -> None:
    site.add_room()
    site.add_room("505")
    records = [site.ask(60.0 * n + 6, 60.0 * n) for n in range(4)]
    states = ("delivered", "failed", "cancelled", "queued")
    for record, status in zip(records, states, strict=True):
        values = {"status": status, "media": {"incomplete": [status]}}
        statement = update(Record).where(Record.id == record).values(values)
        writing(site.engine, lambda session, one=statement: session.execute(one))
    assert last_records(site.engine, [1, 2]) == {
        1: LastRecord(site.row(records[1]).start_at, {"incomplete": ["failed"]})
    }
