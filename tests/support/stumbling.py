"""Ways in which the making of a record fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from merger import failpoints
from merger.delivery.folder import FolderDestination
from merger.errors import Broken, MergerError, Temporary
from merger.ports.recorder import Collected, Found, Recorder, SourceOfRoom
from recorders.folder.source import Folder
from tests.support.site import Site


@dataclasses.dataclass(frozen=True)
class Stumbling:
    """A recorder that finds, and cannot bring."""

    real: Recorder

    @property
    def settle(self) -> timedelta:
        return self.real.settle

    def check(self, source: Any) -> None:
        self.real.check(source)

    def find(self, *arguments: Any) -> Found:
        return self.real.find(*arguments)

    def collect(self, *_: Any) -> list[Collected]:
        raise Broken("source_permission", "the camera's password was changed")


def cannot_collect(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = site.recorder_of
    monkeypatch.setattr(site, "recorder_of", lambda kind: Stumbling(real(kind)))


NO_ENCODER = Broken("encoder", "no encoder works any more")


def cannot_encode(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: MergerError = NO_ENCODER
) -> None:
    def stumble(place: str) -> None:
        if place == "encode.part":
            raise error

    monkeypatch.setattr(failpoints, "hook", stumble)


def cannot_deliver(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> str:
        raise Broken("destination", "nobody may write there any more")

    monkeypatch.setattr(FolderDestination, "send", refuse)


def cannot_reach(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    cannot_find(monkeypatch, Temporary("source_away", "the share is away"))


def cannot_find(monkeypatch: pytest.MonkeyPatch, error: MergerError, source: str = "") -> None:
    """Have a source fail, or all of them."""
    real = Folder.find

    def find(self: Folder, seen: SourceOfRoom, *rest: Any) -> Found:
        if source in ("", seen.name):
            raise error
        return real(self, seen, *rest)

    monkeypatch.setattr(Folder, "find", find)


Stumble = Callable[[Site, pytest.MonkeyPatch], None]
