"""Announcing a record where people look: after its delivery, and never at its cost.

What an announcement needs from people (a course that is not there, an event that was deleted) is a
note in the history of the record, which is delivered all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from merger.config import Language
from merger.delivery import ledger
from merger.errors import Broken, Cancelled, MergerError, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message, render
from merger.ports.announcer import Announcement, Announcer, Link
from merger.ports.destination import Fence
from merger.records.processing.leases import Lease
from merger.records.versions import ANNOUNCEMENT
from merger.timeline.files.filenames import VIDEOS

log = logging.getLogger(__name__)

# The last tries of a temporary failure (`merger.records.rules.retry`) are left to the other stages.
_MOST_TRIES = 6


def announcement_text(language: Language, announcement: Announcement) -> str:
    """Return what an announcement says of a record, beside its files. Pure."""
    start, end = (at.astimezone(announcement.zone) for at in (announcement.start, announcement.end))
    message = Message(
        "delivery.announcement", name=announcement.name, room=announcement.room,
        day=f"{start:%Y-%m-%d}", start=f"{start:%H:%M}", end=f"{end:%H:%M}",
    )  # fmt: skip
    text = render(language, message)
    return f"{text}\n\n{announcement.description}" if announcement.description else text


def announce(
    lease: Lease, announcers: Sequence[Announcer], announcement: Announcement, tries: int
) -> None:
    """Announce a record everywhere. One announcer that fails does not stop the others.

    Args:
        tries: failures in a row so far.

    Raises:
        Temporary, Cancelled
    """
    waiting: Temporary | None = None
    for announcer in announcers:
        if not announcer.concerns(announcement):
            continue
        try:
            _announce(lease, announcer, announcement)
        except Cancelled:
            raise
        except Temporary as error:
            if tries < _MOST_TRIES:
                waiting = waiting or error
                continue
            _note(lease, announcer, error)
        except MergerError as error:
            if isinstance(error, Broken):
                log.error("record %s: %s: %s", lease.record, announcer.name, error.message)
            _note(lease, announcer, error)
    if waiting is not None:
        raise waiting


def _announce(lease: Lease, announcer: Announcer, announcement: Announcement) -> None:
    where = announcer.name
    name = f"{where} {announcement.record}"
    entry = ledger.reserve_name(lease, where, ANNOUNCEMENT, [name], lambda _: False)
    failpoint("announce.reserved")
    fence = Fence(
        keep=partial(ledger.save_state, lease, where, ANNOUNCEMENT),
        check=lease.check,
        confirm=lease.confirm,
        attempt=lease.attempt,
        note=partial(ledger.add_note, lease),
    )
    link = announcer.announce(announcement, entry.state, fence)
    failpoint("announce.sent")
    ledger.mark_delivered(lease, where, ANNOUNCEMENT, announcement.version, "", link)
    failpoint("announce.written")


def _note(lease: Lease, announcer: Announcer, error: MergerError) -> None:
    where = Message(f"destination.{announcer.name}")
    ledger.add_note(lease, Message("history.not_announced", where=where, why=error.message))


def links_of(lease: Lease, destinations: Sequence[str]) -> tuple[Link, ...]:
    """Return where the videos of a record are, the merge of each destination first."""
    return tuple(
        Link(destination, entry.kind, entry.link, entry.state.get("id"))
        for destination in destinations
        for entry in sorted(
            ledger.entries(lease, destination).values(), key=lambda e: e.kind != "merge"
        )
        if entry.kind in VIDEOS and entry.status == "delivered" and entry.link
    )
