"""The examples of the OpenAPI document: requests are sent, answers are compared with real ones."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from merger.web.api.schemas import access, examples, montage, people, records, rooms, series
from merger.web.api.schemas.base import RequestModel
from merger.web.app import create_web
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, told

RECORD, ROOM, SERIES, LECTURE = "/records/1", "/rooms/2", "/series/1", "/occurrences/1"
# In this order: who sends which example where, which example the answer has the shape of.
SENT: list[tuple[str, str, str, Any, int, Any]] = [
    ("ann", "POST", "/records", examples.RECORD_REQUEST, 201, examples.NEW_RECORD),
    ("ann", "PATCH", RECORD, examples.RECORD_EDIT, 200, examples.RECORD_DETAILS),
    ("ann", "GET", "/records", None, 200, examples.RECORDS),
    ("bob", "POST", "/records", {**examples.RECORD_REQUEST, "users": []}, 202, examples.ACCESS),
    ("ann", "POST", "/access/1", examples.ACCESS_DECISION, 200, examples.ACCESS),
    ("ann", "POST", f"{RECORD}/cancel", None, 200, examples.RECORD_DETAILS),
    ("ann", "POST", f"{RECORD}/remerge", examples.NEW_VERSION, 200, examples.RECORD_DETAILS),
    ("eve", "POST", "/rooms", examples.ROOM_REQUEST, 201, examples.ROOM),
    ("eve", "PATCH", ROOM, examples.ROOM_EDIT, 200, examples.ROOM),
    ("eve", "POST", f"{ROOM}/sources", {**examples.SOURCE_REQUEST, "name": "board", "role": "board"}, 201, examples.SOURCE),
    ("ann", "POST", "/series", examples.SERIES_REQUEST, 201, examples.NEW_SERIES),
    ("ann", "PATCH", LECTURE, examples.LECTURE_EDIT, 200, examples.LECTURE),
    ("ann", "PATCH", SERIES, examples.SERIES_EDIT, 200, examples.SERIES),
    ("eve", "POST", "/days-off", examples.DAYS_OFF_REQUEST, 201, examples.DAYS_OFF),
    ("ada", "POST", "/users", examples.USER_REQUEST, 201, examples.USER),
    ("ann", "POST", "/api-keys", examples.KEY_REQUEST, 201, examples.NEW_KEY),
    ("ann", "POST", "montage", examples.MONTAGE_REQUEST, 201, examples.MONTAGE),
]  # fmt: skip


def shape(value: Any) -> Any:
    """Return the names of all fields, and of those of fields; lists are as their first."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


def differences(example: Any, real: Any, where: str = "") -> list[str]:
    """Return where two shapes differ, but for what one of them has nothing of."""
    if example is None or real is None or where.endswith(("params", "error")):
        return []
    if isinstance(example, list):
        return differences(example[0], real[0], where)
    found = [f"{where}.{name}" for name in example.keys() ^ real.keys()]
    for name in example.keys() & real.keys():
        found += differences(example[name], real[name], f"{where}.{name}")
    return found


@ON_SQLITE
def test_what_is_shown_can_be_sent_and_is_what_is_answered(web: Web) -> None:
    web.site.environ["MERGER_ACCESS"] = "ask"
    web.app = create_web(web.site.service)
    for who, method, path, body, status, example in SENT:
        address = "/api/montage-event/504" if "montage" in path else f"/api/v1{path}"
        if path == "/records" and method == "POST" and who == "ann":
            web.site.clock = web.site.clock.replace(hour=6)  # before it begins
        answer = told(web.call(who, method, address, json=body), status)
        assert differences(shape(example), shape(answer)) == [], (method, path)


@pytest.mark.quick
def test_every_answer_is_valid() -> None:
    modules = (access, montage, people, records, rooms, series)
    models = {
        model
        for module in modules
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel)
    }
    checked = 0
    for model in models:
        for example in (model.model_config.get("json_schema_extra") or {}).get("examples", ()):  # type: ignore[union-attr]
            model.model_validate(example)
            # What a model has inherited from another would be of that one.
            assert set(example) == set(model.model_fields) or issubclass(model, RequestModel)
            checked += 1
    assert checked > 20
