"""A stand-in for Google on this machine: Drive, Calendar, Classroom, Sheets, and its sign-in.

It behaves like the parts that we use, over real HTTP, keeps a history that is only added to, and has
things go wrong on purpose. By itself: `python -m tests.fakes.google`, for trials without an account.
"""

from __future__ import annotations

import argparse
import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.structures import CaseInsensitiveDict

from tests.fakes.google_answers import (
    AFTER,
    ERRORS,
    Asked,
    Fault,
    Faults,
    Said,
    Wrong,
    asked_path,
)
from tests.fakes.google_calendar import Calendar
from tests.fakes.google_classroom import Classroom, Sheets
from tests.fakes.google_drive import UNIT, Drive

SERVICE = "merger@project.iam.gserviceaccount.com"
SUBJECT = "lectures@example.edu"


@lru_cache(maxsize=1)
def _key() -> str:
    """Return a private key, one for each process: to make one takes long."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


class Dropped(Exception):
    """The connection ends here, without an answer."""


class Google:
    """All of it. now: its clock."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.history: list[str] = []
        self.faults = Faults()
        self.drive = Drive(now)
        self.calendar = Calendar(now)
        self.classroom = Classroom(self.drive.files)
        self.sheets = Sheets()
        self.tokens: dict[str, str] = {}
        self.address = ""
        self.lock = threading.RLock()

    # --- signing in ------------------------------------------------------------------------------

    def credentials_file(self, folder: Path, kind: str = "service_account") -> Path:
        """Write a JSON file with credentials for this stand-in; return its path."""
        said: dict[str, Any] = {"type": kind, "token_uri": f"{self.address}/token"}
        if kind == "service_account":
            said |= {"client_email": SERVICE, "private_key": _key(), "project_id": "project"}
        else:
            said |= {"client_id": "id", "client_secret": "hush", "refresh_token": f"1//{SUBJECT}"}
        path = folder / f"{kind}.json"
        path.write_text(json.dumps(said))
        return path

    def _token(self, asked: Asked) -> Said:
        form = {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}
        if form.get("grant_type") == "refresh_token":
            who = form["refresh_token"].removeprefix("1//")
        else:
            claims = form["assertion"].split(".")[1]
            said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
            who = said.get("sub") or said["iss"]
        if not who:
            return Said(400, {"error": "invalid_grant"})
        token = f"ya29.{len(self.tokens)}"
        self.tokens[token] = who
        return Said(document={"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    # --- answering -------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Said:
        """Answer a request, unless something is to go wrong with it. Raises Dropped."""
        with self.lock:
            if asked.path == "/token":
                return self._token(asked)
            who = self.tokens.get(asked.headers.get("Authorization", "").removeprefix("Bearer "))
            if who is None:
                return Wrong(401, "authError", "Invalid Credentials").said
            asked = Asked(asked.method, asked.path, asked.query, asked.headers, asked.body, who)
            fault = self.faults.next(asked)
            if fault and fault.kind not in AFTER:
                return self._gone_wrong(asked, fault)
            said = self._answered(asked)
            if fault:
                raise Dropped
            return said

    def _gone_wrong(self, asked: Asked, fault: Fault) -> Said:
        if fault.kind == "drop_before":
            raise Dropped
        if fault.kind == "empty_200":
            return Said()
        if fault.kind == "expire":
            self.drive.sessions.clear()
            return self._answered(asked)
        if fault.kind == "cut":
            said = self._answered(asked)
            return replace(said, only=len(said.data) // 2)
        if fault.kind == "partial":
            self._half(asked)
            raise Dropped
        status, reason = ERRORS[fault.kind]
        if status == 401:
            self.tokens.clear()
        headers = {"Retry_After": fault.retry_after} if fault.retry_after else {}
        return Wrong(status, reason, **headers).said

    def _half(self, asked: Asked) -> None:
        """Take the first half of a part of an upload, as when a connection is lost in it."""
        half = len(asked.body) // 2 // UNIT * UNIT
        said = asked.headers.get("Content-Range", "")
        if not half or "-" not in said:
            return
        start, size = int(said.split()[1].split("-")[0]), said.rpartition("/")[2]
        headers = CaseInsensitiveDict(asked.headers)
        headers["Content-Range"] = f"bytes {start}-{start + half - 1}/{size}"
        self._answered(
            Asked(asked.method, asked.path, asked.query, headers, asked.body[:half], asked.who)
        )

    def _answered(self, asked: Asked) -> Said:
        try:
            said = self._routed(asked)
        except Wrong as wrong:
            said = wrong.said
        what = f" {asked.body.decode()[:300]}" if asked.body[:1] == b"{" else ""
        self.history.append(f"{said.status} {asked.line} by {asked.who}{what}")
        return said

    def _routed(self, asked: Asked) -> Said:
        for start, part in (
            ("/drive/v3/", self.drive), ("/upload/", self.drive), ("/calendar/v3/", self.calendar),
            ("/v1/courses", self.classroom), ("/v4/spreadsheets/", self.sheets),
        ):  # fmt: skip
            if asked.path.startswith(start):
                return part.answer(asked)
        raise Wrong(404, "notFound", "No such path.")

    def notify(self) -> None:
        """Tell all channels that their calendars have changed."""
        for known, channel in list(self.calendar.channels.items()):
            headers = {
                "X-Goog-Channel-ID": known, "X-Goog-Channel-Token": channel["token"],
                "X-Goog-Resource-ID": channel["resourceId"], "X-Goog-Resource-State": "exists",
            }  # fmt: skip
            requests.post(channel["address"], headers=headers, timeout=600)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    google: Google

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        path, query = asked_path(self.path)
        asked = Asked(
            self.command,
            path,
            query,
            CaseInsensitiveDict(self.headers.items()),
            self.rfile.read(length),
        )
        try:
            said = self.google.answer(asked)
        except Dropped:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        data = said.data if said.document is None else json.dumps(said.document).encode()
        self.send_response(said.status)
        for key, value in said.headers.items():
            self.send_header(key, value)
        kind = "application/json" if said.document is not None else "application/octet-stream"
        self.send_header("Content-Type", kind)
        if said.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: said.only])
        if said.only is not None:
            self.close_connection = True
            self.connection.shutdown(2)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def log_message(self, *_: Any) -> None:
        """Say nothing: the history is kept."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that are gone."""


@contextmanager
def google_served(google: Google | None = None, port: int = 0) -> Iterator[Google]:
    """Serve a stand-in on this machine."""
    google = google or Google()
    handler = type("Handler", (_Handler,), {"google": google})
    server = _Server(("127.0.0.1", port), handler)
    google.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve until the standard input ends; then print the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--credentials", type=Path, default=Path(), help="the folder for a file")
    options = parser.parse_args()
    with google_served(port=options.port) as google:
        print(google.address, google.credentials_file(options.credentials), flush=True)
        with open(0) as told:
            told.read()
    print("\n".join(google.history))


if __name__ == "__main__":
    main()
