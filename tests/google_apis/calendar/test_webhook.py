"""`POST /hooks/google/calendar`: who knows the token has a calendar read, and nobody else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

import app
from google_apis.calendar import webhook
from merger.daemon.daemon import background_jobs_are_due
from merger.db.engine import database_file
from merger.intake import calendar_sync
from tests.fakes.google import SUBJECT, Google
from tests.support.databases import ON_SQLITE
from tests.support.site import Site


@pytest.mark.parametrize(
    ("headers", "status", "heard"),
    [
        ({"X-Goog-Channel-ID": "c", "X-Goog-Channel-Token": "t"}, 204, ("c", "t")),
        ({"X-Goog-Channel-ID": "c", "X-Goog-Channel-Token": "x"}, 404, ("c", "x")),
        ({}, 404, ("", "")),
    ],
)
def test_who_is_heard(headers: dict[str, str], status: int, heard: tuple[str, str]) -> None:
    calls: list[tuple[str, str]] = []

    def told(channel: str, token: str) -> bool:
        calls.append((channel, token))
        return (channel, token) == ("c", "t")

    web = Flask("hooks")
    web.register_blueprint(webhook.blueprint(told))
    answer = web.test_client().post("/hooks/google/calendar", headers=headers)
    assert answer.status_code == status and calls == [heard]


@ON_SQLITE
def test_a_calendar_tells_and_is_read(site: Site, google: Google, tmp_path: Path) -> None:
    """The whole way: a channel is made, the stand-in knows its token, the service believes it."""
    calendar = google.calendar.add("room@group.calendar.google.com")
    site.add_room(calendar_id=calendar)
    site.environ |= {
        "MERGER_GOOGLE_CREDENTIALS": str(google.credentials_file(tmp_path)),
        "MERGER_GOOGLE_SUBJECT": SUBJECT, "MERGER_GOOGLE_ADDRESS": google.address,
        "MERGER_WEB_ADDRESS": "https://lectures.example.edu",
    }  # fmt: skip
    service = replace(app.create_service(site.settings, site.engine), now=lambda: site.clock)
    calendar_sync.read_calendars(service, site.clock)
    [channel] = google.calendar.channels.values()
    assert channel["address"] == "https://lectures.example.edu/hooks/google/calendar"
    start = site.clock + timedelta(days=1)
    google.calendar.put(
        calendar, summary="Algebra", start={"dateTime": start.isoformat()},
        end={"dateTime": (start + timedelta(hours=1)).isoformat()},
    )  # fmt: skip
    web = app.create_web(service).test_client()

    def call(token: str) -> int:
        headers = {"X-Goog-Channel-ID": channel["id"], "X-Goog-Channel-Token": token}
        return web.post("/hooks/google/calendar", headers=headers).status_code

    with closing(sqlite3.connect(database_file(site.url) or "")) as other:
        other.execute("BEGIN IMMEDIATE")  # whoever is not known waits for nobody who writes
        assert call("wrong") == 404
    assert not background_jobs_are_due(service, site.clock)
    assert call(channel["token"]) == 204
    assert background_jobs_are_due(service, site.clock)
    calendar_sync.read_calendars(service, site.clock)
    link = site.row().event_link
    assert site.row().event_name == "Algebra"
    assert link is not None and link.calendar_id == calendar
