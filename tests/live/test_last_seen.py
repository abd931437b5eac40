"""What is wrong with a source stands on the page of rooms, as long as its last video shows it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import update

from merger.db.engine import writing
from merger.i18n import Message, to_json
from merger.live.last_seen import SourceWarning, source_warnings
from merger.rooms import store
from models import Record
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

FROZEN = Message("timeline.frozen_camera", source="speaker", start="10:00:00", end="10:20:00")
HUM = Message("timeline.hum", source="screen/screen", frequency=50)
OTHERS = [
    Message("timeline.gap", source="speaker", start="10:00:00", end="10:20:00"),
    Message("timeline.clipped", source="speaker 2"),
]


def report(site: Site, record: int, status: str, *warnings: Message) -> None:
    text = json.dumps({"warning_messages": [to_json(warning) for warning in warnings]})
    values = {"status": status, "report": text}
    statement = update(Record).where(Record.id == record).values(values)
    writing(site.engine, lambda session: session.execute(statement))


@ON_SQLITE
@pytest.mark.parametrize(
    ("later", "is_told"), [(None, True), ("delivered", False), ("failed", True), ("queued", True)]
)
def test_the_last_video_says_what_is_wrong(site: Site, later: str | None, is_told: bool) -> None:
    site.add_room()
    first, second = site.ask(6.0), site.ask(66.0, 60.0)
    report(site, first, "delivered", FROZEN, HUM, *OTHERS)
    if later:
        report(site, second, later)
    room = store.get_room(site.engine, 1)
    by_name = {source["id"]: source["name"] for source in room["sources"]}
    found = {by_name[n]: some for n, some in source_warnings(site.engine, [room]).items()}
    start = site.row(first).start_at
    assert found == (
        {
            "speaker": [SourceWarning(first, start, FROZEN)],
            "screen": [SourceWarning(first, start, HUM)],
        }
        if is_told
        else {}
    )
