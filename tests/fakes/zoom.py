"""A Zoom in this process, over real HTTP: meetings, files, and what goes wrong on the way."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from recorders.zoom.api import Account

CREDENTIALS = "account:client:hunter3"
UUID = "/ajXp112Q+muoKj4854875=="
NUMBER = 12345678901
HTML = b"<!DOCTYPE html><html><body>This recording does not exist.</body></html>"


def instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Fault:
    """Something that goes wrong once. on: a part of the path; much: a status, bytes, or seconds."""

    on: str
    what: str  # status, page, drop, truncate, wrong_token, redirect, wait
    much: Any = None
    times: int = 1


@dataclass
class ZoomServer:
    """What the account has, and what it was asked. lifetime: of addresses, in downloads."""

    address: str = ""
    meetings: dict[str, dict[str, Any]] = field(default_factory=dict)
    media: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    page_size: int = 300
    generation: int = 1
    resumes: bool = True
    refuses_ranges: bool = False  # and does not say why
    go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def account(self) -> Account:
        return Account(
            f"{self.address}/v2", f"{self.address}/oauth/token", ("127.0.0.1",), CREDENTIALS
        )

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a service whose Zoom this is."""
        return {
            "MERGER_ZOOM_API": self.account.api, "MERGER_ZOOM_OAUTH": self.account.oauth,
            "MERGER_ZOOM_HOSTS": "127.0.0.1", "MERGER_ZOOM_CREDENTIALS": CREDENTIALS,
        }  # fmt: skip

    def add_meeting(self, uuid: str = UUID, number: int = NUMBER, **more: Any) -> dict[str, Any]:
        """Add a meeting without files."""
        self.meetings[uuid] = {
            "uuid": uuid, "id": number, "topic": "Algebra", "host_email": "Prof@Example.edu",
            "share_url": f"https://example.zoom.us/rec/share/{len(self.meetings)}-abc",
            "recording_files": [], **more,
        }  # fmt: skip
        return self.meetings[uuid]

    def add_file(
        self, view: str, start: datetime, length_s: float, data: bytes = b"",
        *, uuid: str = UUID, file_type: str = "MP4", status: str | None = "completed", **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Add a file to a meeting."""
        files = self.meetings[uuid]["recording_files"]
        name = f"{len(self.media):08d}-file"
        self.media[name] = data
        files.append(
            {
                "id": name, "file_type": file_type, "file_extension": file_type,
                "recording_type": view, "recording_start": instant(start),
                "recording_end": instant(start + timedelta(seconds=length_s)),
                "file_size": len(data), "play_url": f"https://example.zoom.us/rec/play/{name}",
                **({} if status is None else {"status": status}), **more,
            }
        )  # fmt: skip
        return files[-1]

    def told(self, uuid: str) -> dict[str, Any]:
        """Return a meeting as Zoom tells it now, with addresses that are good now."""
        said = self.meetings[uuid]
        url = f"{self.address}/rec/download"
        files = [
            {"download_url": f"{url}/{f.get('id')}?g={self.generation}", **f}
            for f in said["recording_files"]
        ]
        return {**said, "recording_files": files}

    def count(self, part: str) -> int:
        return sum(part in path for path in self.asked)


@contextmanager
def zoom_served() -> Iterator[ZoomServer]:
    """Serve a Zoom on a free port of this machine."""
    zoom = ZoomServer()

    class Handler(_Handler):
        server_zoom = zoom

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    zoom.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="zoom")
    thread.start()
    try:
        yield zoom
    finally:
        zoom.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_zoom: ZoomServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        zoom = self.server_zoom
        zoom.asked.append(self.path)
        self.close_connection = True
        parts = urlsplit(self.path)
        fault = self._fault()
        if fault and fault.what == "wait":
            zoom.go_on.wait(60)
            fault = None
        if fault and fault.what == "drop":
            return
        if fault and fault.what in ("status", "wrong_token"):
            headers = {"Retry-After": "0"} if fault.much == 429 else {}
            self._json({"code": 124, "message": "no"}, fault.much or 401, headers)
        elif fault and fault.what == "retry":
            self._json({}, 429, {"Retry-After": str(fault.much)})
        elif fault and fault.what == "page":
            self._send(200, HTML, "text/html; charset=utf-8")
        elif fault and fault.what == "redirect":
            self._send(302, b"", "text/plain", {"Location": fault.much})
        elif parts.path == "/oauth/token":
            self._token(parse_qs(parts.query))
        elif parts.path.startswith("/rec/download/"):
            self._download(parts.path.rpartition("/")[2], parse_qs(parts.query), fault)
        elif self.headers.get("Authorization") != "Bearer good":
            self._json({"code": 124, "message": "Invalid access token."}, 401)
        elif parts.path == "/v2/accounts/me/recordings":
            self._list(parse_qs(parts.query))
        else:
            self._meeting(parts.path)

    def _fault(self) -> Fault | None:
        for fault in self.server_zoom.faults:
            if fault.on in self.path and fault.times:
                fault.times -= 1
                return fault
        return None

    def _token(self, query: dict[str, list[str]]) -> None:
        account, client, secret = CREDENTIALS.split(":")
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        wanted = {"grant_type": ["account_credentials"], "account_id": [account]}
        if self.command != "POST" or self.headers.get("Authorization") != f"Basic {basic}":
            self._json(
                {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}, 400
            )
        elif query != wanted:
            self._json({"reason": "Bad request"}, 400)
        else:
            self._json({"access_token": "good", "token_type": "bearer", "expires_in": 3599})

    def _list(self, query: dict[str, list[str]]) -> None:
        zoom = self.server_zoom
        first, last = query["from"][0], query["to"][0]
        there = [
            zoom.told(uuid) for uuid, said in zoom.meetings.items()
            if any(first <= f["recording_start"][:10] <= last for f in said["recording_files"])
        ]  # fmt: skip
        at = int(query.get("next_page_token", ["0"])[0])
        following = at + zoom.page_size
        token = str(following) if following < len(there) else ""
        self._json({"meetings": there[at:following], "next_page_token": token})

    def _meeting(self, path: str) -> None:
        name = path.removeprefix("/v2/meetings/").removesuffix("/recordings")
        # Zoom decodes once as any server does, and splits then: what holds a slash must be
        # encoded twice, or names nothing.
        once = unquote(name)
        uuid = unquote(once) if "%" in once else once
        fits = "%" in once or not (once.startswith("/") or "//" in once)
        if uuid in self.server_zoom.meetings and fits:
            self._json(self.server_zoom.told(uuid))
        else:
            self._json({"code": 3301, "message": "There is no recording for this meeting."}, 404)

    def _download(self, name: str, query: dict[str, list[str]], fault: Fault | None) -> None:
        zoom = self.server_zoom
        if query.get("g") != [str(zoom.generation)]:
            self._json({"message": "expired"}, 401)
            return
        if self.headers.get("Authorization") != "Bearer good" or name not in zoom.media:
            self._send(200, HTML, "text/html; charset=utf-8")
            return
        data, status, headers = zoom.media[name], 200, {}
        asked = self.headers.get("Range")
        if asked:
            zoom.ranges.append(asked)
        if asked and zoom.refuses_ranges:
            self._send(416, b"", "text/plain")
            return
        if asked and zoom.resumes:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first >= len(data):
                self._send(416, b"", "text/plain", {"Content-Range": f"bytes */{len(data)}"})
                return
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            data, status = data[first:], 206
        if fault and fault.what == "truncate":  # announced whole, and cut off
            self._send(status, data, "video/mp4", headers, only=fault.much)
        elif fault and fault.what == "short":  # announced as if it were whole
            self._send(status, data[: fault.much], "video/mp4", headers)
        else:
            self._send(status, data, "video/mp4", headers)

    def _json(self, said: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(said).encode(), "application/json", headers)

    def _send(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None,
        only: int | None = None,
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body[:only])
        except (BrokenPipeError, ConnectionResetError):  # whoever asked was stopped
            self.close_connection = True
