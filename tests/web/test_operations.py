"""What machines look at: health, readiness, numbers; and the log of requests."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from werkzeug.test import TestResponse

from merger.db.engine import writing
from merger.errors import Refused
from merger.i18n import Message
from merger.live.source_status import SourceSign, write_sign
from merger.monitoring import destinations, heartbeats, metrics
from merger.monitoring.destinations import Result
from merger.records import actions
from merger.storage.disk_space import Disk, disk_of
from models import Record
from tests.support.databases import ON_MARIADB, ON_SQLITE, PASSWORD, MariaDB
from tests.support.selection import BOTH_DATABASES
from tests.support.waiting import until
from tests.web.conftest import Web

SECOND = timedelta(seconds=1)
GB = 1_000_000_000
CHECKS = {"database", "tables", "daemon", "data_disk", "cache_disk", "output_disk"}


@pytest.fixture(autouse=True)
def plenty_of_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large disk, whatever the one is that the tests run on."""
    usage = SimpleNamespace(total=1000 * GB, free=500 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def ready(web: Web) -> tuple[int, dict[str, str]]:
    """Return the status and what is wrong."""
    answer = web.call(None, "GET", "/readyz")
    told = answer.get_json()
    assert set(told["checks"]) == CHECKS
    assert told["ready"] == (answer.status_code == 200)
    names_nobody(web, answer)
    return answer.status_code, {k: v for k, v in told["checks"].items() if v != "ok"}


def names_nobody(web: Web, answer: TestResponse) -> None:
    for secret in ("504", "Lecture", "example.org", str(web.site.folder), web.site.url, PASSWORD):
        assert secret not in answer.text, secret


def numbers(web: Web, who: str = "ada") -> dict[tuple[str, ...], float]:
    """Return all numbers, by name and the values of labels, by their names."""
    answer = web.call(who, "GET", "/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    if "merger_source_is_live{" not in answer.text:  # which names rooms
        names_nobody(web, answer)
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_ready_when_everything_is_there(web: Web) -> None:
    assert ready(web) == (503, {"daemon": "none has ever run"})
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    assert ready(web) == (200, {})
    web.site.clock += 60 * SECOND  # the poll is short, so it is a minute
    assert ready(web) == (200, {})
    web.site.clock += 1 * SECOND
    assert ready(web) == (503, {"daemon": "silent for 61 s"})
    web.site.clock -= 3600 * SECOND  # a clock of another machine
    assert ready(web) == (200, {})


@ON_SQLITE
def test_a_daemon_that_looks_seldom_may_be_silent_for_longer(web: Web) -> None:
    web.site.environ["MERGER_POLL"] = "60"
    seldom = Web(web.site)
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    web.site.clock += 180 * SECOND
    assert ready(seldom) == (200, {})
    web.site.clock += 1 * SECOND
    assert ready(seldom) == (503, {"daemon": "silent for 181 s"})


@ON_SQLITE
def test_not_ready_with_other_tables(web: Web) -> None:
    with web.site.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE merger_version SET version_num = '0001'")
    assert ready(web) == (
        503,
        {"tables": "they do not match this program", "daemon": "unknown"},
    )


@ON_MARIADB
def test_without_a_database_the_process_lives_and_is_not_ready(web: Web, mariadb: MariaDB) -> None:
    with mariadb.down():
        assert web.call(None, "GET", "/healthz").text == "ok\n"
        status, wrong = ready(web)
        assert status == 503
        assert wrong == {
            "database": "it does not answer", "tables": "unknown", "daemon": "unknown",
        }  # fmt: skip
        assert web.call("ada", "GET", "/metrics").status_code == 503


@ON_SQLITE
def test_not_ready_without_room(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    reserve = SimpleNamespace(total=1000 * GB, free=5 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: reserve)
    full = {f"{name}_disk": "it is full" for name in ("data", "cache", "output")}
    assert ready(web) == (503, full)


@ON_SQLITE
def test_not_ready_without_the_share_for_videos(web: Web) -> None:
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    share = web.site.folder / "share"
    web.site.environ["MERGER_OUTPUT"] = str(share)
    with_share = Web(web.site)
    with_share.keys = web.keys
    assert ready(with_share) == (503, {"output_disk": "it is not mounted"})
    assert ("merger_disk_free_bytes", "output") not in numbers(with_share)
    share.mkdir()
    assert ready(with_share) == (200, {})


@ON_SQLITE
def test_what_the_daemon_found_by_writing_is_told(web: Web) -> None:
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    web.site.environ["MERGER_OUTPUT"] = "/proc/self"  # a folder in which nobody can write
    with_share = Web(web.site)
    trials = destinations.Trials("host")

    def go_on() -> dict[str, Any]:
        trials.go_on(web.site.engine, with_share.site.service.destinations, web.site.clock)
        until(lambda: not any(trial.is_alive() for trial in trials._running))
        trials.go_on(web.site.engine, (), web.site.clock)
        answer = with_share.call(None, "GET", "/readyz")
        names_nobody(web, answer)
        assert "/proc" not in answer.text
        return {"status": answer.status_code, **answer.get_json()["checks"]}

    found = go_on()
    assert (found["status"], found["output_disk"]) == (503, "ok")
    assert found["folder_destination"] == "nothing can be written there"
    del web.site.environ["MERGER_OUTPUT"]
    web.site.clock += 60 * SECOND
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    found = go_on()
    assert (found["status"], found["folder_destination"]) == (200, "ok")


@ON_SQLITE
def test_a_service_elsewhere_that_is_away_is_told_and_no_reason_to_restart(web: Web) -> None:
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    away = Result("drive", True, Message("monitoring.away"))
    destinations._write(web.site.engine, away, "host", web.site.clock)
    answer = web.call(None, "GET", "/readyz")
    assert (answer.status_code, answer.get_json()["ready"]) == (200, True)
    assert answer.get_json()["checks"]["drive_destination"] == "it cannot be used"


@ON_SQLITE
def test_a_share_that_hangs_does_not_keep_others_waiting(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    goes_on = threading.Event()
    looked: list[Path] = []

    def hanging(folder: Path) -> Disk:
        if folder == web.site.settings.destination:
            looked.append(folder)
            goes_on.wait()
        return disk_of(folder)

    monkeypatch.setattr(metrics, "disk_of", hanging)
    monkeypatch.setattr(metrics, "_DISK_ANSWERS_WITHIN_S", 0.1)
    try:
        for _ in range(3):
            assert ready(web) == (503, {"output_disk": "it does not answer"})
            found = numbers(web)
            assert found["merger_disk_free_bytes", "data"] == 500 * GB
            assert ("merger_disk_free_bytes", "output") not in found
        assert len(looked) == 1  # one thread waits, and not one for each who asks
    finally:
        goes_on.set()
    monkeypatch.setattr(metrics, "_DISK_ANSWERS_WITHIN_S", 10)
    assert ready(web) == (200, {})
    assert numbers(web)["merger_disk_total_bytes", "output"] == 1000 * GB


@ON_SQLITE
def test_the_process_lives(web: Web) -> None:
    answer = web.call(None, "GET", "/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_who_sees_numbers(web: Web) -> None:
    statuses = {who: web.call(who, "GET", "/metrics").status_code for who in (None, "ann", "eve", "ada")}  # fmt: skip
    assert statuses == {None: 401, "ann": 403, "eve": 200, "ada": 200}
    # This machine itself is no exception: a proxy on it would make everybody one.
    near = web.app.test_client().get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"})
    assert near.status_code == 401
    web.add("prometheus", "admin", ("read",))
    assert numbers(web, "prometheus")


@BOTH_DATABASES
def test_numbers(web: Web) -> None:
    site = web.site
    first = numbers(web)
    assert {name for name, *_ in first} == {
        "merger_records", "merger_due_records", "merger_oldest_due_seconds", "merger_daemon_silence_seconds",
        "merger_disk_free_bytes", "merger_disk_total_bytes",
    }  # fmt: skip
    assert len([name for name, *_ in first if name == "merger_records"]) == 25
    assert first["merger_daemon_silence_seconds",] == float("inf")
    assert first["merger_oldest_due_seconds",] == 0
    assert first["merger_disk_free_bytes", "cache"] == 500 * GB

    for minute in range(5):
        site.ask(from_s=60.0 * minute, until_s=60.0 * minute + 30)
    heartbeats.write_heartbeat(site.engine, "one", site.clock - 7 * SECOND)
    held = site.claim()
    assert held is not None
    site.lease(held).enter_stage("encode")
    for _ in range(2):
        failing = site.claim()
        assert failing is not None
        site.lease(failing).fail(Refused("no_media", "nothing of Lecture"))
    actions.cancel(site.engine, 5, site.clock)

    def due_since(session: Any) -> None:
        changed = update(Record).where(Record.status == "queued")
        session.execute(changed.values(run_after=site.clock - 90 * SECOND))

    writing(site.engine, due_since)
    found = numbers(web)
    counted = {
        key[1:]: count for key, count in found.items() if key[0] == "merger_records" and count
    }
    assert counted == {
        ("collect", "queued"): 1, ("encode", "running"): 1, ("collect", "failed"): 2,
        ("collect", "cancelled"): 1,
    }  # fmt: skip
    assert found["merger_failed_records", "no_media"] == 2
    assert found["merger_messages", "webhook", "pending"] == 2  # of the records that failed
    assert found["merger_oldest_due_seconds",] == 90
    assert found["merger_daemon_silence_seconds",] == 7
    assert ("merger_encode_speed",) not in found


def report(duration_s: float, encode_s: float | None) -> dict[str, Any]:
    timings = {"plan": 0.1} if encode_s is None else {"plan": 0.1, "encode": encode_s}
    renditions = [
        {"kind": "backup", "duration_s": 1.0},
        {"kind": "merge", "duration_s": duration_s},
    ]
    return {"renditions": renditions, "timings": timings}


def test_speed() -> None:
    assert metrics.speed([]) is None
    assert metrics.speed([report(60, None)]) is None
    assert metrics.speed([report(60, 0.0)]) is None
    assert metrics.speed([report(60, 20)]) == 3
    assert metrics.speed([report(60, 20), report(60, 40), report(60, None)]) == 2
    assert metrics.speed([{"renditions": []}]) is None


@ON_SQLITE
def test_the_speed_of_what_was_delivered_last(web: Web) -> None:
    for n in range(12):
        record = web.site.ask(from_s=60.0 * n, until_s=60.0 * n + 30)
        text = json.dumps(report(60, 20 if n > 1 else 1))  # the first two are long ago

        def deliver(session: Any, record: int = record, n: int = n, text: str = text) -> None:
            row = session.get_one(Record, record)
            row.status, row.report = "delivered", text
            row.updated_at = web.site.clock + n * SECOND

        writing(web.site.engine, deliver)
    assert numbers(web)["merger_encode_speed",] == 3


# --- the log of requests --------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "merger.web.access_log"]


@ON_SQLITE
def test_each_request_is_a_line(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    user = web.ids["ann"]
    web.api("ann", "GET", "/records?text=secret-search")
    web.api(None, "GET", "/records")
    web.call("ann", "DELETE", "/api/v1/rooms/1")
    web.call(None, "GET", "/no%0Asuch%1B[31mpage?token=secret")
    said = lines(caplog)
    assert [line.split(", ")[0] for line in said] == [
        "GET /api/v1/records 200", "GET /api/v1/records 401", "DELETE /api/v1/rooms/1 403",
        "GET /no\\nsuch\\x1b[31mpage 404",
    ]  # fmt: skip
    assert said[0].endswith(f" ms, user {user}") and said[1].endswith(" ms, user None")
    assert "secret" not in caplog.text and web.keys["ann"] not in caplog.text


@ON_SQLITE
def test_what_machines_ask_all_the_time_is_told_when_it_is_wrong(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    heartbeats.write_heartbeat(web.site.engine, "one", web.site.clock)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert web.call("ada", "GET", path).status_code == 200
    assert lines(caplog) == []
    web.site.clock += 3600 * SECOND
    web.call(None, "GET", "/readyz")
    assert len(lines(caplog)) == 1


@ON_SQLITE
def test_whether_media_comes_is_a_number(web: Web) -> None:
    now = web.site.clock
    assert not [names for names in numbers(web) if names[0].startswith("merger_source")]
    write_sign(web.site.settings, 1, SourceSign(now))
    write_sign(web.site.settings, 2, SourceSign(now, now - 90 * SECOND))
    write_sign(web.site.settings, 77, SourceSign(now))  # of a source that was removed
    web.site.clock = now + 10 * SECOND

    def seen() -> dict[tuple[str, ...], float]:
        found = numbers(web)
        return {k: v for k, v in found.items() if k[0].startswith("merger_source")}

    speaker, screen = ("504", "speaker"), ("504", "screen")
    assert seen() == {
        ("merger_source_is_live", *speaker): 1.0, ("merger_source_silent_seconds", *speaker): 0.0,
        ("merger_source_is_live", *screen): 0.0, ("merger_source_silent_seconds", *screen): 100.0,
    }  # fmt: skip
    web.site.clock = now + 120 * SECOND  # the recorder was killed
    assert seen() == {
        ("merger_source_is_live", *speaker): 0.0, ("merger_source_silent_seconds", *speaker): 120.0,
        ("merger_source_is_live", *screen): 0.0, ("merger_source_silent_seconds", *screen): 210.0,
    }  # fmt: skip
