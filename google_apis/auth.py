"""Who we are to Google: a service account, by itself or for a user of its domain, or a user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.auth.credentials import Credentials
from google.oauth2 import credentials as oauth
from google.oauth2 import service_account

from merger.errors import Broken

_ROOT = "https://www.googleapis.com/auth/"
# The least that works, one for each thing that is done. The names, and what each allows:
# https://developers.google.com/identity/protocols/oauth2/scopes
SCOPES = (
    # Rooms' folders are made by people and shared with us; drive.file would hide what we did not
    # make ourselves: their folders, and media that others put there.
    f"{_ROOT}drive",
    # Calendars of rooms are made and shared, events read, changed and watched.
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

    subject: the user of the domain for whom a service account acts; empty: for itself.
    The file's token_uri is honoured. Raises Broken for a file that does not hold credentials.
    https://developers.google.com/identity/protocols/oauth2/service-account#delegatingauthority
    """
    said = _read(path)
    kind = said.get("type")
    if kind == "service_account":
        return _service_account(path, said, subject)
    if kind == "authorized_user":
        if subject:
            raise _odd(
                path,
                "a user's token acts for nobody else; leave the subject empty, or use the key of a"
                " service account",
            )
        return _user(path, said)
    if "installed" in said or "web" in said:
        raise _odd(
            path,
            "it names a client of OAuth and nobody's token; sign in once, and use the file that"
            " comes of it",
        )
    raise _odd(path, "its type is neither service_account nor authorized_user")


def account_of(credentials: Credentials) -> str:
    """Return the address for which Google takes us, or nothing where that is not known."""
    if isinstance(credentials, service_account.Credentials):
        # There is no public name for the subject.
        return str(credentials._subject or credentials.service_account_email)
    return str(getattr(credentials, "account", "") or "")


def describe_credentials(credentials: Credentials) -> str:
    """Return one line that says as whom we act, and what that forbids."""
    account = account_of(credentials)
    if not isinstance(credentials, service_account.Credentials):
        return f"a user's token{f', of {account}' if account else ''}"
    if credentials._subject:
        return f"the service account {credentials.service_account_email} acts for {account}"
    # https://developers.google.com/workspace/drive/api/guides/about-files#storage
    return (
        f"the service account {account} acts for itself, which has no room of its own in Drive:"
        " deliver to a shared drive, or give a subject, or use a user's token"
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        message = (
            f"Google's credentials {path} cannot be read ({error.strerror}); put the file there"
        )
        raise Broken("google_credentials", message) from error
    if len(data) > _LARGEST_FILE_BYTES:
        raise _odd(path, "it is too large for that")
    try:
        said = json.loads(data)
    except ValueError:  # its text might be quoted in the cause
        raise _odd(path, "it is not JSON") from None
    if not isinstance(said, dict):
        raise _odd(path, "it is not an object of JSON")
    return said


def _service_account(path: Path, said: Mapping[str, Any], subject: str) -> Credentials:
    whole = {"token_uri": TOKEN_URI, **said}
    _need(path, whole, ("client_email", "private_key", "token_uri"))
    try:
        found = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            whole, scopes=SCOPES, subject=subject or None
        )
    except Exception:  # cryptography's own, and not a word of the key
        raise _odd(path, "its private_key is none; download a new key") from None
    assert isinstance(found, Credentials)
    return found


def _user(path: Path, said: Mapping[str, Any]) -> Credentials:
    whole = {"token_uri": TOKEN_URI, **said}
    _need(path, whole, ("refresh_token", "client_id", "client_secret", "token_uri"))
    # Without scopes, which were settled when the user signed in: to ask for others than those
    # would be refused, even where they are not needed.
    return oauth.Credentials(  # type: ignore[no-untyped-call]
        None,
        refresh_token=whole["refresh_token"],
        token_uri=whole["token_uri"],
        client_id=whole["client_id"],
        client_secret=whole["client_secret"],
        account=str(whole.get("account") or ""),
    )


def _need(path: Path, said: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(said.get(name), str) or not said[name]:
            raise _odd(path, f"it has no {name}; download or make it again")


def _odd(path: Path, why: str) -> Broken:
    return Broken("google_credentials", f"{path} does not hold Google's credentials: {why}")
