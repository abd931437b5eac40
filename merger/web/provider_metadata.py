"""What an identity provider says of itself, kept: nobody makes us ask for it again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from requests import ConnectionError

from merger.backoff import backoff

KEPT_FOR = timedelta(hours=1)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=5)  # after failures
_WAITS_S = 2.0  # for another request that is asking; the others have threads to answer in

Metadata = Mapping[str, Any]


class KeptMetadata:
    """Fetches metadata once an hour, by one request at a time; after a failure not at once again.

    While the provider does not answer, what it said before is still used.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of whoever fetches
        self._metadata: Metadata | None = None
        self._fetched_at: datetime | None = None
        self._error: Exception | None = None
        self._failed_at: datetime | None = None
        self._failures = 0  # in a row

    def get(self, fetch: Callable[[], Metadata], now: datetime) -> Metadata:
        """Return the metadata. Raises what `fetch` raises, or did a short while ago."""
        if (kept := self._usable_metadata(now)) is not None:
            return kept
        if not self._lock.acquire(timeout=_WAITS_S):
            raise ConnectionError("another request is waiting for the provider")
        try:
            return self._usable_metadata(now) or self._fetch(fetch, now)
        finally:
            self._lock.release()

    def _usable_metadata(self, now: datetime) -> Metadata | None:
        """Return what is to be used without asking; None if it is to be fetched."""
        if self._fetched_at is not None and abs(now - self._fetched_at) < KEPT_FOR:
            return self._metadata
        pause = backoff(self._failures, FIRST_PAUSE, LONGEST_PAUSE)
        if self._failed_at is None or abs(now - self._failed_at) >= pause:
            return None
        return self._known_or(self._error)

    def _fetch(self, fetch: Callable[[], Metadata], now: datetime) -> Metadata:
        try:
            self._metadata = fetch()
        except Exception as error:
            self._error, self._failed_at = error, now
            self._failures += 1
            return self._known_or(error)
        self._fetched_at, self._failed_at, self._failures = now, None, 0
        return self._metadata

    def _known_or(self, error: Exception | None) -> Metadata:
        if self._metadata is None and error is not None:
            raise error.with_traceback(None)  # which would grow with each raise
        return self._metadata or {}
