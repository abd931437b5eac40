"""The operator's page: what it shows of a service with everything, and what it costs."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.i18n import Message
from merger.live.source_status import SourceSign, write_sign
from merger.monitoring import destinations, heartbeats, integrity
from merger.monitoring.destinations import Result
from merger.monitoring.findings import Finding
from merger.records.processing.queue import add_history
from models import Notification, Record, Rendition
from tests.support.selection import BOTH_DATABASES
from tests.web.conftest import Web
from tests.web.pages.reader import reader

pytestmark = BOTH_DATABASES

GB = 1_000_000_000
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    usage = SimpleNamespace(total=1000 * GB, free=500 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    return usage


def add(web: Web, name: str, status: str, changed: datetime, **values: Any) -> int:
    row = Record(
        room_id=1, start_at=changed - timedelta(hours=2), end_at=changed - timedelta(hours=1),
        zone="Europe/Moscow", event_name=name, layout="side_by_side", profile="720p",
        created_at=changed, updated_at=changed, run_after=changed, status=status, **values,
    )  # fmt: skip

    def write(session: Session) -> int:
        session.add(row)
        session.flush()
        return row.id

    return writing(web.site.engine, write)


def words_of(page: str) -> str:
    """Return what somebody reads on a page."""
    return " ".join(re.sub(r"<[^>]+>", "", page).split())


def test_a_service_that_has_done_nothing_yet(web: Web) -> None:
    page = words_of(reader(web, "eve").get("/operations"))
    assert "1 thing needs attention" in page and "Daemon: none has ever run" in page
    assert "0 recordings are waiting for their turn." in page
    for words in (
        "Nothing is being processed.", "Nothing has failed.", "Neither is set up.",
        "Nothing is being recorded now.", "Not checked yet. Run app.py verify.",
        "500.0 GB of 1000.0 GB free",
    ):  # fmt: skip
        assert words in page
    heartbeats.write_heartbeat(web.site.engine, "host-1", web.site.clock)
    assert "Everything is working." in reader(web, "eve").get("/operations")
    assert "Всё работает." in reader(web, "ada", "ru").get("/operations")


def test_everything_at_once(web: Web, disk: SimpleNamespace) -> None:
    site, now = web.site, web.site.clock
    disk.free = 8 * GB
    site.environ |= {
        "MERGER_WEBHOOK_URL": "https://chat.example.edu/x", "MERGER_WEBHOOK_SECRET": "hush",
    }  # fmt: skip
    busy = Web(site)
    busy.ids, busy.keys = web.ids, web.keys
    begun = now - 15 * MINUTE
    at_work = add(web, "At work", "running", now, stage="encode", progress=0.5, claimed_by="host-7",
                  claimed_at=begun, lease_until=now + MINUTE, attempt=1)  # fmt: skip
    add(web, "Due", "queued", now - 20 * MINUTE)
    add(web, "Later", "queued", now + DAY)
    for n in range(7):
        add(web, f"Failed {n}", "failed", now - n * timedelta(hours=1), error_code="no_media",
            error_message=Message("timeline.gap", source="speaker", start="10:00", end="11:00"))  # fmt: skip
    add(web, "Long ago", "failed", now - 8 * DAY, error_code="disk_full")
    done = add(web, "Done", "delivered", now - 2 * DAY)

    def fill(session: Session) -> None:
        add_history(
            session, at_work, 1, begun, "claimed", Message("history.claimed", worker="host-7")
        )
        session.add(
            Rendition(
                record_id=done, version=1, kind="merge", path="a", size_bytes=4 * GB, sha256="",
                frames=1, width=2, height=2, made_at=now - 2 * DAY,
            )
        )  # fmt: skip
        for n, status in enumerate(("pending", "failed", "unknown", "sent")):
            session.add(
                Notification(
                    identity=f"{n}", record_id=done, version=1, kind="ready", channel="webhook",
                    recipient="", status=status, due_at=now, created_at=now, facts={},
                )
            )  # fmt: skip

    writing(site.engine, fill)
    heartbeats.write_heartbeat(site.engine, "host-7", now - 5 * MINUTE)
    heartbeats.write_heartbeat(site.engine, "host-7", now - timedelta(seconds=4), "recorder")
    away = Result("drive", True, Message("monitoring.away"))
    destinations._write(site.engine, away, "host", now)
    missing = Message("monitoring.kept.missing", count=1, files=("merge.mp4",))
    integrity.keep_result(site.engine, [Finding("videos", "broken", missing)], now - 3 * DAY)
    write_sign(site.settings, 1, SourceSign(now))
    write_sign(site.settings, 2, SourceSign(now, now - 7 * MINUTE))

    page = words_of(reader(busy, "eve").get("/operations"))
    for words in (
        "5 things need attention", "Daemon: silent for 300 s", "Disk for data: enough for about 1 day",
        "Videos in Google Drive: it cannot be used", "Source 504, screen: it sends nothing",
        "1 recording is waiting for its turn, the longest for 20 min.", "1 more will be processed",
        "At work", "host-7", "2.0× real time", "about 15 min left",
        "7 recordings no_media", "speaker has no pictures from 10:00 to 11:00", "All failed recordings",
        "enough for about 1 day", "Webhook: 1 waiting, 2 not sent.",
        "Sending 504, speaker", "Silent 504, screen: for 7 min",
        "Daemon host-7: 5 min ago", "Recorder host-7: 4 s ago",
        "No, some files are damaged or missing. 3 days ago", "1 file is missing: merge.mp4",
    ):  # fmt: skip
        assert words in page, words
    assert "Failed 4" in page and "Failed 5" not in page and "Long ago" not in page
    # The numbers are those of /metrics.
    numbers = web.call("eve", "GET", "/metrics").text
    for line in (
        "merger_due_records 1.0", "merger_oldest_due_seconds 1200.0",
        'merger_messages{channel="webhook",status="sent"} 1.0',
        'merger_source_silent_seconds{room="504",source="screen"} 420.0',
    ):  # fmt: skip
        assert line in numbers, line


def test_only_those_who_see_everything(web: Web) -> None:
    for path in ("/operations", "/operations/state"):
        assert reader(web, "ann").client.get(path).status_code == 403
    assert "/operations" not in reader(web, "ann").client.get("/records").text
    assert 'href="/operations"' in reader(web, "eve").client.get("/records").text


def test_a_part_is_refreshed_alone(web: Web) -> None:
    heartbeats.write_heartbeat(web.site.engine, "host-1", web.site.clock)
    part = reader(web, "eve").client.get("/operations/state").text
    assert "<html" not in part and part.lstrip().startswith('<div class="operations"')
    assert 'data-refresh="/operations/state"' in part and 'data-state="well"' in part


def test_however_many_records_there_are_it_asks_the_same(web: Web) -> None:
    """No question is asked for each record; what each costs is for the indexes."""
    asked: list[str] = []
    event.listen(web.site.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    eve = reader(web, "eve")

    def count() -> int:
        asked.clear()
        eve.get("/operations")
        return len(asked)

    add(web, "first", "failed", web.site.clock, error_code="no_media")
    count()
    before = count()
    report = json.dumps({"renditions": []})
    for n in range(20):
        add(web, f"{n}", ("failed", "delivered")[n % 2], web.site.clock, report=report)
    assert count() == before
