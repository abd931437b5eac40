"""What the stand-in for Google answers with, and what goes wrong on purpose."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request. who: the address of the account whose token came with it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    who: str = ""

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


def asked_path(target: str) -> tuple[str, dict[str, str]]:
    """Return path, with its parts still encoded, and query of a request."""
    parts = urlsplit(target)
    query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
    return parts.path, query


def parts_of(path: str) -> list[str]:
    return [unquote(part) for part in path.split("/") if part]


@dataclass(frozen=True)
class Said:
    """An answer: a document, or bytes. only: so many of them come before the connection ends."""

    status: int = 200
    document: Any = None
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    only: int | None = None


class Wrong(Exception):
    """An answer that is an error of Google's."""

    def __init__(self, status: int, reason: str, message: str = "", **headers: str) -> None:
        super().__init__(reason)
        self.said = Said(
            status,
            {
                "error": {
                    "code": status, "message": message or reason,
                    "errors": [{"reason": reason, "message": message or reason}],
                }
            },
            headers={key.replace("_", "-"): value for key, value in headers.items()},
        )  # fmt: skip


# kind: what happens instead of an answer. Those of `AFTER` happen once the request has had its
# effect.
KINDS = (
    "500", "503", "429", "403_rate", "401", "drop_before", "drop_after", "empty_200", "partial",
    "expire",
)  # fmt: skip
AFTER = ("drop_after",)
OF_DOWNLOADS = ("cut",)  # the connection ends in the middle of the content
OF_UPLOADS = ("empty_200", "partial", "expire")


@dataclass
class Fault:
    """One that happens to the next requests whose line and query hold a text."""

    match: str
    kind: str
    times: int = 1
    retry_after: str | None = None


@dataclass
class Faults:
    """Faults in the order in which they were asked for, and perhaps by chance."""

    waiting: list[Fault] = field(default_factory=list)
    chance: random.Random | None = None
    share: float = 0.0
    only: str = ""
    happened: list[str] = field(default_factory=list)

    def add(self, match: str, kind: str, times: int = 1, retry_after: str | None = None) -> None:
        assert kind in (*KINDS, *ERRORS, *OF_DOWNLOADS)
        self.waiting.append(Fault(match, kind, times, retry_after))

    def by_chance(self, seed: int, share: float, only: str = "") -> None:
        """Have so large a share of the requests go wrong from now on; of those that hold a text."""
        self.chance, self.share, self.only = random.Random(seed), share, only

    def next(self, asked: Asked) -> Fault | None:
        said = f"{asked.line}?{'&'.join(f'{k}={v}' for k, v in asked.query.items())}"
        for fault in self.waiting:
            if fault.match in said and fault.times > 0:
                fault.times -= 1
                return self._noted(fault, said)
        if self.chance is None or self.only not in said or self.chance.random() >= self.share:
            return None
        is_upload = "/upload/session/" in asked.path
        kinds = [kind for kind in KINDS if is_upload or kind not in OF_UPLOADS]
        return self._noted(Fault("", self.chance.choice(kinds)), said)

    def _noted(self, fault: Fault, said: str) -> Fault:
        self.happened.append(f"{fault.kind} {said}")
        return fault


ERRORS = {
    "500": (500, "internalError"),
    "503": (503, "backendError"),
    "429": (429, "rateLimitExceeded"),
    "403_rate": (403, "userRateLimitExceeded"),
    "401": (401, "authError"),
    # Which stay: they are asked for by name, and never happen by chance.
    "403_file": (403, "insufficientFilePermissions"),
    "403_policy": (403, "shareOutNotPermitted"),
    "404": (404, "notFound"),
}


def fields_of(document: Mapping[str, Any], fields: str) -> dict[str, Any]:
    """Return the fields of a document that were asked for by name; all of them for none or *."""
    names = [name.partition("(")[0].partition("/")[0] for name in _split(fields)]
    if not names or "*" in names:
        return dict(document)
    return {name: document[name] for name in names if name in document}


def _split(fields: str) -> Iterator[str]:
    depth, word = 0, ""
    for letter in fields:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield word.strip()
            word = ""
        else:
            word += letter
    if word.strip():
        yield word.strip()


def inside(fields: str, name: str) -> str:
    """Return what is asked for inside of a field, as in files(id,name)."""
    for one in _split(fields):
        if one.startswith(f"{name}(") and one.endswith(")"):
            return one[len(name) + 1 : -1]
    return ""
