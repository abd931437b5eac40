"""The reader's language: of problems, of the sentences in the API's documents, and of pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from merger import i18n
from merger.db.engine import writing
from merger.i18n import Message, to_json
from merger.records import actions
from models import Notification, Offer, Record
from tests.support.databases import ON_SQLITE
from tests.texts.polish import polish_added
from tests.texts.russian import in_russian
from tests.web.conftest import LECTURE, Web, problem, told

pytestmark = ON_SQLITE
RUSSIAN = {"Accept-Language": "ru-RU, en;q=0.5"}


def api(web: Web, who: str | None, method: str, path: str, **options: Any) -> TestResponse:
    headers = {**RUSSIAN, **options.pop("headers", {})}
    response = web.api(who, method, path, headers=headers, **options)
    assert "Accept-Language" in response.headers["Vary"]
    return response


def check_message(document: Mapping[str, Any], field: str, key: str, russian: str) -> None:
    """Check that a sentence is in Russian, beside its key and parameters."""
    assert document["key"] == key
    assert document[field] == russian == in_russian(document)


# --- problems -------------------------------------------------------------------------------------


def test_what_is_not_there(web: Web) -> None:
    found = problem(api(web, "ann", "GET", "/rooms/99"), 404)
    check_message(found, "detail", "rooms.no_room", "аудитории 99 нет")
    assert found["params"] == {"room": 99} and found["code"] == "room_id"
    assert found["title"] == "Не найдено"
    english = problem(web.api("ann", "GET", "/rooms/99"), 404)
    assert (english["title"], english["detail"]) == ("Not found", "there is no room 99")
    assert (english["key"], english["params"]) == (found["key"], found["params"])


def test_who_may_not(web: Web) -> None:
    response = api(web, None, "GET", "/rooms")
    found = problem(response, 401)
    assert found["key"] == "web.sign_in_first" and found["detail"].startswith("войдите или")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    found = problem(api(web, "ann", "GET", "/users"), 403)
    russian = (
        "для этого нужно право «people», его даёт роль «администратор»; попросите администратора"
        " назначить её пользователю ann@example.org"
    )
    check_message(found, "detail", "web.role_lacks_scope", russian)
    assert found["code"] == "forbidden"


def test_a_field_that_cannot_be_used(web: Web) -> None:
    found = problem(api(web, "ada", "POST", "/users", json={"email": "nobody"}), 422, "email")
    check_message(
        found, "detail", "accounts.not_an_address", "«nobody» — не адрес электронной почты"
    )
    [error] = found["errors"]
    check_message(
        error, "message", "accounts.not_an_address", "«nobody» — не адрес электронной почты"
    )


def test_fields_that_pydantic_refuses(web: Web) -> None:
    found = problem(api(web, "ada", "POST", "/users", json={"mail": "a@b", "role": 5}), 422)
    words = {error["field"]: error["message"] for error in found["errors"]}
    assert words["email"] == "не заполнено" and words["mail"] == "такого поля нет"
    assert found["key"] == "sentences" and "email: не заполнено; " in found["detail"]
    keys = {error["field"]: error["key"] for error in found["errors"]}
    assert keys == {"email": "error.missing", "mail": "web.unknown_field", "role": "verbatim"}


def test_a_mistake_in_this_program(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merger.rooms.store.list_rooms", lambda _: 1 / 0)
    found = problem(api(web, "ann", "GET", "/rooms"), 500)
    assert found["title"] == "Внутренняя ошибка" and found["key"] == "error.program_mistake"


# --- documents ------------------------------------------------------------------------------------


def test_the_history_of_a_failed_record(web: Web) -> None:
    record = web.site.ask(users=("ann@example.org",))
    assert web.site.work() == "deferred"
    web.site.clock += timedelta(days=2)
    assert web.site.work() == "failed"
    actions.retry(web.site.engine, record, web.site.clock)
    actions.cancel(web.site.engine, record, web.site.clock)
    english = told(web.api("ann", "GET", f"/records/{record}"))["events"]
    russian = told(api(web, "ann", "GET", f"/records/{record}"))["events"]
    assert english[0]["text"] == "requested by ann@example.org"
    assert russian[0]["text"] == "запрос от ann@example.org"
    for event, other in zip(russian, english, strict=True):
        assert (event["key"], event["params"]) == (other["key"], other["params"])
        assert event["text"] == i18n.render("ru", i18n.from_json(event))
        assert other["text"] == str(i18n.from_json(event))
        assert i18n.has(f"event.{event['kind']}")


def test_an_error_warnings_and_notifications(web: Web) -> None:
    record = web.site.ask(users=("ann@example.org",))
    why = Message("error.of_source", source="camera", why=Message("error.missing"))
    warning = Message("rooms.no_speaker", room="504", role="speaker")
    report = {"warnings": [str(warning)], "warning_messages": [to_json(warning)]}

    def fail(session: Any) -> None:
        row = session.get_one(Record, record)
        row.status, row.error_code, row.error_message = "failed", "address", why
        row.report = json.dumps(report)
        session.add(
            Notification(
                identity="x", record_id=record, version=1, kind="failed", channel="mail",
                recipient="ann@example.org", status="failed", tries=1, due_at=web.site.clock,
                created_at=web.site.clock, facts={}, error_message=why,
            )
        )  # fmt: skip

    writing(web.site.engine, fail)
    details = told(api(web, "ann", "GET", f"/records/{record}"))
    check_message(details["error"], "message", "error.of_source", "источник «camera»: не заполнено")
    assert details["error"]["code"] == "address"
    assert details["warnings"] == [in_russian(warning)]
    assert details["warning_messages"] == [to_json(warning)]
    [message] = details["messages"]
    assert message["error"] == in_russian(message["error_message"]) == in_russian(why)
    [listed] = told(api(web, "ann", "GET", "/records"))["records"]
    assert listed["error"] == details["error"]
    english = told(web.api("ann", "GET", f"/records/{record}"))
    assert english["error"]["message"] == "source 'camera': it is missing"
    assert english["warnings"] == [str(warning)]
    assert english["messages"][0]["error"] == str(why)


def test_warnings_of_an_old_report_have_no_key(web: Web) -> None:
    record = web.site.ask(users=("ann@example.org",))

    def write(session: Any) -> None:
        session.get_one(Record, record).report = json.dumps({"warnings": ["the moon was full"]})

    writing(web.site.engine, write)
    details = told(api(web, "ann", "GET", f"/records/{record}"))
    assert details["warnings"] == ["the moon was full"]
    assert details["warning_messages"] == [
        {"key": "verbatim", "params": {"text": "the moon was full"}}
    ]


def test_discovered_recordings(web: Web) -> None:
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    reason = Message("discovered.no_room", address="zoom:1")
    row = Offer(
        kind="zoom", origin="uuid", place="1", name="x", owner="a@b", start_at=at, end_at=at,
        state="unplaced", offered_at=at, reason=reason,
    )  # fmt: skip
    writing(web.site.engine, lambda session: session.add(row))
    [offer] = told(api(web, "eve", "GET", "/offers"))["offers"]
    assert offer["reason"] == "ни в одной аудитории нет источника zoom:1"
    assert offer["reason_message"] == to_json(reason)
    [offer] = told(web.api("eve", "GET", "/offers"))["offers"]
    assert offer["reason"] == "no room has a source with the address zoom:1"


def test_an_answer_that_is_given_again_is_in_the_language_of_whoever_asks_again(web: Web) -> None:
    key = {"Idempotency-Key": "k"}
    russian = told(api(web, "ann", "POST", "/records", json=LECTURE, headers=key), 201)
    english = told(web.api("ann", "POST", "/records", json=LECTURE, headers=key), 201)
    assert russian["events"][0]["text"] == "запрос от ann@example.org"
    assert english["events"][0]["text"] == "requested by ann@example.org"


def test_the_montage_api(web: Web) -> None:
    lecture = {"date": "2026-11-20", "start_time": "10:05", "end_time": "11:20"}
    path = "/api/montage-event/504"
    answer = told(web.call("ann", "POST", path, json=lecture, headers=RUSSIAN), 201)
    check_message(answer, "message", "web.montage", "Запись 1: в очереди")
    answer = told(web.call("ann", "POST", path, json=lecture), 201)
    assert answer["message"] == "Record 1 is queued"


# --- pages ----------------------------------------------------------------------------------------


def test_the_pages_of_a_third_language(web: Web, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    with polish_added(folder):
        response = web.call(None, "GET", "/login", headers={"Accept-Language": "pl, en;q=0.5"})
    assert response.headers["Content-Language"] == "pl" and '<html lang="pl">' in response.text
    assert "<h1>Zaloguj się</h1>" in response.text
    assert ">Password</label>" in response.text  # which that catalogue lacks
