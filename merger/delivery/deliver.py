"""Delivering the renditions of a record: look, act, write down; repeated after any crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

from merger.delivery import ledger
from merger.failpoints import failpoint
from merger.ports.destination import Destination, Fence, Upload
from merger.records.leases import Lease


def deliver(lease: Lease, destination: Destination, uploads: Sequence[Upload]) -> list[str]:
    """Bring all renditions of a version to a destination, and return their links.

    Args:
        uploads: their names are wishes; another is taken where somebody has that already.
    """
    there = ledger.entries(lease, destination.name)
    links = [_send(lease, destination, upload, there.get(upload.kind)) for upload in uploads]
    kinds = {upload.kind for upload in uploads}
    for kind, entry in there.items():
        if kind not in kinds:
            lease.confirm()
            destination.remove(entry.name, entry.state)
            failpoint("deliver.removed")
            ledger.mark_removed(lease, destination.name, kind)
    return links


def _send(
    lease: Lease, destination: Destination, upload: Upload, entry: ledger.Entry | None
) -> str:
    """Bring a rendition to a destination, and return its link.

    Args:
        entry: what the ledger says of it there.
    """
    where, kind = destination.name, upload.kind
    name = ledger.reserve_name(
        lease, where, kind, _similar_names(upload.name), destination.is_foreign
    )
    failpoint("deliver.reserved")

    def confirm() -> None:
        lease.confirm()
        if entry is not None and entry.version not in (None, upload.version):
            ledger.mark_replacing(lease, where, kind, upload.version)

    link = destination.send(
        replace(upload, name=name, record=lease.record),
        entry.state if entry else {},
        Fence(
            keep=partial(ledger.save_state, lease, where, kind),
            check=lease.check,
            confirm=confirm,
            attempt=lease.attempt,
            note=partial(ledger.add_note, lease),
        ),
    )
    failpoint("deliver.sent")
    ledger.mark_delivered(lease, where, kind, upload.version, upload.sha256, link)
    failpoint("deliver.written")
    return link


def _similar_names(wish: str) -> Iterator[str]:
    """Yield a name, and others like it."""
    stem, dot, extension = wish.rpartition(".")
    yield wish
    for n in count(2):
        yield f"{stem}_{n}{dot}{extension}"
