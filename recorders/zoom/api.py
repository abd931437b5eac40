"""Zoom's API: a token by server-to-server OAuth, the recordings of a meeting, and their list.

The one border at which what Zoom answers becomes one of our errors.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import requests

from merger.backoff import backoff
from merger.errors import Broken, Temporary
from merger.i18n import Message
from merger.timeline.timestamps import parse_timestamp

TIMEOUT_S = (10, 30)  # to connect, and between two pieces of an answer
LONGEST_WAIT_S = 10.0  # that Zoom may ask for; longer, and the recording is deferred instead
_FIRST_PAUSE = timedelta(seconds=1)
_TRIES = 3
_RENEW_BEFORE_S = 60
_LARGEST_PAGE = 300  # of /recordings, as its documentation has it
_LONGEST_LIST = timedelta(days=30)  # from and to may not be more than a month apart
_WRONG_CREDENTIALS = (400, 401, 403)


@dataclass(frozen=True)
class Account:
    """How Zoom is reached. credentials: account_id:client_id:client_secret.

    hosts: that recordings may be loaded from, with all below them; an address is meant literally,
    and only one that stands here may be of this machine or its network.
    """

    api: str = "https://api.zoom.us/v2"
    oauth: str = "https://zoom.us/oauth/token"
    hosts: tuple[str, ...] = ("zoom.us", "zoomgov.com")
    credentials: str = field(default="", repr=False)


def path_of(uuid: str) -> str:
    """Return a meeting's UUID for a path: encoded twice where it holds what ends a path.

    https://developers.zoom.us/docs/api/rest/reference/zoom-api/methods/#operation/recordingGet
    """
    once = quote(uuid, safe="")
    return quote(once, safe="") if uuid.startswith("/") or "//" in uuid else once


@lru_cache(maxsize=64)
def client_of(account: Account) -> Client:
    """Return the client of an account, one in each process, which knows its token."""
    return Client(account)


class Client:
    """Asks Zoom. pause: waits for some seconds."""

    def __init__(self, account: Account, pause: Callable[[float], None] = time.sleep) -> None:
        self.account = account
        self.pause = pause
        self._lock = threading.Lock()
        self._token = ""
        self._token_ends = 0.0  # by the monotonic clock

    def meeting(self, uuid: str) -> Mapping[str, Any] | None:
        """Return the recordings of a meeting as Zoom describes them; None where it has none."""
        answer = self._get(f"meetings/{path_of(uuid)}/recordings", {})
        return answer if answer is None else dict(answer)

    def recordings(self, first: date, last: date) -> Iterator[Mapping[str, Any]]:
        """Yield the recorded meetings of the account between two days (UTC)."""
        while first <= last:
            until = min(last, first + _LONGEST_LIST)
            query = {"from": first.isoformat(), "to": until.isoformat()}
            yield from self._pages("accounts/me/recordings", query, "meetings")
            first = until + timedelta(days=1)

    def _pages(self, path: str, query: dict[str, str], items: str) -> Iterator[Mapping[str, Any]]:
        query = {**query, "page_size": str(_LARGEST_PAGE)}
        while True:
            page = self._get(path, query) or {}
            yield from (item for item in page.get(items) or () if isinstance(item, Mapping))
            following = page.get("next_page_token")
            if not following or following == query.get("next_page_token"):
                return
            query["next_page_token"] = str(following)

    def _get(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Return an object of the API, or None where there is none (404)."""
        renewed = False
        for tried in range(1, _TRIES + 2):
            token = self.token()
            response = self._send("GET", f"{self.account.api}/{path}", token, params=query)
            if response.status_code == 401 and not renewed:
                renewed = True
                self._forget(token)
            elif response.status_code == 404:
                return None
            elif response.status_code == 429 or response.status_code >= 500:
                self.wait(response, tried)
            elif response.status_code != 200:
                raise _refusal(response)
            else:
                return _object(response)
        raise Temporary("source_away", "recorders.zoom.overloaded")

    def wait(self, response: requests.Response, tried: int) -> None:
        """Wait as long as Zoom asks for before the next try. Raises Temporary for too long."""
        seconds = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
        if seconds is None:
            seconds = pause_s(tried)
        if tried > _TRIES or seconds > LONGEST_WAIT_S:
            status = response.status_code
            if status == 429:
                message = Message("recorders.zoom.must_wait", status=status, seconds=round(seconds))
            else:
                message = Message("recorders.zoom.unavailable", status=status)
            raise Temporary("source_away", message)
        self.pause(seconds)

    def token(self) -> str:
        """Return a token that is good for a minute or more. Raises Broken for wrong credentials."""
        with self._lock:
            if time.monotonic() >= self._token_ends:
                self._token, lasts_s = self._fetch_token()
                self._token_ends = time.monotonic() + lasts_s - _RENEW_BEFORE_S
            return self._token

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token_ends = 0.0

    def _fetch_token(self) -> tuple[str, float]:
        account, client, secret = self.account.credentials.split(":", 2)
        query = {"grant_type": "account_credentials", "account_id": account}
        for tried in range(1, _TRIES + 2):
            response = self._send(
                "POST", self.account.oauth, None, params=query, auth=(client, secret)
            )
            if response.status_code == 429 or response.status_code >= 500:
                self.wait(response, tried)
                continue
            if response.status_code in _WRONG_CREDENTIALS:
                raise Broken("credentials", "recorders.zoom.bad_credentials", why=_reason(response))
            answer = _object(response)
            token, lasts_s = answer.get("access_token"), answer.get("expires_in", 3600)
            if not isinstance(token, str) or not isinstance(lasts_s, int | float):
                raise Temporary("source_away", "recorders.zoom.no_token")
            return token, float(lasts_s)
        raise Temporary("source_away", "recorders.zoom.overloaded")

    def _send(self, method: str, url: str, token: str | None, **options: Any) -> requests.Response:
        if token is not None:
            options["auth"] = Bearer(token)
        try:
            return requests.request(
                method, url, timeout=TIMEOUT_S, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            why = type(error).__name__  # its text has the address
            raise Temporary("source_away", "recorders.zoom.unreachable", why=why) from error


class Bearer(requests.auth.AuthBase):
    """Sends a token; without it, requests would look for a password in the user's ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def pause_s(failures: int) -> float:
    """Return the pause after failures in a row, in seconds: 1, 2, 4, 8, 10."""
    return backoff(failures, _FIRST_PAUSE, timedelta(seconds=LONGEST_WAIT_S)).total_seconds()


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return how many seconds a Retry-After asks for; None where it has no known form.

    It is a number of seconds, or the instant at which the limit of a day ends.
    """
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until = parse_timestamp(value)
    except (ValueError, OverflowError):
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _object(response: requests.Response) -> Mapping[str, Any]:
    try:
        answer = response.json()
    except requests.JSONDecodeError as error:
        key, status = "recorders.zoom.no_json", response.status_code
        raise Temporary("source_away", key, status=status) from error
    if not isinstance(answer, dict):
        raise Temporary("source_away", "recorders.zoom.no_object")
    return answer


def _refusal(response: requests.Response) -> Broken:
    path = response.request.path_url.partition("?")[0]
    return Broken("source", "recorders.zoom.refused", path=path, why=_reason(response))


def _reason(response: requests.Response) -> str:
    """Return what Zoom says of a refusal, without what was sent to it."""
    try:
        answer = json.loads(response.text)
        words = answer.get("message") or answer.get("reason") or answer.get("error")
    except (ValueError, AttributeError):
        words = None
    text = " ".join(str(words).split())[:200] if words else ""
    return f"{response.status_code}: {text}" if text else str(response.status_code)
