"""A record's progress as server-sent events, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import requests

from merger.records.processing.queue import Claim
from merger.web.api import events
from merger.web.server import Server
from tests.support.databases import ON_SQLITE
from tests.support.waiting import DEADLINE_S, until
from tests.web.conftest import Web, problem

pytestmark = ON_SQLITE

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_LOOK_S", 0.02)


@pytest.fixture
def address(web: Web) -> Iterator[str]:
    """The address of a server with Ann's record, which somebody works on."""
    web.site.ask(users=("ann@example.org",))
    server = Server(web.app, "127.0.0.1", 0)
    server.start()
    yield f"{server.address}api/v1/records/1/events"
    server.stop()


class Stream:
    """A stream of events that somebody reads."""

    def __init__(self, web: Web, address: str, who: str = "ann", **headers: str) -> None:
        self.answer = requests.get(
            address, stream=True, timeout=DEADLINE_S,
            headers={"Authorization": f"Bearer {web.keys[who]}", **headers},
        )  # fmt: skip
        self.lines = self.answer.iter_lines(chunk_size=1, decode_unicode=True)

    def next(self) -> dict[str, str] | None:
        """Return the fields of what comes next, or None where the stream ends."""
        fields = {}
        for line in self.lines:
            if not line:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        return None

    def state(self) -> Mapping[str, Any]:
        """Return the data of the next event."""
        while (fields := self.next()) is not None:
            if "data" in fields:
                assert fields["event"] == "state"
                self.last = fields["id"]
                return json.loads(fields["data"])  # type: ignore[no-any-return]
        raise AssertionError("the stream has ended")


@contextmanager
def followed(web: Web, address: str, **headers: str) -> Iterator[Stream]:
    stream = Stream(web, address, **headers)
    with stream.answer:
        yield stream


def held(web: Web) -> Claim:
    claim = web.site.claim()
    assert claim is not None
    return claim


def test_progress_is_told_as_it_is_made_until_the_end(web: Web, address: str) -> None:
    claim = held(web)
    with followed(web, address) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        assert stream.answer.headers["Cache-Control"] == "no-store"
        assert stream.answer.headers["X-Accel-Buffering"] == "no"
        assert stream.next() == {"retry": "2000"}
        first = stream.state()
        assert (first["status"], first["stage"], first["version"]) == ("running", "collect", 1)
        lease = web.site.lease(claim)
        lease.enter_stage("encode")
        web.site.clock += MINUTE
        lease.renew(MINUTE, 0.25)
        while (state := stream.state())["progress"] != 0.25:
            assert state["stage"] == "encode"
        assert state["overall_progress"] == 0.395
        assert state["seconds_left"] == 180 and state["ready_at"].startswith("2026-11-20T15:04")
        lease.cancel()
        assert stream.state()["status"] == "cancelled"
        assert stream.next() is None
    # Browsers connect again when a stream ends, unless they are told that there is no more.
    assert Stream(web, address, **{"Last-Event-ID": stream.last}).answer.status_code == 204
    with followed(web, address) as again:  # who has not seen the end is told of it
        assert again.state()["status"] == "cancelled"
        assert again.next() is None


def test_who_connects_again_is_told_what_is_new(web: Web, address: str) -> None:
    claim = held(web)
    with followed(web, address) as stream:
        stream.state()
    with followed(web, address, **{"Last-Event-ID": stream.last}) as again:
        assert again.next() == {"retry": "2000"}
        web.site.lease(claim).enter_stage("analyse")
        assert again.state()["stage"] == "analyse"


def test_a_stream_ends_after_a_while(
    web: Web, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_HEARTBEAT_S", 0.0)
    monkeypatch.setattr(events, "_LASTS_S", 0.2)
    with followed(web, address) as stream:
        stream.state()
        assert stream.next() == {"": "still here"}
        while stream.next() is not None:
            pass


def test_what_is_deleted_ends_its_stream(web: Web, address: str) -> None:
    with followed(web, address) as stream:
        stream.state()
        assert web.api("ann", "DELETE", "/records/1").status_code == 204
        assert stream.next() is None


def test_threads_are_left_for_others(
    web: Web, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_streams", threading.BoundedSemaphore(1))

    def status() -> int:
        with followed(web, address) as other:
            return other.answer.status_code

    with followed(web, address) as stream:
        stream.state()
        refused = Stream(web, address).answer
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
        assert refused.json()["key"] == "web.too_many_streams"
        assert refused.headers["Content-Type"] == "application/problem+json"
    # Who closes the page makes room, though nothing has happened since.
    until(lambda: status() == 200)


def test_a_server_that_stops_does_not_wait_for_streams(web: Web, address: str) -> None:
    server = Server(web.app, "127.0.0.1", 0)
    server.start()
    with followed(web, f"{server.address}api/v1/records/1/events") as stream:
        stream.state()
        server.stop()
        assert stream.next() is None


def test_events_of_others_do_not_exist(web: Web, address: str) -> None:
    problem(web.api("bob", "GET", "/records/1/events"), 404)
    problem(web.api(None, "GET", "/records/1/events"), 401)
    problem(web.api("ann", "GET", "/records/99/events"), 404)
