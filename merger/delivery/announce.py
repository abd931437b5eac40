"""Announcing a record where people look: after its delivery, and never at its cost.

What an announcement needs from people (a course that is not there, an event that was deleted) is a
note in the history of the record, which is delivered all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from merger.config import Language
from merger.delivery import ledger
from merger.errors import Broken, Cancelled, MergerError, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.ports.announcer import Announcement, Announcer, Link
from merger.ports.destination import Fence
from merger.records.queue import Claim
from merger.records.versions import NEWS

log = logging.getLogger(__name__)

# The last tries of a temporary failure (`merger.records.retry`) are left to the other stages.
_MOST_TRIES = 6


_TEXTS = {"en": "Lecture recording: {what}", "ru": "Запись лекции: {what}"}


def announcement(language: Language, news: Announcement) -> str:
    """Return what an announcement says of a record, beside its files. Pure."""
    start, end = (at.astimezone(news.zone) for at in (news.start, news.end))
    what = f"{news.name}, {start:%Y-%m-%d, %H:%M}-{end:%H:%M}, {news.room}"
    return _TEXTS[language].format(what=what)


def announce(
    engine: Engine,
    held: Claim,
    announcers: Sequence[Announcer],
    news: Announcement,
    tries: int,
    now: Callable[[], datetime],
    check: Callable[[], None],
    confirm: Callable[[], None],
) -> None:
    """Announce a record everywhere. tries: failures in a row so far. Raises Temporary, Cancelled.

    One announcer that fails does not stop the others.
    """
    waiting: Temporary | None = None
    for announcer in announcers:
        if not announcer.concerns(news):
            continue
        try:
            _announce(engine, held, announcer, news, now, check, confirm)
        except Cancelled:
            raise
        except Temporary as error:
            if tries < _MOST_TRIES:
                waiting = waiting or error
                continue
            _note(engine, held, announcer, error, now())
        except MergerError as error:
            if isinstance(error, Broken):
                log.error("record %s: %s: %s", held.record, announcer.name, error.message)
            _note(engine, held, announcer, error, now())
    if waiting is not None:
        raise waiting


def _announce(
    engine: Engine,
    held: Claim,
    announcer: Announcer,
    news: Announcement,
    now: Callable[[], datetime],
    check: Callable[[], None],
    confirm: Callable[[], None],
) -> None:
    name = f"{announcer.name} {news.record}"
    known = ledger.entries(engine, held.record, announcer.name).get(NEWS)
    ledger.reserve_name(engine, held, announcer.name, NEWS, iter([name]), lambda _: False)
    failpoint("announce.reserved")

    def keep(state: Mapping[str, Any]) -> None:
        ledger.save_state(engine, held, announcer.name, NEWS, state)

    def note(message: Message) -> None:
        ledger.add_note(engine, held, now(), message)

    fence = Fence(keep, check, confirm, held.attempt, note)
    link = announcer.announce(news, known.state if known else {}, fence)
    failpoint("announce.sent")
    ledger.mark_delivered(engine, held, announcer.name, NEWS, news.version, "", link, now())
    failpoint("announce.written")


def _note(
    engine: Engine, held: Claim, announcer: Announcer, error: MergerError, now: datetime
) -> None:
    message = Message(
        "history.not_announced", where=Message(f"destination.{announcer.name}"), why=error.message
    )
    ledger.add_note(engine, held, now, message)


def links_of(engine: Engine, record: int, destinations: Sequence[str]) -> tuple[Link, ...]:
    """Return where the renditions of a record are, the merge of each destination first."""
    return tuple(
        Link(destination, entry.kind, entry.link, entry.state.get("id"))
        for destination in destinations
        for entry in sorted(
            ledger.entries(engine, record, destination).values(), key=lambda e: e.kind != "merge"
        )
        if entry.status == "delivered" and entry.link
    )
