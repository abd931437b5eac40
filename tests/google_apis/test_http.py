"""The border to Google: what is tried again, what answers mean, and that no secret is in what is told."""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from google_apis import http
from google_apis.errors import (
    Again,
    AlreadyThere,
    Changed,
    Gone,
    NotThere,
    Unanswered,
    error_of,
)
from google_apis.http import (
    LONGEST_WAIT_S,
    TRIES,
    pause_s,
    reason_of,
    retry_after_s,
    translate_errors,
)
from google_apis.http import Google as Client
from merger.errors import Broken, MergerError, Refused, Temporary
from merger.i18n import languages, render
from tests.fakes.google import SUBJECT, Google
from tests.fakes.google_answers import Asked, Said
from tests.google_apis.conftest import about, asked, make_folder


def folders(google: Google) -> list[str]:
    return [one["name"] for one in google.drive.files.values() if one["name"] != "My Drive"]


# --- trying again ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["500", "503", "429", "403_rate", "drop_before", "drop_after", "empty_200"]
)
def test_what_passes_is_tried_again(
    google: Google, client: Client, pauses: list[float], kind: str
) -> None:
    google.faults.add("GET /drive/v3/about", kind, times=2)
    assert about(client) == SUBJECT
    assert pauses == [1.0, 2.0]


def test_it_gives_up_at_last(google: Google, client: Client, pauses: list[float]) -> None:
    google.faults.add("GET", "503", times=100)
    with pytest.raises(Unanswered) as error:
        about(client)
    assert error.value.code == "google_away"
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    assert len(google.faults.happened) == TRIES


@pytest.mark.parametrize(
    ("kind", "asks", "waits"), [("429", "7", 7.0), ("403_rate", "0", 0.0), ("503", "nonsense", 1.0)]
)
def test_it_waits_as_long_as_it_is_asked_to(
    google: Google, client: Client, pauses: list[float], kind: str, asks: str, waits: float
) -> None:
    google.faults.add("GET", kind, retry_after=asks)
    about(client)
    assert pauses == [waits]


def test_it_does_not_wait_for_longer_than_a_worker_should(
    google: Google, client: Client, pauses: list[float]
) -> None:
    google.faults.add("GET", "429", retry_after="3600")
    with pytest.raises(Again) as error:
        about(client)
    assert error.value.code == "google_busy"
    assert error.value.after_s == 3600
    google.faults.add("GET", "429", times=3, retry_after="16")
    with pytest.raises(Again):
        about(client)
    assert sum(pauses) <= LONGEST_WAIT_S


def test_what_may_not_be_repeated_is_sent_once(
    google: Google, client: Client, pauses: list[float]
) -> None:
    google.faults.add("POST /drive/v3/files", "drop_after")
    with pytest.raises(Unanswered):
        make_folder(client, repeats=False)
    assert folders(google) == ["504"]
    assert asked(google, "POST /drive/v3/files") == 1
    google.faults.add("POST /drive/v3/files", "500")
    with pytest.raises(Unanswered):
        make_folder(client, repeats=False)
    assert pauses == []


def test_what_was_not_done_is_repeated_even_so(
    google: Google, client: Client, pauses: list[float]
) -> None:
    google.faults.add("POST /drive/v3/files", "429")
    make_folder(client, repeats=False)
    assert folders(google) == ["504"]
    assert pauses == [1.0]


def test_a_lost_answer_is_not_asked_for_again_behind_our_back(
    google: Google, client: Client
) -> None:
    google.faults.add("POST /drive/v3/files", "drop_after")
    make_folder(client)
    assert asked(google, "POST /drive/v3/files") == 2  # as `repeats` allows, and not one more
    assert folders(google) == ["504", "504"]


def test_nobody_there(client: Client, pauses: list[float]) -> None:
    about(client)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Again) as error:
        make_folder(replace(client, root=f"http://127.0.0.1:{port}"), repeats=False)
    assert error.value.code == "google_away"
    assert not isinstance(error.value, Unanswered)  # nothing was sent
    assert len(pauses) == TRIES - 1


def test_an_answer_that_does_not_come(
    google: Google, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    about(client)
    goes_on, answers = threading.Event(), google.answer

    def slow(asked: Asked) -> Said:
        goes_on.wait(60)
        return answers(asked)

    monkeypatch.setattr(google, "answer", slow)
    monkeypatch.setattr(http, "TIMEOUT_S", (5.0, 0.05))
    try:
        with pytest.raises(Unanswered, match="ReadTimeout"):
            about(client)
    finally:
        goes_on.set()


@pytest.mark.parametrize(
    ("failures", "chance", "waits"),
    [(1, 0.0, 1.0), (2, 0.5, 2.5), (5, 0.0, 16.0), (9, 0.25, 32.25)],
)
def test_back_off(failures: int, chance: float, waits: float) -> None:
    assert pause_s(Again("google_busy", "google.too_fast", answer=""), failures, chance) == waits
    assert pause_s(Again("google_busy", "google.too_fast", 7.0, answer=""), failures, chance) == 7.0


NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        (None, None), ("", None), ("soon", None), ("0", 0.0), (" 12 ", 12.0), ("-5", None),
        ("Fri, 20 Nov 2026 10:00:30 GMT", 30.0), ("Fri, 20 Nov 2026 09:00:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_how_long_it_asks_to_wait(said: str | None, waits: float | None) -> None:
    assert retry_after_s(said, NOW) == waits


# --- what answers mean ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "kind", "code", "key"),
    [
        (400, "invalid", Refused, "google_refused", "refused"),
        (400, "invalidSharingRequest", Refused, "google_refused", "refused"),
        (413, "", Refused, "google_refused", "refused"),
        (401, "authError", Broken, "google_credentials", "not_recognised"),
        (403, "rateLimitExceeded", Again, "google_busy", "too_fast"),
        (403, "userRateLimitExceeded", Again, "google_busy", "too_fast"),
        (403, "sharingRateLimitExceeded", Again, "google_busy", "too_fast"),
        (403, "dailyLimitExceeded", Temporary, "google_busy", "limit"),
        (403, "quotaExceeded", Temporary, "google_busy", "limit"),
        (403, "storageQuotaExceeded", Broken, "google_full", "full"),
        (403, "accessNotConfigured", Broken, "google_api_off", "api_off"),
        (403, "SERVICE_DISABLED", Broken, "google_api_off", "api_off"),
        (403, "insufficientPermissions", Broken, "google_scope", "scope"),
        (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", Broken, "google_scope", "scope"),
        (403, "forbiddenForServiceAccounts", Broken, "google_rights", "service_account"),
        (403, "domainPolicy", Broken, "google_policy", "policy"),
        (403, "forbiddenForNonOrganizer", Broken, "google_rights", "not_organizer"),
        (403, "shareOutNotPermitted", Broken, "google_policy", "policy"),
        (403, "insufficientFilePermissions", Broken, "google_file", "file"),
        (403, "forbidden", Broken, "google_rights", "rights"),
        (403, "PERMISSION_DENIED", Broken, "google_rights", "rights"),
        (404, "notFound", NotThere, "google_not_there", "not_there"),
        (408, "", Unanswered, "google_away", "away"),
        (409, "fileIdInUse", AlreadyThere, "google_already_there", "already_there"),
        (409, "ABORTED", Again, "google_busy", "aborted"),
        (410, "fullSyncRequired", Gone, "google_gone", "gone"),
        (412, "conditionNotMet", Changed, "google_changed", "changed"),
        (429, "", Again, "google_busy", "too_fast"),
        (500, "internalError", Unanswered, "google_away", "away"),
        (503, "", Unanswered, "google_away", "away"),
    ],
)
def test_who_must_act(
    status: int, reason: str, kind: type[MergerError], code: str, key: str
) -> None:
    error = error_of(status, reason, "Some words.", account="us@example.edu")
    assert type(error) is kind
    assert error.code == code
    assert error.message.key == f"google.{key}"
    for language in languages():
        words = render(language, error.message)
        assert f"({status} {reason}".rstrip() in words and len(words) < 500
        assert ("us@example.edu" in words) == ("account" in error.message.params)


def test_storage_that_is_full_by_its_older_name() -> None:
    message = "The user has exceeded their Drive storage quota"
    assert error_of(403, "quotaExceeded", message).code == "google_full"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", ("", "")),
        (b"<html>", ("", "")),
        (b"[]", ("", "")),
        (b'{"error": "invalid_grant"}', ("invalid_grant", "")),
        (b'{"error": {"message": "No", "errors": [{"reason": "notFound"}]}}', ("notFound", "No")),
        (b'{"error": {"status": "NOT_FOUND", "message": "No"}}', ("NOT_FOUND", "No")),
        (
            b'{"error": {"status": "PERMISSION_DENIED", "errors": [{"reason": "forbidden"}],'
            b' "details": [{"@type": "x"}, {"reason": "SERVICE_DISABLED"}]}}',
            ("SERVICE_DISABLED", ""),
        ),
        (b'{"error": {"errors": null, "details": [7]}}', ("", "")),
    ],
)
def test_where_google_says_why(body: bytes, said: tuple[str, str]) -> None:
    assert reason_of(body) == said


def test_an_error_of_the_library_is_one_of_ours(client: Client) -> None:
    with pytest.raises(NotThere):
        client.call(client.collection("drive", "v3", "files").get(fileId="nothing"))
    with pytest.raises(NotThere):
        client.call(
            client.collection("calendar", "v3", "events").list(calendarId="a", singleEvents=True)
        )


@pytest.mark.parametrize(
    "secret", ["ya29.a0AfB_by-C", "1//0gHush-hush", "Bearer hush", "https://x/y?upload_id=hush"]
)
def test_no_secret_in_an_error(secret: str) -> None:
    message = str(error_of(400, "invalid", f"What is {secret} for?").message)
    assert secret not in message
    assert "hush" not in message.lower()


def test_no_address_of_an_upload_in_an_error(google: Google, client: Client) -> None:
    google.faults.add("PUT /upload", "drop_before", times=9)
    with client.session() as session, pytest.raises(Unanswered) as error, translate_errors():
        session.put(f"{google.address}/upload/session/s?upload_id=hush", timeout=600)
    assert "hush" not in "".join(traceback.format_exception(error.value))


def test_no_secret_in_what_is_printed(client: Client) -> None:
    about(client)
    assert "credentials" not in repr(client)


# --- the client -----------------------------------------------------------------------------------


def test_nothing_is_fetched(
    client: Client, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[Any] = []
    connect: Callable[..., None] = socket.socket.connect

    def noting(self: socket.socket, address: Any) -> None:
        reached.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noting)
    for name, version in (
        ("drive", "v3"),
        ("calendar", "v3"),
        ("classroom", "v1"),
        ("sheets", "v4"),
    ):
        Client(client.credentials).collection(name, version)
        client.collection(name, version)
    assert reached == []
    about(client)
    assert {f"http://{host}:{port}" for host, port in reached} == {google.address}


def test_where_the_apis_are(client: Client, google: Google) -> None:
    real = Client(client.credentials)
    assert real.address("drive", "v3") == "https://www.googleapis.com/drive/v3"
    assert real.upload_address("drive", "v3") == "https://www.googleapis.com/upload/drive/v3"
    assert real.address("classroom", "v1") == "https://classroom.googleapis.com"
    assert real.collection("sheets", "v4")._baseUrl == "https://sheets.googleapis.com/"
    assert client.address("drive", "v3") == f"{google.address}/drive/v3"
    assert client.upload_address("drive", "v3") == f"{google.address}/upload/drive/v3"


def test_several_threads_use_one_client(google: Google, client: Client) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: about(client), range(16))) == {SUBJECT}
