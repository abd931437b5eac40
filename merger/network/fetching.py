"""Fetches small texts from addresses that the operator wrote down: by https, from one host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from merger.errors import Broken, Temporary
from merger.network.addresses import Rules
from merger.network.session import guard
from merger.network.targets import Target, Unclear, scheme_and_host, target_of

_MOST_REDIRECTS = 5
_PIECE = 1 << 16
_ANSWER_S = 5.0  # to connect, and for each piece
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Fetched:
    """What an address gave. etag: by which its server knows this version; empty for none."""

    content: bytes
    etag: str


def fetch(
    url: str, rules: Rules, *, largest: int, within_s: float, etag: str = ""
) -> Fetched | None:
    """Return what is at an address; None where that is still what it was.

    Args:
        url: with https; nothing of it but its host is ever in a message.
        rules: where connections may lead; an address in the URL itself is allowed, too.
        largest: bytes.
        within_s: seconds that all of it may take.
        etag: of what is there already.

    Raises:
        Temporary: it cannot be had, or is not what it should be.
    """
    until = time.monotonic() + within_s
    try:
        first = target_of(url, ("https",))
        with guard(requests.Session(), rules.trusting(first.host)) as session:
            session.trust_env = False  # no password out of ~/.netrc
            for _ in range(_MOST_REDIRECTS):
                with _get(session, url, etag) as answer:
                    if answer.status_code == 304 and etag:
                        return None
                    if answer.status_code not in _REDIRECTS:
                        return _read(answer, largest, until)
                    url = _redirect(url, answer.headers.get("Location", ""), first)
    except Unclear as error:
        raise Temporary("timetable_away", "network.fetch.unclear") from error
    except Broken as error:  # once somebody has put that right, it works
        raise Temporary("timetable_away", error.message) from error
    except (requests.RequestException, HTTPError) as error:
        raise Temporary(
            "timetable_away", "network.fetch.away",
            place=scheme_and_host(url), why=type(error).__name__,
        ) from error  # fmt: skip
    raise Temporary("timetable_away", "network.fetch.redirects", place=scheme_and_host(url))


def _get(session: requests.Session, url: str, etag: str) -> requests.Response:
    headers = {"Accept": "text/calendar, text/csv, text/plain", "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    return session.get(url, headers=headers, timeout=_ANSWER_S, allow_redirects=False, stream=True)


def _redirect(url: str, location: str, first: Target) -> str:
    """Return where a redirect leads. Raises Temporary where that is another host."""
    there = urljoin(url, location)
    target = target_of(there, ("https", "http"))
    if target != first:
        raise Temporary(
            "timetable_away", "network.fetch.elsewhere",
            place=scheme_and_host(url), elsewhere=scheme_and_host(there),
        )  # fmt: skip
    return there


def _read(answer: requests.Response, largest: int, until: float) -> Fetched:
    place = scheme_and_host(answer.url or "")
    if answer.status_code != 200:
        raise Temporary(
            "timetable_away", "network.fetch.status", place=place, status=answer.status_code
        )
    content = bytearray()
    for piece in _pieces(answer):
        content += piece
        if len(content) > largest:
            raise Temporary("timetable_away", "network.fetch.too_large", place=place)
        if time.monotonic() > until:
            raise Temporary("timetable_away", "network.fetch.too_slow", place=place)
    return Fetched(bytes(content), answer.headers.get("ETag", ""))


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """Yield what comes as it comes: not when a piece is full, which may take for ever."""
    while piece := answer.raw.read1(_PIECE):
        yield piece
