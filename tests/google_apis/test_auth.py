"""Who we are to Google: credentials, tokens, and sign-ins that fail."""

from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from google_apis.auth import SCOPES, account_of, credentials_from, describe_credentials
from google_apis.errors import Again
from google_apis.http import TRIES
from google_apis.http import Google as Client
from merger.errors import Broken
from tests.fakes.google import SERVICE, SUBJECT, Google
from tests.fakes.google_answers import Asked, Said
from tests.google_apis.conftest import about, make_folder


@pytest.mark.parametrize(
    ("kind", "subject", "who", "words"),
    [
        ("service_account", SUBJECT, SUBJECT, f"{SERVICE} acts for {SUBJECT}"),
        ("service_account", "", SERVICE, "has no space of its own in Drive"),
        ("authorized_user", "", SUBJECT, "a user's token"),
    ],
)
def test_as_whom_we_act(
    google: Google, tmp_path: Path, kind: str, subject: str, who: str, words: str
) -> None:
    credentials = credentials_from(google.credentials_file(tmp_path, kind), subject)
    assert about(Client(credentials, google.address)) == who
    assert words in str(describe_credentials(credentials))
    assert account_of(credentials) == ("" if kind == "authorized_user" else who)


def test_a_service_account_asks_for_all_scopes_and_a_user_for_none(
    google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms: list[dict[str, list[str]]] = []
    signs_in = google._token

    def noting(asked: Asked) -> Said:
        forms.append(parse_qs(asked.body.decode()))
        return signs_in(asked)

    monkeypatch.setattr(google, "_token", noting)
    for kind in ("service_account", "authorized_user"):
        about(Client(credentials_from(google.credentials_file(tmp_path, kind)), google.address))
    claims = forms[0]["assertion"][0].split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert set(said["scope"].split()) == set(SCOPES)
    assert "scope" not in forms[1]


def test_a_token_that_was_revoked_is_replaced(google: Google, client: Client) -> None:
    about(client)
    google.tokens.clear()
    assert about(client) == SUBJECT


def test_a_token_that_is_good_is_used_again(google: Google, client: Client) -> None:
    about(client)
    about(client)
    assert len(google.tokens) == 1


def test_the_passwords_of_the_user_are_not_sent(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert about(client) == SUBJECT


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "put it there"),
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("x" * ((1 << 20) + 1), "too large"),
        ("{}", "neither service_account nor authorized_user"),
        ('{"installed": {"client_secret": "hush"}}', "sign in once"),
        ('{"type": "service_account", "client_email": "a@example.edu"}', "no private_key"),
        (
            '{"type": "service_account", "client_email": "a@example.edu", "private_key": "hush"}',
            "private_key is invalid",
        ),
        ('{"type": "authorized_user", "client_id": "a", "client_secret": "hush"}', "refresh_token"),
    ],
)
def test_a_file_without_credentials(tmp_path: Path, said: str | None, words: str) -> None:
    path = tmp_path / "google.json"
    if said is not None:
        path.write_text(said)
    with pytest.raises(Broken) as error:
        credentials_from(path)
    assert error.value.code == "google_credentials"
    assert str(path) in str(error.value.message)
    assert words in str(error.value.message)
    assert "hush" not in "".join(traceback.format_exception(error.value))


def test_a_users_token_acts_for_nobody_else(google: Google, tmp_path: Path) -> None:
    with pytest.raises(Broken, match="leave the subject empty"):
        credentials_from(google.credentials_file(tmp_path, "authorized_user"), SUBJECT)


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("invalid_grant", "sign in again"),
        ("unauthorized_client", "client ID to act for its users"),
        ("invalid_scope", "must allow the scopes"),
        ("invalid_client", "secret is wrong"),
        ("something_new", "something_new"),
        ("Bad! 1//hush", "no reason given"),
    ],
)
def test_a_sign_in_that_is_refused_is_the_operators(
    google: Google, client: Client, pauses: list[float], monkeypatch: pytest.MonkeyPatch,
    word: str, advice: str,
) -> None:  # fmt: skip
    said = Said(400, {"error": word, "error_description": "1//hush is not known"})
    monkeypatch.setattr(google, "_token", lambda asked: said)
    with pytest.raises(Broken, match=advice) as error:
        about(client)
    assert error.value.code == "google_credentials"
    assert "hush" not in "".join(traceback.format_exception(error.value))
    assert pauses == []


def test_a_sign_in_that_fails_for_now_is_tried_again(
    google: Google, client: Client, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The library tries three times itself, and waits between.
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    monkeypatch.setattr(google, "_token", lambda asked: Said(503, {"error": "unavailable"}))
    with pytest.raises(Again, match="is not issuing tokens at the moment"):
        make_folder(client, repeats=False)
    assert len(pauses) == TRIES - 1  # it was never done, whatever `repeats` says
    assert google.history == []
