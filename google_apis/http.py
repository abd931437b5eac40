"""The one border to Google: its failures become our errors, and calls worth it are repeated."""

from __future__ import annotations

import email.utils
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httplib2
import requests
import urllib3.exceptions
from google.auth import exceptions as auth_errors
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import Error as ClientError

from google_apis.auth import account_of
from google_apis.errors import OUR_ACCOUNT, Again, Unanswered, error_of
from merger.backoff import backoff
from merger.errors import Broken, MergerError
from merger.i18n import Message

TIMEOUT_S = (10.0, 60.0)  # to connect, and between two pieces of an answer
LONGEST_WAIT_S = 30.0  # that one call waits in all; after that, the caller's queue waits
TRIES = 5
# https://developers.google.com/workspace/drive/api/guides/limits#exponential
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=32)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Google:
    """Calls Google on behalf of an account; several threads may use it at once.

    root: an address that stands in for Google, http://127.0.0.1:PORT; empty: Google itself.
    pause: waits for some seconds. chance: a random number in [0, 1).
    """

    credentials: Credentials = field(repr=False)
    root: str = ""
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)
    chance: Callable[[], float] = field(default=random.random, repr=False)

    @property
    def account(self) -> str | Message:
        """Return the address for which Google takes us, or words for it where it is not known."""
        return account_of(self.credentials) or OUR_ACCOUNT

    def collection(self, api: str, version: str, *names: str) -> Any:
        """Return a collection of an API, such as `files`, which makes requests for `call`.

        Nothing is fetched.
        """
        return _collection(api, version, *names)

    def address(self, name: str, version: str) -> str:
        """Return the URL below which an API's paths are, without a slash at its end."""
        api = _description(name, version)
        return self.at_root(f"{api['rootUrl']}{api['servicePath']}".rstrip("/"))

    def upload_address(self, name: str, version: str) -> str:
        """Return the URL below which an API takes media, without a slash at its end."""
        api = _description(name, version)
        return self.at_root(f"{api['rootUrl']}upload/{api['servicePath']}".rstrip("/"))

    def at_root(self, url: str) -> str:
        """Return a URL of Google's as it is on the server that stands in for it, where one does."""
        if not self.root:
            return url
        parts = urlsplit(url)
        return self.root.rstrip("/") + url[len(f"{parts.scheme}://{parts.netloc}") :]

    def session(self) -> AuthorizedSession:
        """Return a session that signs its requests; for one thread, and to be closed.

        It neither repeats a request nor translates errors: see `retry` and `translate_errors`.
        """
        session = AuthorizedSession(self.credentials)  # type: ignore[no-untyped-call]
        # Else requests would look for a password in the user's ~/.netrc, and send that instead.
        session.auth = _keep_signature
        return session

    def call(self, request: Any, *, repeats: bool = True) -> dict[str, Any]:
        """Send a request of a `service`, and return its answer.

        Args:
            repeats: whether it may be sent again when nobody knows if it has happened; otherwise
                that raises Unanswered, and the caller must look.

        Raises:
            MergerError: one of google_apis.errors, or Temporary, Refused, Broken.
        """

        def send() -> dict[str, Any]:
            with self.session() as session:
                transport = _Transport(self, session)
                try:
                    answer = request.execute(http=transport, num_retries=0)
                except (ValueError, ClientError):  # it might be quoted in the cause
                    answer = None
            if transport.is_empty:  # as that of channels.stop
                return {}
            if not isinstance(answer, dict):
                raise Unanswered("google_away", "google.odd_answer")
            return answer

        return self.retry(send, repeats=repeats)

    def retry(self, attempt: Callable[[], Result], *, repeats: bool = True) -> Result:
        """Return what an attempt returns, after as many as are worth it.

        After Again there is another attempt, after Unanswered only with `repeats`.
        """
        waited_s = 0.0
        for failures in range(1, TRIES + 1):
            try:
                return attempt()
            except Again as error:
                wait_s = pause_s(error, failures, self.chance())
                waited_s += wait_s
                is_lost = isinstance(error, Unanswered) and not repeats
                if is_lost or failures == TRIES or waited_s > LONGEST_WAIT_S:
                    raise
            self.pause(wait_s)
        raise AssertionError("the last try returns or raises")

    def error_in(self, response: requests.Response) -> MergerError:
        """Return the error that an answer to a request of a `session` means."""
        return read_error(
            response.status_code,
            response.content,
            retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC)),
            self.account,
        )


def pause_s(error: Again, failures: int, chance: float) -> float:
    """Return how long to wait after failures in a row: what Google asks for, or longer each time.

    Args:
        chance: 0..1, by so many seconds longer, for what failed together.
    """
    if error.after_s is not None:
        return error.after_s
    return backoff(failures, _FIRST_PAUSE, _LONGEST_PAUSE).total_seconds() + chance


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return how many seconds a Retry-After asks for; None where it is not understood.

    It is a number of seconds or an instant: RFC 9110, 10.2.3.
    """
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        until = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn what goes wrong on the way to Google, and with our sign-in, into one of our errors.

    Causes are left out: their texts hold addresses of uploads, which are as good as a password.
    """
    try:
        yield
    except auth_errors.RefreshError as error:
        raise _not_signed_in(error) from None
    except auth_errors.TransportError as error:
        raise Again("google_away", "google.unreachable", why=_name_of(error)) from None
    except auth_errors.GoogleAuthError as error:
        raise Broken(
            "google_credentials", "google.credentials_fail", why=type(error).__name__
        ) from None
    except requests.RequestException as error:
        kind = Again if _was_never_sent(error) else Unanswered
        raise kind("google_away", "google.unreachable", why=type(error).__name__) from None


def read_error(
    status: int, body: bytes, after_s: float | None = None, account: str | Message = OUR_ACCOUNT
) -> MergerError:
    """Return the error that an answer's status and body mean. after_s: what Retry-After says."""
    reason, message = reason_of(body)
    return error_of(status, reason, message, after_s=after_s, account=account)


def reason_of(body: bytes) -> tuple[str, str]:
    """Return the reason, a word, and the message in an answer's body; empty where there are none.

    Drive and Calendar put it into errors[].reason, newer APIs into details[].reason and status:
    https://developers.google.com/workspace/drive/api/guides/handle-errors,
    https://google.aip.dev/193
    """
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return "", ""
    if not isinstance(error, Mapping):  # as of the token endpoint
        return str(error), ""
    parts = [*(error.get("details") or ()), *(error.get("errors") or ())]
    reasons = [p["reason"] for p in parts if isinstance(p, Mapping) and p.get("reason")]
    return str([*reasons, error.get("status") or ""][0]), str(error.get("message") or "")


class _Transport:
    """The client library's transport: httplib2's interface over a session.

    httplib2 itself silently sends any request again when a connection is lost:
    https://github.com/httplib2/httplib2/blob/master/httplib2/__init__.py (RETRIES)
    """

    def __init__(self, google: Google, session: AuthorizedSession) -> None:
        self._google = google
        self._session = session
        self.is_empty = False  # the last answer was 204

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> tuple[httplib2.Response, bytes]:
        with translate_errors():
            response = self._session.request(  # type: ignore[no-untyped-call]
                method,
                self._google.at_root(uri),
                data=body,
                headers=dict(headers or {}),
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
        if not 200 <= response.status_code < 300:
            raise self._google.error_in(response)
        self.is_empty = response.status_code == 204
        return httplib2.Response(
            {**response.headers, "status": response.status_code}
        ), response.content


class _Nowhere:
    """Takes the place of a client's own transport; each call brings its own."""

    def request(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("requests are sent by Google.call")

    def close(self) -> None:
        pass


def _keep_signature(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


@cache
def _description(name: str, version: str) -> Mapping[str, Any]:
    """Return the description of an API that comes with the client library."""
    folder = resources.files("googleapiclient.discovery_cache.documents")
    api: dict[str, Any] = json.loads((folder / f"{name}.{version}.json").read_bytes())
    return api


@cache
def _client(name: str, version: str) -> Any:
    """Return a client, which takes 50 ms and up to 50 MiB to build; it knows no credentials."""
    return build_from_document(dict(_description(name, version)), http=_Nowhere())


@cache
def _collection(name: str, version: str, *names: str) -> Any:
    """Return a collection of an API, which takes 5 ms to build."""
    resource = _client(name, version)
    for part in names:
        resource = getattr(resource, part)()
    return resource


def _name_of(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return type(cause).__name__ if isinstance(cause, Exception) else type(error).__name__


def _was_never_sent(error: requests.RequestException) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


# What the token endpoint answers, each with advice of its own: https://developers.google.com/
# identity/protocols/oauth2/service-account#error-codes
_SIGN_IN = (
    "invalid_grant", "unauthorized_client", "access_denied", "invalid_scope", "invalid_client",
    "deleted_client",
)  # fmt: skip


def _not_signed_in(error: auth_errors.RefreshError) -> MergerError:
    answer = error.args[1] if len(error.args) > 1 else None
    word = str(answer.get("error", "")) if isinstance(answer, Mapping) else ""
    word = word if re.fullmatch(r"[a-z_]{1,40}", word) else ""
    why = word or Message("google.no_reason")
    if error.retryable:
        return Again("google_away", "google.no_token", why=why)
    advice = Message(f"google.sign_in.{word if word in _SIGN_IN else 'unknown'}")
    return Broken("google_credentials", "google.not_signed_in", why=why, advice=advice)
