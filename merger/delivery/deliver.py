"""Delivering the renditions of a record: look, act, write down; repeated after any crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import Engine

from merger.delivery import ledger
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.ports.destination import Destination, Fence, Upload
from merger.records.queue import Claim


def deliver(
    engine: Engine,
    held: Claim,
    destination: Destination,
    parcels: Sequence[Upload],
    now: Callable[[], datetime],
    check: Callable[[], None],
    confirm: Callable[[], None],
) -> list[str]:
    """Bring all renditions of a version to a destination, and return their links.

    parcels: their names are wishes; another is taken where somebody has that already. check,
    confirm: those of the fence.
    """
    links = []
    known = ledger.entries(engine, held.record, destination.name)

    def note(message: Message) -> None:
        ledger.add_note(engine, held, now(), message)

    for parcel in parcels:
        entry = known.get(parcel.kind)
        name = ledger.reserve_name(
            engine, held, destination.name, parcel.kind, _names(parcel.name),
            destination.is_foreign,
        )  # fmt: skip
        failpoint("deliver.reserved")

        def keep(state: Mapping[str, Any], kind: str = parcel.kind) -> None:
            ledger.save_state(engine, held, destination.name, kind, state)

        def confirm_this(entry: ledger.Entry | None = entry, parcel: Upload = parcel) -> None:
            confirm()
            if entry is not None and entry.version not in (None, parcel.version):
                ledger.mark_replacing(engine, held, destination.name, parcel.kind, parcel.version)

        link = destination.send(
            replace(parcel, name=name, record=held.record),
            entry.state if entry else {},
            Fence(keep, check, confirm_this, held.attempt, note),
        )
        failpoint("deliver.sent")
        ledger.mark_delivered(
            engine, held, destination.name, parcel.kind, parcel.version, parcel.sha256, link, now()
        )
        failpoint("deliver.written")
        links.append(link)
    kinds = {parcel.kind for parcel in parcels}
    for kind, entry in known.items():
        if kind not in kinds:
            confirm()
            destination.remove(entry.name, entry.state)
            failpoint("deliver.removed")
            ledger.mark_removed(engine, held, destination.name, kind)
    return links


def _names(wished: str) -> Iterator[str]:
    """Yield a name, and others like it."""
    stem, dot, extension = wished.rpartition(".")
    yield wished
    for n in count(2):
        yield f"{stem}_{n}{dot}{extension}"
