"""Delivering the renditions of a record: look, act, write down; repeated after any crash."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from merger.delivery import ledger
from merger.failpoints import failpoint
from merger.ports.destination import Destination, Fence, NameTaken, Renaming, Upload
from merger.records.processing.leases import Lease
from merger.timeline.files.filenames import is_similar, similar_names


def deliver(lease: Lease, destination: Destination, uploads: Sequence[Upload]) -> list[str]:
    """Bring all renditions of a version to a destination, and return their links.

    Args:
        uploads: their names are wishes; another is taken where somebody has that already.
    """
    there = ledger.entries(lease, destination.name)
    links = [_send(lease, destination, upload) for upload in uploads]
    kinds = {upload.kind for upload in uploads}
    for kind, entry in there.items():
        if kind not in kinds:
            lease.confirm()
            destination.remove(entry.name, entry.state)
            failpoint("deliver.removed")
            ledger.mark_removed(lease, destination.name, kind)
    return links


def deliver_more(lease: Lease, destination: Destination, uploads: Sequence[Upload]) -> None:
    """Bring renditions to a destination beside those that are there."""
    for upload in uploads:
        _send(lease, destination, upload)


def rename(
    lease: Lease, destination: Destination, wishes: Mapping[str, str], description: str
) -> None:
    """Give the renditions that a destination has their names and their description.

    Args:
        wishes: names by kind; another is taken where somebody has that already.
    """
    there = ledger.entries(lease, destination.name)
    for kind in sorted(there.keys() & wishes.keys()):
        if there[kind].status == "delivered":
            entry = _reserve(lease, destination, kind, wishes[kind])
            failpoint("rename.reserved")
            _rename(lease, destination, entry, wishes[kind], description)


def _send(lease: Lease, destination: Destination, upload: Upload) -> str:
    """Bring a rendition to a destination, and return its link."""
    where, kind = destination.name, upload.kind
    entry = _reserve(lease, destination, kind, upload.name)
    failpoint("deliver.reserved")
    if entry.former_names and (entry.version, entry.sha256) == (upload.version, upload.sha256):
        # It is there: it is not sent again to have another name.
        entry = _rename(lease, destination, entry, upload.name, upload.description)

    def confirm() -> None:
        lease.confirm()
        if entry.version not in (None, upload.version):
            ledger.mark_replacing(lease, where, kind, upload.version)

    link = destination.send(
        replace(upload, name=entry.name, record=lease.record),
        entry.state,
        replace(_fence(lease, where, kind), confirm=confirm),
    )
    failpoint("deliver.sent")
    ledger.mark_delivered(lease, where, kind, upload.version, upload.sha256, link)
    failpoint("deliver.written")
    if entry.former_names:
        entry = ledger.entries(lease, where)[kind]
        _rename(lease, destination, entry, upload.name, upload.description)
    return link


def _rename(
    lease: Lease, destination: Destination, entry: ledger.Entry, wish: str, description: str
) -> ledger.Entry:
    """Have a rendition lie under the name that is reserved for it, and no other."""
    where, kind = destination.name, entry.kind
    foreign: set[str] = set()
    while True:
        renaming = Renaming(
            entry.name, entry.former_names, entry.sha256 or "", kind, lease.record, description
        )
        try:
            link = destination.rename(renaming, entry.state, _fence(lease, where, kind))
            break
        except NameTaken:
            foreign.add(entry.name)
            entry = _reserve(lease, destination, kind, wish, foreign)
    failpoint("rename.done")
    ledger.mark_renamed(lease, where, kind, link)
    failpoint("rename.written")
    return ledger.entries(lease, where)[kind]


def _reserve(
    lease: Lease, destination: Destination, kind: str, wish: str, foreign: Collection[str] = ()
) -> ledger.Entry:
    """Return the line of a rendition, with the name that was wished for, or one like it."""
    return ledger.reserve_name(
        lease, destination.name, kind, similar_names(wish), destination.is_foreign,
        lambda name: is_similar(name, wish), foreign,
    )  # fmt: skip


def _fence(lease: Lease, where: str, kind: str) -> Fence:
    return Fence(
        keep=partial(ledger.save_state, lease, where, kind),
        check=lease.check,
        confirm=lease.confirm,
        attempt=lease.attempt,
        note=partial(ledger.add_note, lease),
    )
