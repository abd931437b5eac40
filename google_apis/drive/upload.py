"""Resumable uploads: in parts; after a failure, Drive says how much has arrived.

https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable. The loop is
our own: the client library's gives up when a connection is lost, and cannot resume an upload that
another process began.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from google.auth.transport.requests import AuthorizedSession

from google_apis.errors import Again, Gone, NotThere
from google_apis.http import LONGEST_WAIT_S, TIMEOUT_S, Google, pause_s, translate_errors
from merger.errors import Temporary

UNIT = 256 * 1024  # bytes; every part but the last must be a multiple
PART = 32 * UNIT
_RANGE = re.compile(r"bytes=0-(\d+)")
_CANCELLED = 499
_MOST_FAILURES = 8  # in a row, without anything that arrived
# To connect and send, and for the answer: urllib3 leaves the first on the socket until all is sent,
# and ten seconds for a whole part would be too little below 7 Mbit/s.
_SENDING_S = (60.0, 60.0)


class SessionLost(Exception):
    """The upload no longer exists: it has ended, was too old, or was cancelled."""


def send(
    google: Google,
    session: str,
    path: Path,
    size_bytes: int,
    *,
    is_new: bool,
    check: Callable[[], None],
    before_last: Callable[[], None],
) -> None:
    """Send what has not arrived yet of a file, until Google says that all has.

    Args:
        session: the address of the upload.
        is_new: nothing of it was sent yet.
        check: called before each part; raises to stop.
        before_last: called before the last part, with which the file becomes visible.

    Raises:
        SessionLost: the upload no longer exists.
        MergerError: Temporary, Refused or Broken.
    """
    at: int | None = 0 if is_new else None
    furthest, failures = 0, 0
    with path.open("rb") as file, google.session() as http:
        while True:
            try:
                if at is None:
                    at = _query_arrived(google, http, session, size_bytes)
                if at > furthest:  # from the answer to a part, or to the query
                    furthest, failures = at, 0
                if at >= size_bytes:
                    return
                check()
                length = min(PART, size_bytes - at)
                if at + length == size_bytes:
                    before_last()
                file.seek(at)
                data = file.read(length)
                if len(data) != length:
                    raise Temporary("upload", "google.source_shrank", path=str(path))
                content_range = f"bytes {at}-{at + length - 1}/{size_bytes}"
                arrived = _put(google, http, session, data, content_range, size_bytes)
                failures += arrived <= at
                at = arrived
            except (NotThere, Gone) as error:
                raise SessionLost from error
            except Again as error:  # whatever it was: only Google knows how much has arrived
                at = None
                failures += 1
                wait_s = pause_s(error, failures, google.chance())
                if failures >= _MOST_FAILURES or wait_s > LONGEST_WAIT_S:
                    raise
                google.pause(wait_s)
            if failures >= _MOST_FAILURES:
                raise Temporary("google_away", "google.upload_stuck")


def cancel(google: Google, session: str) -> None:
    """End an upload, if it is there: whoever still sends to it cannot complete it."""

    def delete() -> None:
        with google.session() as http, translate_errors():
            response = http.request(  # type: ignore[no-untyped-call]
                "DELETE", session, timeout=TIMEOUT_S, allow_redirects=False
            )
            if response.status_code not in (_CANCELLED, 200, 204, 404, 410):
                raise google.error_in(response)

    google.retry(delete)


def _query_arrived(google: Google, http: AuthorizedSession, session: str, size_bytes: int) -> int:
    """Return how many bytes have arrived."""
    return _put(google, http, session, b"", f"bytes */{size_bytes}", size_bytes)


def _put(
    google: Google,
    http: AuthorizedSession,
    session: str,
    data: bytes,
    content_range: str,
    size_bytes: int,
) -> int:
    """Send some bytes, or a query; return how many have arrived, from the beginning."""
    with translate_errors():
        response = http.request(  # type: ignore[no-untyped-call]
            "PUT", session, data=data, headers={"Content-Range": content_range},
            timeout=_SENDING_S if data else TIMEOUT_S, allow_redirects=False,
        )  # fmt: skip
    if response.status_code in (200, 201):
        # Its body is not trusted, and may be empty: the caller looks at the file.
        return size_bytes
    if response.status_code == 308:
        arrived = _RANGE.fullmatch(response.headers.get("Range", ""))
        return int(arrived[1]) + 1 if arrived else 0
    if response.status_code == _CANCELLED:
        raise Gone("google_gone", "google.upload_cancelled")
    raise google.error_in(response)
