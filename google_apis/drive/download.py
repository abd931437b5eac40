"""Downloads a file of Drive, and resumes where a connection broke off.

https://developers.google.com/workspace/drive/api/guides/manage-downloads
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import requests
import urllib3.exceptions
from google.auth.transport.requests import AuthorizedSession

from google_apis.drive.checksum import md5_of
from google_apis.errors import Again, Unanswered
from google_apis.http import LONGEST_WAIT_S, TIMEOUT_S, Google, pause_s, translate_errors

_BLOCK = 1 << 18  # bytes between two checks whether to stop
_MOST_FRUITLESS = 6  # tries in a row that brought nothing
# Also what Drive takes for a virus, or is too large to scan: it is of our own rooms.
_QUERY = {"alt": "media", "supportsAllDrives": "true", "acknowledgeAbuse": "true"}


def download(google: Google, file_id: str, partial: Path, check: Callable[[], None]) -> str:
    """Download the content of a file; return its MD5.

    Args:
        partial: where it goes, and what is there already of it.
        check: called between blocks; raises to stop.

    Raises:
        MergerError: NotThere, Temporary or Broken.
        OSError: of the disk.
    """
    partial.touch()
    fruitless = 0
    while True:
        before = partial.stat().st_size
        try:
            with google.session() as http:
                _load(google, http, file_id, partial, check)
            return md5_of(partial, check)
        except Again as error:
            fruitless = 0 if partial.stat().st_size > before else fruitless + 1
            is_paused = fruitless > 0 or error.after_s is not None
            wait_s = pause_s(error, fruitless, google.chance()) if is_paused else 0.0
            if fruitless >= _MOST_FRUITLESS or wait_s > LONGEST_WAIT_S:
                raise
            if wait_s:
                google.pause(wait_s)


def _load(
    google: Google, http: AuthorizedSession, file_id: str, partial: Path, check: Callable[[], None]
) -> None:
    there = partial.stat().st_size
    headers = {"Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    with translate_errors():
        response = http.request(  # type: ignore[no-untyped-call]
            "GET", f"{google.address('drive', 'v3')}/files/{file_id}", params=_QUERY,
            headers=headers, stream=True, timeout=TIMEOUT_S, allow_redirects=False,
        )  # fmt: skip
    with response:
        if response.status_code == 416:  # all of it is there, or it is another file now
            size = response.headers.get("Content-Range", "").rpartition("/")[2]
            if size == str(there):
                return
            partial.write_bytes(b"")
            raise Unanswered("google_away", "google.file_shrank")
        if response.status_code not in (200, 206):
            raise google.error_in(response)
        resumes = response.status_code == 206
        whole = (there if resumes else 0) + int(response.headers.get("Content-Length") or 0)
        with partial.open("ab" if resumes else "wb") as file:
            try:
                for block in response.iter_content(_BLOCK):
                    check()
                    file.write(block)
                    file.flush()
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise Unanswered(
                    "google_away", "google.download_broke_off", why=type(error).__name__
                ) from None
        if partial.stat().st_size < whole:
            raise Unanswered("google_away", "google.download_incomplete")
