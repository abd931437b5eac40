"""Whole requests and answers, as the OpenAPI document shows them; tests send and compare them."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

Example = dict[str, Any]


def shown_by(example: Example) -> ConfigDict:
    """Return the configuration of a model that shows an example."""
    return ConfigDict(json_schema_extra={"examples": [example]})


# --- records --------------------------------------------------------------------------------------

RECORD_REQUEST: Example = {
    "room": "504",
    "start": "2026-11-20T10:05",
    "end": "2026-11-20T11:20",
    "name": "Optics",
    "course_code": "PHYS-201",
    "users": ["rea@example.org"],
}
RECORD_EDIT: Example = {
    "name": "Optics, lecture 3",
    "description": "Lenses and mirrors",
    "users": ["ann@example.org", "rea@example.org"],
}
NEW_VERSION: Example = {"layout": "speaker_only", "start": "2026-11-20T10:10"}

RECORD: Example = {
    "id": 17,
    "room": "504",
    "room_id": 1,
    "name": "Optics",
    "title": "Optics",
    "description": None,
    "start": "2026-11-20T10:05:00+03:00",
    "end": "2026-11-20T11:20:00+03:00",
    "zone": "Europe/Moscow",
    "layout": "side_by_side",
    "profile": "720p",
    "status": "delivered",
    "stage": "deliver",
    "progress": 1.0,
    "overall_progress": 1.0,
    "ready_at": None,
    "run_after": None,
    "attempt": 1,
    "version": 1,
    "delivered_version": 1,
    "is_outdated": False,
    "error": None,
    "is_yours": True,
    "users": ["ann@example.org", "rea@example.org"],
    "unconfirmed_users": [],
    "course_code": "PHYS-201",
    "created_at": "2026-11-16T09:30:00+03:00",
    "updated_at": "2026-11-20T11:52:40+03:00",
    "delivered_at": "2026-11-20T11:52:40+03:00",
}
RECORDS: Example = {"records": [RECORD], "next": None}
RECORD_DETAILS: Example = {
    **RECORD,
    "warnings": [],
    "warning_messages": [],
    "sources": ["camera", "screen"],
    "papers": [],
    "gaps": [
        {
            "source": "camera",
            "start": "2026-11-20T10:05:00+03:00",
            "end": "2026-11-20T10:06:30+03:00",
        }
    ],
    "sync": [],
    "scenes": [{"start": "2026-11-20T10:05:00+03:00", "end": "2026-11-20T11:20:00+03:00"}],
    "decisions": [
        {
            "start": "2026-11-20T10:05:00+03:00",
            "end": "2026-11-20T11:20:00+03:00",
            "right": "screen",
            "verdict": "presentation",
            "reason": "presentation: nothing says that it is none",
            "reason_message": {
                "key": "decision.shows",
                "params": {
                    "verdict": {"key": "verdict.presentation", "params": {}},
                    "why": {"key": "analysis.no_card", "params": {}},
                },
            },
        }
    ],
    "overrules": [],
    "chapters": [
        {
            "start": "2026-11-20T10:12:31.240000+03:00",
            "end": "2026-11-20T10:15:02.880000+03:00",
            "start_s": 451.24,
            "title": "The chain rule",
            "words": "The chain rule Let f and g be differentiable",
            "has_picture": True,
        }
    ],
    "chunks": [
        {
            "start": "2026-11-20T10:05:00+03:00",
            "end": "2026-11-20T10:30:00+03:00",
            "presence": True,
            "verdict": "presentation",
            "score": 0.96,
            "samples": 5,
            "reasons": [],
            "reason_messages": [],
            "pictures": [{"at": "2026-11-20T10:17:30+03:00", "verdict": "presentation"}],
        }
    ],
    "renditions": [
        {
            "kind": "merge",
            "version": 1,
            "bytes": 734003200,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "width": 2560,
            "height": 720,
            "frames": 112500,
        }
    ],
    "captions": [],
    "deliveries": [
        {
            "destination": "drive",
            "kind": "merge",
            "status": "delivered",
            "version": 1,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "link": "https://drive.google.com/file/d/1a2b3c/view",
        }
    ],
    "messages": [],
    "events": [
        {
            "at": "2026-11-16T06:30:00+00:00",
            "attempt": 0,
            "kind": "asked",
            "text": "requested by ann@example.org",
            "key": "history.requested_by",
            "params": {"email": "ann@example.org"},
        }
    ],
}
NEW_RECORD: Example = {**RECORD_DETAILS, "access": "granted"}

# --- requests for access --------------------------------------------------------------------------

ACCESS: Example = {
    "id": 3,
    "access": "pending",
    "room": "504",
    "start": "2026-11-20T10:05:00+03:00",
    "end": "2026-11-20T11:00:00+03:00",
    "zone": "Europe/Moscow",
    "name": "Optics",
    "layout": "side_by_side",
    "profile": "720p",
    "user": "bob@example.org",
    "users": ["bob@example.org"],
    "asks": ["ann@example.org"],
    "is_yours": True,
    "can_decide": False,
    "has_allowed": False,
    "overlaps": [],
    "created_at": "2026-11-20T15:00:00+03:00",
    "decided_at": None,
    "decided_by": None,
    "record": None,
}
ACCESS_DECISION: Example = {"allow": True}

# --- rooms ----------------------------------------------------------------------------------------

_CAMERA: Example = {
    "name": "camera",
    "role": "speaker",
    "kind": "rtsp",
    "address": "rtsp://10.0.5.4/stream1",
}
SOURCE_REQUEST: Example = {**_CAMERA, "credentials": "user:password"}
SOURCE: Example = {"id": 3, **_CAMERA, "has_credentials": True}
ROOM_REQUEST: Example = {
    "name": "Aula",
    "zone": "Europe/Moscow",
    "requesters": {"who": "named", "names": ["@example.org"]},
    "sources": [
        SOURCE_REQUEST,
        {"name": "slides", "role": "screen", "kind": "folder", "address": "/srv/recordings"},
    ],
}
ROOM_EDIT: Example = {"shows_both": True, "both_after": "90s", "mails": False}
ROOM: Example = {
    "id": 2,
    "name": "Aula",
    "zone": "Europe/Moscow",
    "chunk": "30m",
    "decide": "instant",
    "shows_both": True,
    "both_after": "60s",
    "early": "1m",
    "late": "2m",
    "sound_source": None,
    "drive_folder": None,
    "calendar_id": None,
    "mails": True,
    "uploads_raw": False,
    "papers": False,
    "archives": False,
    "requesters": {"who": "named", "names": ["@example.org"]},
    "watchers": None,
    "default_course": None,
    "unmatched": None,
    "shortest": None,
    "sources": [SOURCE],
    "meetings": [],
}

# --- timetable ------------------------------------------------------------------------------------

SERIES_REQUEST: Example = {
    "room": "504",
    "name": "Algebra",
    "course_code": "MATH-101",
    "start": "2026-11-23T10:00",
    "length": "90m",
    "rule": "FREQ=WEEKLY;BYDAY=MO",
    "until": "2026-12-28",
    "exdates": ["2026-12-14"],
}
SERIES_EDIT: Example = {"name": "Linear algebra", "until": "2026-12-21"}
SERIES: Example = {
    "id": 1,
    "source": "requested",
    "room": "504",
    "room_id": 1,
    "name": "Algebra",
    "course_code": "MATH-101",
    "zone": "Europe/Moscow",
    "start": "2026-11-23T10:00:00",
    "end": "2026-11-23T11:30:00",
    "length": "90m",
    "rule": "FREQ=WEEKLY;BYDAY=MO",
    "until": "2026-12-28",
    "exdates": ["2026-12-14"],
    "mode": "asks",
    "meeting": None,
    "layout": "side_by_side",
    "profile": "720p",
    "people": ["ann@example.org"],
    "state": "active",
    "status_code": 200,
    "reason": None,
}
NEW_SERIES: Example = {**SERIES, "clashes": []}
LECTURE_EDIT: Example = {"start": "2026-11-24T10:00", "name": "Algebra, moved"}
LECTURE: Example = {
    "id": 1,
    "series": 1,
    "room": "504",
    "room_id": 1,
    "zone": "Europe/Moscow",
    "name": "Algebra, moved",
    "course_code": "MATH-101",
    "original": "2026-11-23T10:00:00+03:00",
    "start": "2026-11-24T10:00:00+03:00",
    "end": "2026-11-24T11:30:00+03:00",
    "state": "planned",
    "status_code": 200,
    "is_off": False,
    "reason": None,
    "reason_message": None,
    "is_changed": True,
    "record": 18,
}
DAYS_OFF_REQUEST: Example = {"first": "2027-05-01", "last": "2027-05-03", "name": "Holidays"}
DAYS_OFF: Example = {"id": 1, **DAYS_OFF_REQUEST, "room": None}

# --- people ---------------------------------------------------------------------------------------

USER_REQUEST: Example = {"email": "guest@example.org", "name": "Guest lecturer"}
USER: Example = {
    "id": 5,
    "email": "guest@example.org",
    "name": "Guest lecturer",
    "role": "user",
    "invited": True,
    "confirmed": True,
    "bound": False,
    "has_password": False,
    "last_seen_at": None,
}
KEY_REQUEST: Example = {"name": "timetable", "scopes": ["read", "write"]}
NEW_KEY: Example = {
    "id": 5,
    "user": "ann@example.org",
    "name": "timetable",
    "hint": "lm_6lPjm",
    "scopes": ["read", "write"],
    "created_at": "2026-11-20T12:00:00+00:00",
    "last_used_at": None,
    "revoked_at": None,
    "key": "lm_6lPjm-and-a-longer-rest",
}

# --- screens of rooms -----------------------------------------------------------------------------

STILL_ANSWER: Example = {"answer": "desktop"}
STILL: Example = {
    "id": 3,
    "room": "504",
    "room_id": 1,
    "zone": "Europe/Moscow",
    "asked_at": "2026-11-20T11:52:40+03:00",
    "answer": "desktop",
    "answered_by": "eve@example.org",
    "answered_at": "2026-11-20T15:04:11+03:00",
    "recordings": 6,
    "days": 4,
    "seconds": 840,
    "at_start": 6,
    "at_end": 2,
    "seen_at": ["2026-11-20T10:05:00+03:00", "2026-11-19T12:00:00+03:00"],
    "to_remake": 6,
}

# --- as NVR has it --------------------------------------------------------------------------------

MONTAGE_REQUEST: Example = {
    "event_name": "Optics",
    "date": "2026-11-21",
    "start_time": "10:05",
    "end_time": "11:20",
}
MONTAGE: Example = {
    "id": 17,
    "message": "Record 17 is queued",
    "key": "web.montage",
    "params": {"record": 17, "status": "queued"},
}
