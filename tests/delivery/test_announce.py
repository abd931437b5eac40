"""Announcements of a record: after its delivery, and never at its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from merger import failpoints
from merger.delivery import ledger
from merger.delivery.announce import announce, announcement_text, links_of
from merger.errors import Broken, Cancelled, MergerError, Refused, Temporary
from merger.ports.announcer import Announcement, Link
from merger.ports.calendar import CalendarEvent
from merger.ports.destination import Fence
from merger.records.processing.leases import Lease
from merger.timeline.clock import utc
from merger.worker.run import run_record
from tests.conftest import START
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site


@dataclass
class Board:
    """Somewhere that hangs up notes, as announcers do: each once, known by its record."""

    name: str = "board"
    hung: list[int] = field(default_factory=list)
    fails: list[MergerError] = field(default_factory=list)
    states: list[Mapping[str, Any]] = field(default_factory=list)
    news: list[Announcement] = field(default_factory=list)

    def concerns(self, news: Announcement) -> bool:
        return news.course_code != "none"

    def announce(self, news: Announcement, state: Mapping[str, Any], fence: Fence) -> str:
        self.states.append(dict(state))
        self.news.append(news)
        if self.fails:
            raise self.fails.pop(0)
        if news.record not in self.hung:
            fence.keep({"asked": True})
            fence.confirm()
            self.hung.append(news.record)
        return f"board://{news.record}"


@dataclass
class Telling:
    site: Site
    lease: Lease

    def news(self, **changes: Any) -> Announcement:
        start = utc(START)
        one = Announcement(
            self.lease.record, 1, "Algebra", "504", start, start + timedelta(minutes=80),
            ZoneInfo("Europe/Moscow"), (Link("drive", "merge", "https://d/1", "1"),),
        )  # fmt: skip
        return replace(one, **changes)

    def announce(self, *boards: Board, tries: int = 0, **changes: Any) -> None:
        announce(self.lease, boards, self.news(**changes), tries)

    def notes(self) -> list[str]:
        events = self.site.details(self.lease.record)["events"]
        return [event["text"] for event in events if event["kind"] == "note"]

    def entry(self) -> ledger.Entry:
        return ledger.entries(self.lease, "board")["news"]


@pytest.fixture
def telling(site: Site) -> Telling:
    site.add_room()
    site.ask()
    held = site.claim()
    assert held is not None
    return Telling(site, site.lease(held))


def test_it_is_announced_once_and_written_down(telling: Telling) -> None:
    board = Board()
    telling.announce(board)
    telling.announce(board)
    assert board.hung == [1] and board.states == [{}, {"asked": True}]
    entry = telling.entry()
    assert (entry.status, entry.link, entry.version) == ("delivered", "board://1", 1)
    assert telling.site.events() == ["asked", "claimed", "sent"]


def test_what_it_does_not_concern(telling: Telling) -> None:
    board = Board()
    telling.announce(board, course_code="none")
    assert board.news == []


@pytest.mark.parametrize("error", [Refused("course", "no course"), Broken("rights", "no rights")])
def test_what_people_must_do_is_a_note(telling: Telling, error: MergerError) -> None:
    first, second = Board(fails=[error, error]), Board("other")
    telling.announce(first, second)
    telling.announce(first, second)
    assert telling.notes() == [f"not announced destination.board: {error.message}"]  # once
    assert second.hung == [1]


def test_what_may_pass_is_tried_again_and_then_left(telling: Telling) -> None:
    away = Temporary("google_away", "away")
    first, second = Board(fails=[away, away]), Board("other")
    with pytest.raises(Temporary):
        telling.announce(first, second)
    assert second.hung == [1] and telling.notes() == []
    telling.announce(first, second, tries=6)
    assert telling.notes() == ["not announced destination.board: away"]


def test_who_is_asked_to_stop_stops(telling: Telling) -> None:
    with pytest.raises(Cancelled):
        telling.announce(Board(fails=[Cancelled("cancelled", "stop")]))


@BOTH_DATABASES
@pytest.mark.parametrize("place", ["announce.reserved", "announce.sent", "announce.written"])
def test_a_crash_between_two_steps(
    telling: Telling, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    board = Board()

    class Crash(Exception):
        pass

    def crash(name: str) -> None:
        if name == place:
            raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "hook", crash)
        with pytest.raises(Crash):
            telling.announce(board)
    telling.announce(board)
    assert board.hung == [1] and telling.entry().status == "delivered"


def test_a_whole_record(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an announcer hears of a real one; that it fails for good costs nobody the video."""
    site.add_room()
    site.film("speaker")
    event = CalendarEvent("calendar", "event", "Algebra", None, "", None, is_off=False)
    site.ask(course_code="MATH-101", event=event)
    board, broken = Board(), Board("broken", fails=[Broken("rights", "no rights")])
    held = site.claim()
    assert held is not None
    service = replace(site.service, announcers=(broken, board))
    assert run_record(service, held, lambda: False) == "delivered"
    [news] = board.news
    assert (news.course_code, news.event_id, news.calendar_id) == ("MATH-101", "event", "calendar")
    assert [link.kind for link in news.links] == ["merge"]
    assert news.links == links_of(site.lease(held), ["folder"])
    assert site.row().status == "delivered"
    assert "note" in site.events()


def test_captions_are_not_announced(telling: Telling) -> None:
    """They are no videos: an event would show them as such."""
    for kind in ("merge", "chat"):
        ledger.reserve_name(telling.lease, "drive", kind, [f"a.{kind}"], lambda _: False)
        ledger.mark_delivered(telling.lease, "drive", kind, 1, "0" * 64, f"https://d/{kind}")
    assert [link.kind for link in links_of(telling.lease, ["drive"])] == ["merge"]


def test_the_words_of_an_announcement(telling: Telling) -> None:
    text: Callable[[str], str] = lambda language: announcement_text(language, telling.news())  # type: ignore[arg-type] # noqa: E731
    assert text("en") == "Lecture recording: Algebra, 2026-11-20, 10:00-11:20, 504"
    assert text("ru").startswith("Запись лекции: Algebra")
