"""Alarms: which there are, who gets them, and how often."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from merger.accounts import profile, users
from merger.db.engine import reading, writing
from merger.monitoring import alarms, heartbeats
from merger.notifications import mail
from merger.series import store
from merger.timeline.clock import utc
from merger.timetable.recurrence import Recurrence
from merger.timetable.spec import SeriesSpec
from models import Notification, Record
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def watched(site: Site) -> Site:
    """A service with a mail server, an administrator and others."""
    site.environ |= {
        "MERGER_MAIL_SERVER": "smtp://127.0.0.1:9", "MERGER_MAIL_FROM": "merger@example.org",
        "MERGER_WEB_ADDRESS": "https://lectures.example.org",
    }  # fmt: skip
    site.add_room()
    for name, role in (("ada", "admin"), ("eve", "editor"), ("ann", "user")):
        users.invite_user(site.engine, f"{name}@example.org", name, role)
    return site


def mails(site: Site) -> list[tuple[str, str]]:
    with reading(site.engine) as session:
        rows = session.scalars(select(Notification).order_by(Notification.id))
        return [(row.recipient, row.facts["text"]["key"]) for row in rows]


def set_record(site: Site, **values: Any) -> None:
    writing(site.engine, lambda session: session.execute(update(Record).values(**values)))


@BOTH_DATABASES
def test_nothing_is_wrong(watched: Site) -> None:
    watched.ask()
    set_record(watched, run_after=watched.clock - 59 * MINUTE)
    alarms.raise_alarms(watched.service, watched.clock)
    assert mails(watched) == []


@BOTH_DATABASES
def test_once_a_day_for_each_reason(watched: Site) -> None:
    watched.ask()
    set_record(watched, run_after=watched.clock - 61 * MINUTE)
    alarms.raise_alarms(watched.service, watched.clock)
    assert mails(watched) == [("ada@example.org", "alarm.overdue")]  # and nobody else
    alarms.raise_alarms(watched.service, watched.clock + 23 * HOUR)
    set_record(watched, status="failed", updated_at=watched.clock + 23 * HOUR)
    alarms.raise_alarms(watched.service, watched.clock + 23 * HOUR)
    assert [key for _, key in mails(watched)] == ["alarm.overdue", "alarm.failed"]
    set_record(watched, status="queued")
    alarms.raise_alarms(watched.service, watched.clock + 24 * HOUR)
    assert [key for _, key in mails(watched)] == ["alarm.overdue", "alarm.failed", "alarm.overdue"]


@ON_SQLITE
def test_who_does_not_want_them(watched: Site) -> None:
    (ada,) = (user["id"] for user in users.list_users(watched.engine) if user["role"] == "admin")
    profile.change_profile(watched.engine, ada, {"notifications": {"alarm": False}})
    watched.ask()
    set_record(watched, status="failed", updated_at=watched.clock)
    alarms.raise_alarms(watched.service, watched.clock)
    assert mails(watched) == []


@ON_SQLITE
def test_no_daemon(watched: Site) -> None:
    def watch(minutes: int) -> None:
        watched.clock += minutes * MINUTE
        alarms.watch_daemons(watched.service, watched.clock)

    watch(0)
    assert mails(watched) == []  # none was ever started
    heartbeats.write_heartbeat(watched.engine, "here", watched.clock)
    watch(9)
    assert mails(watched) == []
    watch(1)
    watch(10)
    assert mails(watched) == [("ada@example.org", "alarm.no_daemon")]
    with reading(watched.engine) as session:
        row = session.scalars(select(Notification)).one()
        assert row.tries == 2  # it is sent from here, where no daemon does so: to a dead server


LECTURE = datetime(2026, 11, 20, 6, tzinfo=ZoneInfo("UTC"))


@ON_SQLITE
@pytest.mark.parametrize(
    ("mode", "values", "hours", "is_raised"),
    [
        ("asks", {}, 5, True),
        ("asks", {}, 3, False),  # what was recorded may still come
        ("asks", {}, 30, False),  # of the day before
        ("asks", {"stage": "encode"}, 5, False),
        ("asks", {"status": "delivered"}, 5, False),
        ("asks", {"status": "failed"}, 5, True),
        ("asks", {"status": "cancelled"}, 5, False),
        ("names", {}, 5, True),
        ("no", {}, 5, False),
    ],
)
def test_no_lecture_arrived(
    watched: Site, mode: Any, values: dict[str, Any], hours: int, is_raised: bool
) -> None:
    when = Recurrence("UTC", LECTURE.replace(tzinfo=None), 90 * MINUTE)
    spec = SeriesSpec("", "MATH-101", "Lecture", when, room="504", mode=mode)
    store.add_series(watched.engine, spec, utc(LECTURE) - DAY)
    if values:
        set_record(watched, **values)
    now = utc(LECTURE) + hours * HOUR
    set_record(watched, run_after=now, updated_at=now - 2 * HOUR)
    alarms.raise_alarms(watched.service, now)
    assert [key for _, key in mails(watched)] == ["alarm.nothing_recorded"] * is_raised


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_mail(language: str) -> None:
    text = {"text": "", "key": "alarm.overdue", "params": {"count": 2, "record": 7}}
    letter = mail.Letter(
        "i" * 40, "alarm", "ada@example.org", {"text": text}, language, "merger@example.org",
        web="https://lectures.example.org",
    )  # fmt: skip
    message = mail.compose(letter, datetime(2026, 11, 20, tzinfo=ZoneInfo("UTC")))
    body = message.get_body(("plain",))
    assert body is not None
    written = body.get_content()
    assert "https://lectures.example.org/operations" in written and "7" in written
    assert ("2 recordings should have been" in written) is (language == "en")
