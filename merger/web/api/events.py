"""The API: how a record gets on, as server-sent events."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import Response, json, stream_with_context
from pydantic import BaseModel, Field
from werkzeug.exceptions import ServiceUnavailable

from merger.errors import MergerError
from merger.i18n import Message
from merger.records import views
from merger.web.api import base
from merger.web.api.schemas.records import RecordPath
from merger.web.auth import require_principal, service
from merger.web.language import translate_document
from models import ENDED

blueprint = base.resources("events", "What happens to a record, as it happens.")

MOST_STREAMS = 16  # at once in a process: each occupies a thread of the server
_LOOK_S = 1.0  # between two looks at the row
_HEARTBEAT_S = 15.0
_LASTS_S = 300.0  # then the client connects again, if it is still there
_RECONNECT_MS = 2000
_RETRY_AFTER_S = 60
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would collect events until there are many
}


@dataclass(frozen=True)
class Connection:
    """What a server tells of the connection that a request came by.

    Attributes:
        stopping: set when the server stops.
        is_gone: whether the client is.
    """

    stopping: threading.Event = field(default_factory=threading.Event)
    is_gone: Callable[[], bool] = lambda: False


connection: ContextVar[Connection] = ContextVar("connection")  # of the request of this thread
_streams = threading.BoundedSemaphore(MOST_STREAMS)


class TooManyStreams(ServiceUnavailable):
    """All streams of this process are taken."""

    def __init__(self) -> None:
        self.message = Message("web.too_many_streams")
        super().__init__(str(self.message), retry_after=_RETRY_AFTER_S)


class EventHeaders(BaseModel):
    """Optional headers of a client that connects again."""

    last_event_id: str | None = Field(
        None, alias="Last-Event-ID", max_length=255,
        description="The `id` of the last event; nothing is sent until the record is different.",
    )  # fmt: skip


@blueprint.get(
    "/records/<int:record>/events",
    responses={
        "200": {
            "description": "Events `state`; their data is JSON with the fields `id`, `status`,"
            " `stage`, `progress`, `overall_progress`, `seconds_left`, `ready_at`, `version`,"
            " `delivered_version` and `error` of the record.",
            "content": {"text/event-stream": {}},
        },
        "204": {"description": "The record has ended, and the client knows: do not connect again"},
    },
    operation_id="watchRecord",
)
def watch(path: RecordPath, header: EventHeaders) -> Response:
    """Follow a record's progress as server-sent events, until it has ended.

    The stream also ends after some minutes: connect again, with Last-Event-ID. 503 if too many are
    open; poll the record then.
    """
    who = require_principal("read")
    engine, now = service().engine, service().now

    def look() -> dict[str, Any]:
        return views.record_state(engine, path.record, who.only_of)

    state = look()  # before anything is sent: so that whoever may not see it is told
    if state["status"] in ENDED and header.last_event_id == _id_of(state):
        return Response(status=204, headers={"Cache-Control": "no-store"})
    if not _streams.acquire(blocking=False):
        raise TooManyStreams
    events = _events(look, state, now, header.last_event_id, connection.get(Connection()))
    response = Response(stream_with_context(events), mimetype="text/event-stream", headers=_HEADERS)
    response.call_on_close(_streams.release)
    return response


def _events(
    look: Callable[[], dict[str, Any]],
    state: dict[str, Any],
    now: Callable[[], datetime],
    last: str | None,
    via: Connection,
) -> Iterator[str]:
    """Yield a record's states, each once, until it ends, or the stream has lasted long enough.

    Args:
        look: returns the state; raises MergerError where that is not possible any more.
        state: the first one.
        now: the time.
        last: the id of the one that the client has.
        via: the connection to it.
    """
    begun = heard = time.monotonic()
    yield f"retry: {_RECONNECT_MS}\n\n"
    while True:
        found = _id_of(state)
        if found != last:
            last, heard = found, time.monotonic()
            yield _event(found, state, now())
        if state["status"] in ENDED:
            return
        if via.stopping.wait(_LOOK_S) or via.is_gone() or time.monotonic() - begun > _LASTS_S:
            return
        if time.monotonic() - heard >= _HEARTBEAT_S:
            heard = time.monotonic()
            yield ": still here\n\n"
        try:
            state = look()
        except MergerError:  # it was deleted, or the database is away: the client will see which
            return


def _id_of(state: dict[str, Any]) -> str:
    """Return what tells two states apart, also for another process and after a restart."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]


def _event(identity: str, state: dict[str, Any], now: datetime) -> str:
    ready_at = state["ready_at"]
    left = datetime.fromisoformat(ready_at) - now if ready_at else None
    seconds = None if left is None else max(0, round(left / timedelta(seconds=1)))
    data = json.dumps(translate_document({**state, "seconds_left": seconds}))
    return f"event: state\nid: {identity}\ndata: {data}\n\n"
