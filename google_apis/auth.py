"""Our credentials at Google: those of a service account, for itself or a user, or of a user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.auth.credentials import Credentials
from google.oauth2 import credentials as oauth
from google.oauth2 import service_account

from merger.errors import Broken
from merger.i18n import Message

_ROOT = "https://www.googleapis.com/auth/"
# The least that works, one for each purpose. Their names, and what each allows:
# https://developers.google.com/identity/protocols/oauth2/scopes
SCOPES = (
    # Rooms' folders are created by people and shared with us; drive.file would hide what we did
    # not create ourselves: their folders, and media that others put there.
    f"{_ROOT}drive",
    # Calendars of rooms are created and shared, events read, changed and watched.
    f"{_ROOT}calendar",
    # Videos are announced to courses.
    f"{_ROOT}classroom.announcements",
    # The courses to choose from.
    f"{_ROOT}classroom.courses.readonly",
    # Tables with lectures and addresses are only read.
    f"{_ROOT}spreadsheets.readonly",
)
TOKEN_URI = "https://oauth2.googleapis.com/token"
_LARGEST_FILE_BYTES = 1 << 20  # a key file has 2.5 kB; whatever is larger is another file


def credentials_from(path: Path, subject: str = "") -> Credentials:
    """Return the credentials that a JSON file holds: a service account's key, or a user's token.

    The file's token_uri is honoured.
    https://developers.google.com/identity/protocols/oauth2/service-account#delegatingauthority

    Args:
        subject: the user of the domain for whom a service account acts; empty: for itself.

    Raises:
        Broken: the file does not hold credentials.
    """
    stored = _read(path)
    kind = stored.get("type")
    if kind == "service_account":
        return _service_account(path, stored, subject)
    if kind == "authorized_user":
        if subject:
            raise _no_credentials(path, "subject_of_user")
        return _user(path, stored)
    if "installed" in stored or "web" in stored:
        raise _no_credentials(path, "client")
    raise _no_credentials(path, "type")


def account_of(credentials: Credentials) -> str:
    """Return the address for which Google takes us, or nothing where that is not known."""
    if isinstance(credentials, service_account.Credentials):
        # There is no public name for the subject.
        return str(credentials._subject or credentials.service_account_email)
    return str(getattr(credentials, "account", "") or "")


def describe_credentials(credentials: Credentials) -> Message:
    """Return for whom we act, and what that forbids."""
    account = account_of(credentials)
    if not isinstance(credentials, service_account.Credentials):
        key = "google.acts.as_user" if account else "google.acts.as_somebody"
        return Message(key, account=account)
    if credentials._subject:
        email = credentials.service_account_email
        return Message("google.acts.for_user", email=email, account=account)
    # https://developers.google.com/workspace/drive/api/guides/about-files#storage
    return Message("google.acts.for_itself", account=account)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise Broken(
            "google_credentials", "google.credentials_unreadable",
            path=str(path), why=str(error.strerror),
        ) from error  # fmt: skip
    if len(data) > _LARGEST_FILE_BYTES:
        raise _no_credentials(path, "too_large")
    try:
        stored = json.loads(data)
    except ValueError:  # its text might be quoted in the cause
        raise _no_credentials(path, "no_json") from None
    if not isinstance(stored, dict):
        raise _no_credentials(path, "no_object")
    return stored


def _service_account(path: Path, stored: Mapping[str, Any], subject: str) -> Credentials:
    info = {"token_uri": TOKEN_URI, **stored}
    _require(path, info, ("client_email", "private_key", "token_uri"))
    try:
        credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            info, scopes=SCOPES, subject=subject or None
        )
    except Exception:  # cryptography's own, and not a word of the key
        raise _no_credentials(path, "private_key") from None
    assert isinstance(credentials, Credentials)
    return credentials


def _user(path: Path, stored: Mapping[str, Any]) -> Credentials:
    info = {"token_uri": TOKEN_URI, **stored}
    _require(path, info, ("refresh_token", "client_id", "client_secret", "token_uri"))
    # Without scopes, which were settled when the user signed in: to request others would be
    # refused, even where they are not needed.
    return oauth.Credentials(  # type: ignore[no-untyped-call]
        None,
        refresh_token=info["refresh_token"],
        token_uri=info["token_uri"],
        client_id=info["client_id"],
        client_secret=info["client_secret"],
        account=str(info.get("account") or ""),
    )


def _require(path: Path, info: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(info.get(name), str) or not info[name]:
            raise _no_credentials(path, "no_field", field=name)


def _no_credentials(path: Path, reason: str, **params: str) -> Broken:
    why = Message(f"google.no_credentials_in.{reason}", **params)
    return Broken("google_credentials", "google.credentials_wrong", path=str(path), why=why)
