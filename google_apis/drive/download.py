"""Loads a file of Drive, and on where a connection broke off.

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
from google_apis.http import LONGEST_WAIT_S, TIMEOUT_S, Google, back_off_s, translate_errors

_BLOCK = 1 << 18  # bytes between two questions whether to stop
_FRUITLESS = 6  # tries in a row that brought nothing
# Whose content looks like a virus to Drive, or is too large for it to look: it is our own room's.
_ASKED = {"alt": "media", "supportsAllDrives": "true", "acknowledgeAbuse": "true"}


def download(google: Google, known: str, partial: Path, check: Callable[[], None]) -> str:
    """Load the content of a file; return its MD5. check: called between blocks, to stop.

    Raises NotThere, Temporary, Broken, OSError of the disk, and what check raises.
    """
    partial.touch()
    fruitless = 0
    while True:
        before = partial.stat().st_size
        try:
            with google.session() as http:
                _load(google, http, known, partial, check)
            return md5_of(partial, check)
        except Again as error:
            fruitless = 0 if partial.stat().st_size > before else fruitless + 1
            wait_s = back_off_s(fruitless, google.chance()) if fruitless else 0.0
            wait_s = wait_s if error.after_s is None else error.after_s
            if fruitless >= _FRUITLESS or wait_s > LONGEST_WAIT_S:
                raise
            if wait_s:
                google.pause(wait_s)


def _load(
    google: Google, http: AuthorizedSession, known: str, partial: Path, check: Callable[[], None]
) -> None:
    there = partial.stat().st_size
    headers = {"Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    with translate_errors():
        response = http.request(  # type: ignore[no-untyped-call]
            "GET", f"{google.address('drive', 'v3')}/files/{known}", params=_ASKED,
            headers=headers, stream=True, timeout=TIMEOUT_S, allow_redirects=False,
        )  # fmt: skip
    with response:
        if response.status_code == 416:  # all of it is there, or it is another file now
            held = response.headers.get("Content-Range", "").rpartition("/")[2]
            if held == str(there):
                return
            partial.write_bytes(b"")
            raise Unanswered("google_away", "the file became shorter while it was loaded")
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
                message = f"Drive broke off while a file was loaded ({type(error).__name__})"
                raise Unanswered("google_away", message) from None
        if partial.stat().st_size < whole:
            raise Unanswered("google_away", "Drive broke off while a file was loaded")
