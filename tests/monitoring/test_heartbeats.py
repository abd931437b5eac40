"""Signs of life of daemons."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, select

from merger.db.engine import reading
from merger.monitoring import heartbeats
from models import Fact
from tests.support.line import NOON
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def names(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return list(session.scalars(select(Fact.name).order_by(Fact.name)))


def test_the_last_sign_of_any_daemon_counts(engine: Engine) -> None:
    assert heartbeats.last_heartbeat(engine) is None
    heartbeats.write_heartbeat(engine, "one", NOON)
    heartbeats.write_heartbeat(engine, "two", NOON + MINUTE)
    assert heartbeats.last_heartbeat(engine) == NOON + MINUTE
    heartbeats.write_heartbeat(engine, "one", NOON + 2 * MINUTE)
    assert heartbeats.last_heartbeat(engine) == NOON + 2 * MINUTE
    assert names(engine) == ["daemon:one", "daemon:two"]


def test_daemons_that_are_no_more_are_forgotten(engine: Engine) -> None:
    for n in range(5):
        heartbeats.write_heartbeat(engine, f"host-{n}", NOON + n * DAY)
    assert names(engine) == ["daemon:host-3", "daemon:host-4"]
    heartbeats.write_heartbeat(engine, "host-4", NOON + 9 * DAY)
    assert heartbeats.last_heartbeat(engine) == NOON + 9 * DAY


def test_a_name_may_be_long(engine: Engine) -> None:
    for number in (1, 2):
        heartbeats.write_heartbeat(engine, f"{'h' * 200}-{number}", NOON)
    assert [len(name) for name in names(engine)] == [64, 64]


def test_a_recorder_is_no_daemon(engine: Engine) -> None:
    heartbeats.write_heartbeat(engine, "host-1", NOON + MINUTE, "recorder")
    assert heartbeats.last_heartbeat(engine) is None
    heartbeats.write_heartbeat(engine, "host-2", NOON)
    heartbeats.write_heartbeat(engine, "host-2", NOON + 3 * DAY, "recorder")
    assert [(h.kind, h.name, h.at) for h in heartbeats.list_heartbeats(engine)] == [
        ("daemon", "host-2", NOON),
        ("recorder", "host-2", NOON + 3 * DAY),
    ]
