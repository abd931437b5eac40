"""Whether rooms can be recorded, and sources send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update

from merger.errors import Broken, Refused, Temporary
from merger.i18n import Message
from merger.monitoring.doctor import check
from merger.monitoring.findings import Finding
from merger.rooms import store
from merger.rooms.spec import RoomSpec, SourceSpec
from models import Room, Source
from tests.monitoring.checks.looking import (
    CAMERA,
    DAY,
    FILE,
    RECORDERS,
    add_record,
    config,
    looked,
    now,
)
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES


def test_no_room_yet(engine: Engine, tmp_path: Path) -> None:
    found = looked(tmp_path, engine)["rooms"]
    assert found.level == "warning" and "rooms import" in found.text


@pytest.mark.parametrize(
    ("table", "values", "told"),
    [
        (Room, {"zone": "Europe/Moskow"}, "'Europe/Moskow' is not a time zone"),
        (Room, {"zone": ""}, "'' is not a time zone"),
        (Room, {"chunk_s": 0}, "0 s is not a possible chunk length"),
        (Room, {"chunk_s": 86_401}, "86401 s is not a possible chunk length"),
        (Room, {"sound_source": "microphone"}, "there is no source 'microphone' in this room"),
        (Source, {"kind": "foldr"}, "source 'camera': there is no kind of source 'foldr'; did you mean"),
        (Source, {"address": "recordings"}, "source 'camera': the address 'recordings' is not an abs"),
        (Source, {"credentials": "geheim"}, "source 'camera': the kind folder needs no credentials"),
        (Source, {"role": "speeker"}, "source 'camera': there is no role 'speeker'; the roles are speaker"),
    ],
)  # fmt: skip
@ON_SQLITE
def test_a_room_that_was_spoilt_by_hand(
    site: Engine, tmp_path: Path, table: Any, values: dict[str, Any], told: str
) -> None:
    store.apply_rooms(site, [RoomSpec("505", "Europe/Moscow", sources=(CAMERA,))])
    with site.begin() as connection:
        connection.execute(update(table).where(table.id == 1).values(**values))
    findings = [f for f in check(config(tmp_path), site, RECORDERS, now) if "room" in f.what]
    assert findings[0].what == "room '504'" and findings[0].level == "broken"
    assert told in str(findings[0].text)
    message = Message("monitoring.room", zone="Europe/Moscow", sources=("camera",))
    assert findings[-1] == Finding("room '505'", "ok", message)


@ON_SQLITE
def test_a_room_without_a_speaker(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Room).values(name="504", zone="UTC"))
    found = looked(tmp_path, engine)["room '504'"]
    assert found.level == "warning" and "role speaker" in found.text


class Careless:
    """A recorder that tells what it should not."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def check(self, source: Any) -> None:
        raise self._error("source", f"{source.credentials} is wrong at {source.address}")


@ON_SQLITE
def test_what_a_recorder_tells_is_kept_free_of_secrets(engine: Engine, tmp_path: Path) -> None:
    camera = SourceSpec("camera", "speaker", "rtsp", "rtsp://u:geheim@host/1", "sehr-geheim")
    store.apply_rooms(engine, [RoomSpec("504", "UTC", sources=(camera,))])
    for error in (Refused, Broken, Temporary):
        found = looked(tmp_path, engine, recorders=lambda _, e=error: Careless(e))["room '504'"]
        assert found.level == "broken"
        assert found.text == "source 'camera': *** is wrong at rtsp://u:***@host/1"


@pytest.mark.parametrize(
    ("days_ago", "items", "status", "is_silent"),
    [
        (3, {"camera": FILE}, "delivered", False),
        (3, {"camera": [], "other": FILE}, "delivered", True),
        (3, None, "failed", True),
        (3, None, "queued", True),  # it waits for media that does not come
        (3, None, "cancelled", False),
        (0.5, None, "queued", False),  # it may still come
        (9, None, "failed", False),  # long ago
    ],
)
@ON_SQLITE
def test_a_source_without_media_for_a_week(
    site: Engine, tmp_path: Path, days_ago: float, items: Any, status: str, is_silent: bool
) -> None:
    add_record(site, now() - days_ago * DAY, items, status)
    found = looked(tmp_path, site)["room '504'"]
    assert (found.level == "warning") == is_silent
    if is_silent:
        assert found.text.startswith("source 'camera': the only recording of the last week has no")


@ON_SQLITE
def test_one_lecture_with_media_is_enough(site: Engine, tmp_path: Path) -> None:
    add_record(site, now() - 2 * DAY, {"camera": FILE})
    add_record(site, now() - 3 * DAY, None, "failed")
    assert looked(tmp_path, site)["room '504'"].level == "ok"


@ON_SQLITE
def test_of_zoom_there_need_not_be_media(site: Engine, tmp_path: Path) -> None:
    add_record(site, now() - 2 * DAY, {"camera": FILE})
    with site.begin() as connection:
        connection.execute(
            insert(Source).values(
                room_id=1, name="m", role="screen", kind="zoom", address="zoom:81234567890"
            )
        )
    found = looked(tmp_path, site)["room '504'"]
    assert "none of" not in found.text and "the only recording" not in found.text
