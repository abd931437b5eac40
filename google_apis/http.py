"""The one border to Google: what it answers becomes one of our errors, or is asked for again."""

from __future__ import annotations

import email.utils
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

import httplib2
import requests
import urllib3.exceptions
from google.auth import exceptions as auth_errors
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import Error as ClientError

from google_apis.auth import account_of
from google_apis.errors import Again, Unanswered, error_of
from merger.errors import Broken, MergerError

TIMEOUT_S = (10.0, 60.0)  # to connect, and between two pieces of an answer
LONGEST_WAIT_S = 30.0  # that one call waits in all, asked for or not; then its caller's queue waits
TRIES = 5
_LONGEST_BACK_OFF_S = 32.0  # https://developers.google.com/workspace/drive/api/guides/limits

Result = TypeVar("Result")


@dataclass(frozen=True)
class Google:
    """Calls Google as somebody; may be used by several threads at once.

    root: where all of Google is taken to be, http://127.0.0.1:PORT; empty: where it is.
    pause: waits for some seconds. chance: a random number in [0, 1).
    """

    credentials: Credentials = field(repr=False)
    root: str = ""
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)
    chance: Callable[[], float] = field(default=random.random, repr=False)

    @property
    def account(self) -> str:
        """Return the address for which Google takes us, or nothing where that is not known."""
        return account_of(self.credentials)

    def service(self, name: str, version: str) -> Any:
        """Return the client of an API, which makes requests for `call`; nothing is fetched."""
        return _client(name, version, self.root.rstrip("/"))

    def address(self, name: str, version: str) -> str:
        """Return the URL below which an API's paths are, without a slash at its end."""
        said = _document(name, version, self.root.rstrip("/"))
        return f"{said['rootUrl']}{said['servicePath']}".rstrip("/")

    def upload_address(self, name: str, version: str) -> str:
        """Return the URL below which an API takes media, without a slash at its end."""
        said = _document(name, version, self.root.rstrip("/"))
        return f"{said['rootUrl']}upload/{said['servicePath']}".rstrip("/")

    def session(self) -> AuthorizedSession:
        """Return a session that signs its requests; for one thread, and to be closed.

        It neither repeats a request nor translates errors: see `repeated` and `translate_errors`.
        """
        session = AuthorizedSession(self.credentials)  # type: ignore[no-untyped-call]
        # Else requests would look for a password in the user's ~/.netrc, and send that instead.
        session.auth = _as_signed
        return session

    def call(self, request: Any, *, repeats: bool = True) -> dict[str, Any]:
        """Send a request that a `service` has made, and return its answer.

        repeats: whether it may be sent again when nobody knows if it has happened; without, that
        raises Unanswered, and whoever called must look.
        Raises one of google_apis.errors, or Temporary, Refused, Broken.
        """

        def sent() -> dict[str, Any]:
            with self.session() as session:
                transport = _Transport(self, session)
                try:
                    answer = request.execute(http=transport, num_retries=0)
                except (ValueError, ClientError):  # it might be quoted in the cause
                    answer = None
            if transport.has_nothing_to_say:  # such as of channels.stop
                return {}
            if not isinstance(answer, dict):
                raise Unanswered("google_away", "Google answers with something else than an object")
            return answer

        return self.repeated(sent, repeats=repeats)

    def repeated(self, attempt: Callable[[], Result], *, repeats: bool = True) -> Result:
        """Return what an attempt returns, after as many as are worth it.

        What raises Again is tried again, what raises Unanswered only with `repeats`.
        """
        waited_s = 0.0
        for tried in range(1, TRIES + 1):
            try:
                return attempt()
            except Again as error:
                wait_s = (
                    back_off_s(tried, self.chance()) if error.after_s is None else error.after_s
                )
                waited_s += wait_s
                is_lost = isinstance(error, Unanswered) and not repeats
                if is_lost or tried == TRIES or waited_s > LONGEST_WAIT_S:
                    raise
            self.pause(wait_s)
        raise AssertionError("the last try returns or raises")

    def error_in(self, response: requests.Response) -> MergerError:
        """Return the error that an answer is: for those who send by a `session`."""
        return read_error(
            response.status_code,
            response.content,
            asked_wait_s(response.headers.get("Retry-After"), datetime.now(UTC)),
            self.account,
        )


def back_off_s(tried: int, chance: float) -> float:
    """Return how long to wait after a number of tries: 1 s, doubled each time, and up to 1 s more.

    https://developers.google.com/workspace/drive/api/guides/limits#exponential
    """
    return float(min(2 ** (tried - 1), _LONGEST_BACK_OFF_S)) + chance


def asked_wait_s(said: str | None, now: datetime) -> float | None:
    """Return how many seconds a Retry-After asks for; None where it says nothing that is known.

    It is a number of seconds or an instant: RFC 9110, 10.2.3.
    """
    if not said:
        return None
    if said.strip().isdecimal():
        return float(said)
    try:
        until = email.utils.parsedate_to_datetime(said)
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
        raise Again("google_away", f"Google cannot be reached ({_name_of(error)})") from None
    except auth_errors.GoogleAuthError as error:
        message = f"Google's credentials do not work ({type(error).__name__}); make them again"
        raise Broken("google_credentials", message) from None
    except requests.RequestException as error:
        kind = Again if _was_never_sent(error) else Unanswered
        raise kind("google_away", f"Google cannot be reached ({type(error).__name__})") from None


def read_error(
    status: int, body: bytes, after_s: float | None = None, account: str = ""
) -> MergerError:
    """Return the error that an answer's status and body are. after_s: what Retry-After says."""
    reason, message = reason_of(body)
    return error_of(status, reason, message, after_s=after_s, account=account)


def reason_of(body: bytes) -> tuple[str, str]:
    """Return the reason, a word, and the message in an answer's body; empty where there are none.

    Drive and Calendar say it in errors[].reason, the newer APIs in details[].reason and status:
    https://developers.google.com/workspace/drive/api/guides/handle-errors,
    https://google.aip.dev/193
    """
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return "", ""
    if not isinstance(error, Mapping):  # as of the token endpoint
        return str(error), ""
    said = [*(error.get("details") or ()), *(error.get("errors") or ())]
    reasons = [one["reason"] for one in said if isinstance(one, Mapping) and one.get("reason")]
    return str([*reasons, error.get("status") or ""][0]), str(error.get("message") or "")


class _Transport:
    """What the client library sends by: httplib2's interface over a session.

    httplib2 itself sends a request again when a connection is lost, whatever it was, and does not
    tell. https://github.com/httplib2/httplib2/blob/master/httplib2/__init__.py (RETRIES)
    """

    def __init__(self, google: Google, session: AuthorizedSession) -> None:
        self._google = google
        self._session = session
        self.has_nothing_to_say = False  # the last answer: 204

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
                uri,
                data=body,
                headers=dict(headers or {}),
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
        if not 200 <= response.status_code < 300:
            raise self._google.error_in(response)
        self.has_nothing_to_say = response.status_code == 204
        return httplib2.Response(
            {**response.headers, "status": response.status_code}
        ), response.content


class _Nowhere:
    """Stands where a client would keep a transport of its own; each call brings one."""

    def request(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("requests are sent by Google.call")

    def close(self) -> None:
        pass


def _as_signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


@lru_cache(maxsize=16)
def _document(name: str, version: str, root: str) -> Mapping[str, Any]:
    """Return the description of an API that the client library carries."""
    carried = resources.files("googleapiclient.discovery_cache.documents")
    said: dict[str, Any] = json.loads((carried / f"{name}.{version}.json").read_bytes())
    if root:
        said["rootUrl"] = f"{root}/"
        said["baseUrl"] = f"{root}/{said['servicePath']}"
    return said


@lru_cache(maxsize=16)
def _client(name: str, version: str, root: str) -> Any:
    """Return a client, which is some 50 ms of work; it knows no credentials."""
    return build_from_document(dict(_document(name, version, root)), http=_Nowhere())


def _name_of(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return type(cause).__name__ if isinstance(cause, Exception) else type(error).__name__


def _was_never_sent(error: requests.RequestException) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


# What the token endpoint says: https://developers.google.com/identity/protocols/oauth2/
# service-account#error-codes
_SIGN_IN = {
    "invalid_grant": (
        "sign in again for a user's token; for a service account see that this machine's clock is"
        " right, that its key still exists, and that the subject is a user of its domain"
    ),
    "unauthorized_client": (
        "an administrator of the domain must let the service account's client ID act for its"
        " users, with exactly the scopes that we ask for"
    ),
    "access_denied": "an administrator of the domain must allow our scopes",
    "invalid_scope": "an administrator of the domain must allow our scopes",
    "invalid_client": "the client ID or its secret is wrong; download the file again",
    "deleted_client": "the client was deleted in Google's console; make another, and sign in again",
}


def _not_signed_in(error: auth_errors.RefreshError) -> MergerError:
    said = error.args[1] if len(error.args) > 1 else None
    word = str(said.get("error", "")) if isinstance(said, Mapping) else ""
    word = word if re.fullmatch(r"[a-z_]{1,40}", word) else ""
    if error.retryable:
        return Again("google_away", f"Google gives no token now ({word or 'no reason given'})")
    advice = _SIGN_IN.get(word, "see that the credentials' file is whole, or make it again")
    return Broken(
        "google_credentials", f"Google does not sign us in ({word or 'no reason'}): {advice}"
    )
