"""Drive as far as we use it: files by their ids, resumable uploads, rights, folders, queries."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.fakes.google_answers import Asked, Said, Wrong, fields_of, inside, parts_of

FOLDER = "application/vnd.google-apps.folder"
UNIT = 256 * 1024
_TOKEN = re.compile(r"\s*(\(|\)|\{|\}|=|'(?:[^'\\]|\\.)*'|[A-Za-z]+)")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)|bytes \*/(\d+)")


@dataclass
class Session:
    """An upload that was begun. known: the file whose content it replaces."""

    who: str
    body: dict[str, Any]
    size: int
    known: str | None
    held: bytearray = field(default_factory=bytearray)
    done: str | None = None  # the file that it became


@dataclass
class Drive:
    """Files of all accounts. domain: whose addresses have accounts; others cannot read."""

    now: Callable[[], datetime]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)
    mails: list[tuple[str, str]] = field(default_factory=list)
    domain: str = "@example.edu"
    damages: bool = False  # what arrives, in one bit
    looks_away: bool = False  # finds nothing, and says that it has not looked everywhere
    longest_page: int = 1000
    full: set[str] = field(default_factory=set)  # accounts without room
    drives: dict[str, set[str]] = field(default_factory=dict)  # shared ones, and their members
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def root(self, who: str) -> str:
        known = f"root-{who}"
        if known not in self.files:
            self.files[known] = self._new(known, {"name": "My Drive", "mimeType": FOLDER}, who)
        return known

    def _new(self, known: str, body: Mapping[str, Any], who: str) -> dict[str, Any]:
        one = {
            "id": known, "name": "Untitled", "mimeType": "application/octet-stream",
            "trashed": False, "permissions": [], "kind": "drive#file",
            "webViewLink": f"https://drive.google.com/file/d/{known}/view", **body,
            "modifiedTime": self.stamp(),
        }  # fmt: skip
        # What is in a shared drive belongs to the drive, whoever has put it there.
        return {**one, "owner": self.drive_of(one) or who}

    def is_in_the_bin(self, one: Mapping[str, Any]) -> bool:
        """Return whether a file is in the bin, or a folder that it is in."""
        above = (self.files.get(parent) for parent in one.get("parents", ()))
        return bool(one["trashed"]) or any(self.is_in_the_bin(parent) for parent in above if parent)

    def stamp(self) -> str:
        at = self.now().astimezone(UTC)
        return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"

    def share_drive(self, name: str, *members: str) -> str:
        """Somebody makes a shared drive; return the id of its top folder."""
        known = f"drive-{name}"
        self.drives[known] = set(members)
        self.files[known] = self._new(known, {"name": name, "mimeType": FOLDER}, known)
        return known

    def drive_of(self, one: Mapping[str, Any]) -> str | None:
        """Return the shared drive that a file is in; None in somebody's own."""
        if one["id"] in self.drives:
            return str(one["id"])
        above = (self.files.get(parent) for parent in one.get("parents", ()))
        return next(
            (found for parent in above if parent and (found := self.drive_of(parent))), None
        )

    def put(self, name: str, data: bytes, parent: str, who: str, **more: Any) -> str:
        """Somebody uploads a file."""
        known = self._id()
        body = {"name": name, "parents": [parent], "mimeType": "video/mp4", **more}
        self.files[known] = self._new(known, body, who)
        self._set_content(known, data)
        self.files[known] |= {k: v for k, v in more.items() if k == "modifiedTime"}
        return known

    def make_folder(self, name: str, parent: str, who: str) -> str:
        known = self._id()
        self.files[known] = self._new(
            known, {"name": name, "mimeType": FOLDER, "parents": [parent]}, who
        )
        return known

    def _id(self) -> str:
        return f"file{next(self._numbers):05}"

    def _set_content(self, known: str, data: bytes) -> None:
        if self.damages:
            data = bytes([data[0] ^ 1]) + data[1:]
        self.content[known] = data
        self.files[known] |= {
            "size": str(len(data)),
            "md5Checksum": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "modifiedTime": self.stamp(),
        }

    # --- what is asked ---------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Said:
        """Answer a call below /drive/v3 or /upload."""
        parts = parts_of(asked.path)
        if parts[:2] == ["upload", "session"]:
            return self._session(asked, parts[2])
        if parts[0] == "upload":
            return self._begin(asked, parts[4] if len(parts) > 4 else None)
        parts = parts[2:]
        if parts == ["about"]:
            about = {"user": {"emailAddress": asked.who}, "storageQuota": {}}
            return Said(document=fields_of(about, asked.query["fields"]))
        if parts == ["files", "generateIds"]:
            ids = [self._id() for _ in range(int(asked.query.get("count", 10)))]
            self.reserved |= set(ids)
            return Said(document={"ids": ids})
        if parts == ["files"]:
            return self._list(asked) if asked.method == "GET" else self._create(asked)
        known = self._file(asked, parts[1])
        if parts[2:] == ["permissions"] and asked.method in ("GET", "POST"):
            return self._permissions(asked, known)
        if len(parts) > 2:
            raise Wrong(501, "notImplemented", "The stand-in does not know this call.")
        return self._one(asked, known)

    def _file(self, asked: Asked, known: str) -> dict[str, Any]:
        known = self.root(asked.who) if known == "root" else known
        one = self.files.get(known)
        knows_drives = asked.query.get("supportsAllDrives") == "true"
        if one is not None and self.drive_of(one) and not knows_drives:
            one = None
        if one is None or not self._may(asked.who, one):
            raise Wrong(404, "notFound", f"File not found: {known}.")
        return one

    def _may(self, who: str, one: Mapping[str, Any]) -> bool:
        if who in self.drives.get(str(one["id"]), ()):
            return True
        if one["owner"] == who or any(p["emailAddress"] == who for p in one["permissions"]):
            return True
        above = (self.files.get(parent) for parent in one.get("parents", ()))
        return any(self._may(who, parent) for parent in above if parent)

    def _one(self, asked: Asked, one: dict[str, Any]) -> Said:
        if asked.method == "DELETE":
            del self.files[one["id"]]
            return Said(204)
        if asked.method == "PATCH":
            change = json.loads(asked.body or b"{}")
            assert change.keys() <= {"name", "trashed", "appProperties", "description"}
            one |= change
            one["modifiedTime"] = self.stamp()
        elif asked.query.get("alt") == "media":
            return self._content(asked, self.content[one["id"]])
        shown = asked.query.get("fields", "kind,id,name,mimeType")
        return Said(document=fields_of(self._seen(one), shown))

    def _seen(self, one: Mapping[str, Any]) -> dict[str, Any]:
        return {**one, "trashed": self.is_in_the_bin(one)}

    def _content(self, asked: Asked, data: bytes) -> Said:
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("Range", ""))
        if not wanted:
            return Said(data=data)
        start = int(wanted[1])
        if start >= len(data):
            raise Wrong(416, "requestedRangeNotSatisfiable", Content_Range=f"bytes */{len(data)}")
        held = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        return Said(206, data=data[start:], headers=held)

    def _create(self, asked: Asked) -> Said:
        body = json.loads(asked.body)
        known = self._claimed(asked, body)
        self.files[known] = self._new(known, self._placed(asked, body), asked.who)
        return Said(document=fields_of(self.files[known], asked.query.get("fields", "")))

    def _claimed(self, asked: Asked, body: Mapping[str, Any]) -> str:
        known = str(body.get("id") or self._id())
        if "id" in body and known not in self.reserved:
            raise Wrong(400, "invalid", "The provided file ID is not usable.")
        if known in self.files:
            raise Wrong(409, "fileIdInUse", "A file already exists with the provided ID.")
        return known

    def _placed(self, asked: Asked, body: Mapping[str, Any]) -> dict[str, Any]:
        parents = [
            str(self._file(asked, parent)["id"]) for parent in body.get("parents") or ["root"]
        ]
        return {**body, "parents": parents}

    def _permissions(self, asked: Asked, one: dict[str, Any]) -> Said:
        if asked.method == "GET":
            return Said(document={"permissions": one["permissions"]})
        body = json.loads(asked.body)
        email = body["emailAddress"]
        if not email.endswith(self.domain):
            raise Wrong(400, "invalidSharingRequest", "There is no Google account with it.")
        if asked.query.get("sendNotificationEmail") != "false":
            self.mails.append((email, one["name"]))
        if all(known["emailAddress"] != email for known in one["permissions"]):
            one["permissions"].append({**body, "id": f"permission-{email}"})
        return Said(document={"id": f"permission-{email}"})

    # --- lists -----------------------------------------------------------------------------------

    def _list(self, asked: Asked) -> Said:
        query = asked.query
        said = query.get("q", "trashed = false")
        matches = parsed(said.replace("'root' in", f"'{self.root(asked.who)}' in"))
        everywhere = query.get("includeItemsFromAllDrives") == "true"
        found = [
            one
            for one in map(self._seen, self.files.values())
            if self._may(asked.who, one) and matches(one) and (everywhere or not self.drive_of(one))
        ]
        found = [] if self.looks_away else found
        start = int(query.get("pageToken") or 0)
        size = min(int(query.get("pageSize", 100)), self.longest_page)
        shown = inside(query.get("fields", ""), "files")
        page = [fields_of(one, shown) for one in found[start : start + size]]
        document: dict[str, Any] = {"files": page, "incompleteSearch": self.looks_away}
        if start + size < len(found):
            document["nextPageToken"] = str(start + size)
        return Said(document=fields_of(document, query.get("fields", "")))

    # --- uploads ---------------------------------------------------------------------------------

    def _begin(self, asked: Asked, known: str | None) -> Said:
        assert asked.query.get("uploadType") == "resumable"
        body = json.loads(asked.body or b"{}")
        if asked.who in self.full and not self._is_in_a_drive(asked, body, known):
            raise Wrong(403, "storageQuotaExceeded", "The user's storage quota is exceeded.")
        if known is None:
            self._claimed(asked, body)
            body = self._placed(asked, body)
        else:
            self._file(asked, known)
        name = f"s{next(self._numbers):05}"
        size = int(asked.headers.get("X-Upload-Content-Length", 0))
        self.sessions[name] = Session(asked.who, body, size, known)
        host = asked.headers["Host"]
        return Said(headers={"Location": f"http://{host}/upload/session/{name}?upload_id={name}"})

    def _is_in_a_drive(self, asked: Asked, body: Mapping[str, Any], known: str | None) -> bool:
        """Return whether an upload goes to a shared drive, which has room of its own."""
        wanted = [known] if known else list(body.get("parents") or ["root"])
        return all(self.drive_of(self._file(asked, str(one))) for one in wanted)

    def _session(self, asked: Asked, name: str) -> Said:
        session = self.sessions.get(name)
        if session is None:
            raise Wrong(404, "notFound", "The upload is not there.")
        if asked.method == "DELETE":
            del self.sessions[name]
            return Said(499)
        said = _RANGE.fullmatch(asked.headers.get("Content-Range", ""))
        if said is None:
            raise Wrong(400, "badRequest", "What range is that?")
        if session.done:
            return Said(document={"id": session.done})
        if said[4] is None:
            start, end, size = int(said[1]), int(said[2]), int(said[3])
            if size != session.size or end - start + 1 != len(asked.body):
                raise Wrong(400, "badRequest", "These are not the bytes that were announced.")
            if start != len(session.held):
                raise Wrong(503, "backendError", "Not from where it stopped.")
            if end + 1 != size and len(asked.body) % UNIT:
                raise Wrong(400, "badRequest", "Not a multiple of 256 KiB.")
            session.held += asked.body
        if len(session.held) == session.size:
            session.done = self._arrived(asked, session)
            return Said(document={"id": session.done})
        held = {"Range": f"bytes=0-{len(session.held) - 1}"} if session.held else {}
        return Said(308, headers=held)

    def _arrived(self, asked: Asked, session: Session) -> str:
        if session.known is not None:
            if session.known not in self.files:
                raise Wrong(404, "notFound", "The file is not there any more.")
            self.files[session.known] |= session.body
            self._set_content(session.known, bytes(session.held))
            return session.known
        known = self._claimed(asked, session.body)
        self.files[known] = self._new(known, session.body, session.who)
        self._set_content(known, bytes(session.held))
        return known


# --- queries --------------------------------------------------------------------------------------

Matches = Callable[[Mapping[str, Any]], bool]


def parsed(query: str) -> Matches:
    """Return what a query means: the terms that we use. Raises Wrong for others."""
    words, at = [], 0
    while at < len(query.rstrip()):
        match = _TOKEN.match(query, at)
        if not match:
            raise Wrong(400, "invalid", f"Invalid Value: {query[at:]}")
        words.append(match[1])
        at = match.end()
    matches, rest = _any(words)
    if rest:
        raise Wrong(400, "invalid", f"Invalid Value: {rest}")
    return matches


def _any(words: list[str]) -> tuple[Matches, list[str]]:
    first, words = _all(words)
    found = [first]
    while words[:1] == ["or"]:
        one, words = _all(words[1:])
        found.append(one)
    return (lambda file: any(one(file) for one in found)), words


def _all(words: list[str]) -> tuple[Matches, list[str]]:
    first, words = _term(words)
    found = [first]
    while words[:1] == ["and"]:
        one, words = _term(words[1:])
        found.append(one)
    return (lambda file: all(one(file) for one in found)), words


def _term(words: list[str]) -> tuple[Matches, list[str]]:
    if words[0] == "(":
        inner, rest = _any(words[1:])
        if rest[:1] != [")"]:
            raise Wrong(400, "invalid", "A parenthesis is missing.")
        return inner, rest[1:]
    left, how, right, *rest = words
    if left == "appProperties" and how == "has" and right == "{":
        key, value = _text(rest[2]), _text(rest[6])
        if [*rest[:2], *rest[3:6], rest[7]] != ["key", "=", "and", "value", "=", "}"]:
            raise Wrong(400, "invalid", "Invalid Value: appProperties")
        return (lambda file: file.get("appProperties", {}).get(key) == value), rest[8:]
    if how == "in" and right == "parents":
        parent = _text(left)
        return (lambda file: parent in file.get("parents", ())), rest
    if left == "trashed" and how == "=":
        return (lambda file: file["trashed"] == (right == "true")), rest
    value = _text(right)
    if left in ("name", "mimeType") and how == "=":
        return (lambda file: file[left] == value), rest
    if left == "name" and how == "contains":  # words that begin so
        return (
            lambda file: re.search(rf"(?:^|[\s_]){re.escape(value)}", file["name"]) is not None
        ), rest
    raise Wrong(400, "invalid", f"Invalid Value: {left} {how}")


def _text(word: str) -> str:
    if not word.startswith("'"):
        raise Wrong(400, "invalid", f"Invalid Value: {word}")
    return re.sub(r"\\(.)", r"\1", word[1:-1])
