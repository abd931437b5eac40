"""The border to Google: what it answers becomes one of our errors, or is asked for again."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from google_apis.account import Account
from google_apis.auth import account_of, credentials_from, describes
from google_apis.checking import finding
from google_apis.errors import (
    Again,
    AlreadyThere,
    Changed,
    Gone,
    NotThere,
    Unanswered,
    error_of,
)
from google_apis.http import TRIES, asked_wait_s, back_off_s, reason_of
from google_apis.http import Google as Client
from merger.errors import Broken, MergerError, Refused, Temporary
from tests.fakes.google import SERVICE, SUBJECT, Google


def about(client: Client) -> dict[str, Any]:
    return client.call(client.service("drive", "v3").about().get(fields="user"))


@pytest.mark.parametrize(
    ("status", "reason", "kind", "code", "advice"),
    [
        (429, "", Again, "google_busy", "less often"),
        (403, "userRateLimitExceeded", Again, "google_busy", "less often"),
        (403, "RESOURCE_EXHAUSTED", Again, "google_busy", "less often"),
        (403, "dailyLimitExceeded", Temporary, "google_busy", "limit"),
        (500, "", Unanswered, "google_away", "cannot answer"),
        (503, "backendError", Unanswered, "google_away", "cannot answer"),
        (403, "storageQuotaExceeded", Broken, "google_full", "shared drive"),
        (403, "accessNotConfigured", Broken, "google_api_off", "enable"),
        (403, "insufficientPermissions", Broken, "google_scope", "scope"),
        (403, "domainPolicy", Broken, "google_policy", "administrator"),
        (403, "forbidden", Broken, "google_rights", "share"),
        (401, "authError", Broken, "google_credentials", "credentials"),
        (404, "notFound", NotThere, "google_not_there", "no such thing"),
        (409, "fileIdInUse", AlreadyThere, "google_already_there", "already"),
        (409, "ABORTED", Again, "google_busy", "changing"),
        (410, "fullSyncRequired", Gone, "google_gone", "no more"),
        (412, "conditionNotMet", Changed, "google_changed", "somebody else"),
        (400, "invalid", Refused, "google_refused", "does not take"),
    ],
)
def test_each_answer_is_one_of_our_errors(
    status: int, reason: str, kind: type[MergerError], code: str, advice: str
) -> None:
    error = error_of(status, reason, "as they say it")
    assert type(error) is kind and error.code == code and advice in error.message


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"error": {"message": "m", "errors": [{"reason": "notFound"}]}}', ("notFound", "m")),
        (b'{"error": {"message": "m", "status": "NOT_FOUND"}}', ("NOT_FOUND", "m")),
        (b'{"error": {"details": [{"reason": "SERVICE_DISABLED"}]}}', ("SERVICE_DISABLED", "")),
        (b'{"error": "invalid_grant"}', ("invalid_grant", "")),
        (b"<html>", ("", "")), (b"", ("", "")), (b"[]", ("", "")),
    ],
)  # fmt: skip
def test_the_reason_in_an_answer(body: bytes, found: tuple[str, str]) -> None:
    assert reason_of(body) == found


def test_no_secret_is_told() -> None:
    secret = "ya29.abc Bearer xyz upload_id=123 https://upload.example.com/x 1//refresh"
    message = error_of(400, "invalid", secret).message
    for part in ("ya29", "xyz", "123", "upload.example.com", "refresh"):
        assert part not in message


def test_back_off_doubles_up_to_a_limit() -> None:
    assert [back_off_s(n, 0.5) for n in (1, 2, 3, 10)] == [1.5, 2.5, 4.5, 32.5]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(None, None), ("", None), ("7", 7.0), ("soon", None),
     ("Fri, 20 Nov 2026 10:00:30 GMT", 30.0), ("Fri, 20 Nov 2026 09:00:00 GMT", 0.0)],
)  # fmt: skip
def test_what_a_retry_after_asks_for(said: str | None, seconds: float | None) -> None:
    assert asked_wait_s(said, datetime(2026, 11, 20, 10, tzinfo=UTC)) == seconds


@pytest.mark.parametrize("kind", ["500", "503", "429", "403_rate", "drop_before", "drop_after"])
def test_what_may_pass_is_asked_for_again(google: Google, client: Client, kind: str) -> None:
    google.faults.add("about", kind, times=2)
    assert about(client) == {"user": {"emailAddress": SUBJECT}}


def test_who_is_not_to_repeat_hears_that_nobody_knows(google: Google, client: Client) -> None:
    google.faults.add("about", "drop_after")
    with pytest.raises(Unanswered):
        client.call(client.service("drive", "v3").about().get(fields="user"), repeats=False)


def test_it_waits_as_long_as_it_is_asked_to(google: Google, tmp_path: Path) -> None:
    waits: list[float] = []
    credentials = credentials_from(google.credentials_file(tmp_path), SUBJECT)
    client = Client(credentials, google.address, pause=waits.append, chance=lambda: 0.0)
    google.faults.add("about", "429", retry_after="7")
    google.faults.add("about", "503", times=2)
    about(client)
    assert waits == [7.0, 2.0, 4.0]
    google.faults.add("about", "429", retry_after="3600")
    with pytest.raises(Temporary):
        about(client)


def test_it_gives_up_after_some_tries(google: Google, client: Client) -> None:
    google.faults.add("about", "503", times=100)
    with pytest.raises(Temporary) as told:
        about(client)
    assert told.value.code == "google_away" and len(google.faults.happened) <= TRIES


def test_a_token_that_has_ended_is_renewed(google: Google, client: Client) -> None:
    about(client)
    google.tokens.clear()
    assert about(client) == {"user": {"emailAddress": SUBJECT}}


def test_nobody_is_there(client: Client, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    away = Client(client.credentials, f"http://127.0.0.1:{port}", pause=lambda seconds: None)
    about(client)  # so that there is a token
    with pytest.raises(Temporary) as told:
        about(away)
    assert told.value.code == "google_away"


def test_as_whom_we_act(google: Google, tmp_path: Path) -> None:
    service = google.credentials_file(tmp_path)
    user = google.credentials_file(tmp_path, "authorized_user")
    alone, acting = credentials_from(service), credentials_from(service, SUBJECT)
    assert (account_of(alone), account_of(acting)) == (SERVICE, SUBJECT)
    assert "no room of its own" in describes(alone) and SUBJECT in describes(acting)
    for credentials, who in (
        (alone, SERVICE),
        (acting, SUBJECT),
        (credentials_from(user), SUBJECT),
    ):
        assert about(Client(credentials, google.address)) == {"user": {"emailAddress": who}}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not JSON"), ("[]", "not an object"), ("{}", "neither"),
        ('{"installed": {}}', "sign in once"),
        ('{"type": "service_account"}', "client_email"),
        ('{"type": "service_account", "client_email": "a", "private_key": "b"}', "private_key"),
        ('{"type": "authorized_user"}', "refresh_token"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_credentials(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "google.json"
    path.write_text(text)
    with pytest.raises(Broken, match=word) as told:
        credentials_from(path)
    assert told.value.code == "google_credentials"
    with pytest.raises(Broken, match="cannot be read"):
        credentials_from(tmp_path / "missing.json")


def test_a_sign_in_that_is_refused_says_what_to_do(google: Google, tmp_path: Path) -> None:
    path = google.credentials_file(tmp_path, "authorized_user")
    path.write_text(json.dumps({**json.loads(path.read_text()), "refresh_token": "1//"}))
    with pytest.raises(Broken, match="invalid_grant"):
        about(Client(credentials_from(path), google.address, pause=lambda seconds: None))


def test_what_check_says(google: Google, tmp_path: Path) -> None:
    path = google.credentials_file(tmp_path)
    ok, text = finding(Account(path, SUBJECT, google.address))
    assert ok and SUBJECT in text
    ok, text = finding(Account(tmp_path / "missing.json", "", google.address))
    assert not ok and "cannot be read" in text
