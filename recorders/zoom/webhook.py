"""`POST /hooks/zoom`: what Zoom reports by itself, signed. A blueprint that app.py registers.

https://developers.zoom.us/docs/api/webhooks/ says how it signs, and that it waits three seconds: so
nothing here asks Zoom, or does more than write down what came.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request

from merger import strict_json
from merger.errors import MergerError, Temporary
from merger.i18n import Message
from merger.intake.discovered import Outcome
from merger.ports.discovery import DiscoveredRecording
from merger.ports.meetings import EVENT_KINDS, MeetingEvent
from merger.strict_json import UnusableJson
from merger.timeline.clock import is_plausible
from recorders.zoom.discovery import discovered_recording, transcribed_recording
from recorders.zoom.meeting import Malformed, digits, meeting_of

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_UUID = 128  # characters
_TRANSCRIBED = "recording.transcript_completed"
_RECORDED = ("recording.completed", _TRANSCRIBED)
WINDOW_S = 300  # of the clocks, either way: what is older may be a copy that somebody sends again


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what Zoom signs a request with. Pure."""
    signed = b"v0:" + timestamp.encode() + b":" + body
    return f"v0={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def is_signed(secret: str, timestamp: str, signed: str, body: bytes, now: datetime) -> bool:
    """Return whether a request is Zoom's, and of these minutes; without a secret none is. Pure."""
    if not secret or not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > 12:
        return False
    if abs(now.timestamp() - int(timestamp)) > WINDOW_S:
        return False
    expected = signature(secret, timestamp, body).encode()
    return hmac.compare_digest(expected, signed.encode("utf-8", "surrogateescape"))


def challenge(secret: str, plain_token: str) -> dict[str, str]:
    """Return the answer to `endpoint.url_validation`. Pure."""
    digest = hmac.new(secret.encode(), plain_token.encode(), hashlib.sha256).hexdigest()
    return {"plainToken": plain_token, "encryptedToken": digest}


def blueprint(
    secret: str,
    now: Callable[[], datetime],
    ensure_record: Callable[[DiscoveredRecording], Outcome],
    save_event: Callable[[MeetingEvent], None],
    take_up_transcript: Callable[[DiscoveredRecording], Collection[int]],
) -> Blueprint:
    """Return the route.

    Args:
        ensure_record: makes the record of a discovered recording, or feeds one that is there, in
            the database alone.
        save_event: keeps what happened to a meeting, in the database alone.
        take_up_transcript: has the records of a recording get what was said in it, in the database
            alone.
    """
    hooks = Blueprint("zoom_hook", __name__, url_prefix="/hooks")

    @hooks.post("/zoom")
    def receive() -> Response:
        body = request.get_data()
        timestamp = request.headers.get("x-zm-request-timestamp", "")
        signed = request.headers.get("x-zm-signature", "")
        if not is_signed(secret, timestamp, signed, body, now()):
            why = "the signature is not right" if secret else "MERGER_ZOOM_HOOK_SECRET is not set"
            log.warning("a call of /hooks/zoom is not believed: %s", why)
            return _reply(401, {"error": str(Message("recorders.zoom.unsigned"))})
        try:
            event, payload, call = _event(body)
            if event == "endpoint.url_validation":
                return _reply(200, challenge(secret, _text(payload, "plainToken")))
            if event in EVENT_KINDS:
                return keep_event(event, call)
            if event not in _RECORDED:
                return Response(status=204)
            meeting = meeting_of(_object(payload, "object"))
        except (Malformed, UnusableJson) as error:
            return _reply(400, {"error": str(error)})
        if event == _TRANSCRIBED:
            return keep_transcript(transcribed_recording(meeting))
        recording = discovered_recording(meeting)
        try:
            outcome = ensure_record(recording)
        except MergerError as error:
            return _failure(recording.origin, error)
        log.info("zoom %s: record %s %s", recording.origin, outcome.record, outcome.reason or "")
        reason = None if outcome.reason is None else str(outcome.reason)
        return _reply(200, {"record": outcome.record, "reason": reason})

    def keep_transcript(recording: DiscoveredRecording) -> Response:
        try:
            records = take_up_transcript(recording)
        except MergerError as error:
            return _failure(recording.origin, error)
        log.info("zoom %s: a transcript for records %s", recording.origin, list(records))
        return _reply(200, {"records": list(records)})

    def keep_event(kind: str, call: dict[str, Any]) -> Response:
        event = _meeting_event(kind, call)
        if event is None:  # Zoom would send the same again
            log.warning("a call %s of /hooks/zoom says of no meeting when it happened", kind)
            return Response(status=204)
        try:
            save_event(event)
        except MergerError as error:
            return _failure(event.uuid, error)
        return Response(status=204)

    return hooks


def _failure(uuid: str, error: MergerError) -> Response:
    """Return the answer upon which Zoom calls again: the tables are away, say."""
    log.warning("zoom %s: %s", uuid, error.message)
    return _reply(503 if isinstance(error, Temporary) else 500, {"error": str(error)})


def _meeting_event(kind: str, call: dict[str, Any]) -> MeetingEvent | None:
    """Return what a call reports of a meeting; None where it does not say of which, or when."""
    payload = call.get("payload")
    meeting = payload.get("object") if isinstance(payload, dict) else None
    if not isinstance(meeting, dict):
        return None
    uuid, number, ms = meeting.get("uuid"), digits(str(meeting.get("id"))), call.get("event_ts")
    is_named = isinstance(uuid, str) and 0 < len(uuid) <= _LONGEST_UUID and number
    if not is_named or not isinstance(ms, int):
        return None
    try:
        at = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None
    return MeetingEvent(str(uuid), number, kind, at) if is_plausible(at) else None


def _event(body: bytes) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the event of a call, its payload, where that is used, and all of the call."""
    try:
        call = strict_json.loads(body)
    except UnusableJson:
        raise
    except ValueError as error:
        raise Malformed("body_not_json") from error
    if not isinstance(call, dict):
        raise Malformed("body_not_an_object")
    event = _text(call, "event")
    used = ("endpoint.url_validation", *_RECORDED)
    return event, _object(call, "payload") if event in used else {}, call


def _text(parent: dict[str, Any], key: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str) or not value:
        raise Malformed("missing", fields=(key,))
    return value


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise Malformed("missing", fields=(key,))
    return value


def _reply(status: int, document: dict[str, Any]) -> Response:
    return Response(json.dumps(document), status=status, content_type="application/json")
