"""Destinations through the ledger: crashes between two writes, foreign files, who is overtaken."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from merger import failpoints
from merger.db.engine import reading
from merger.delivery.deliver import deliver
from merger.errors import Temporary
from merger.i18n import verbatim
from merger.ports.destination import Destination, Fence, Upload
from merger.records.processing import queue
from merger.records.processing.leases import LeaseLost
from merger.records.processing.queue import Claim
from models import Delivery
from tests.delivery.places import Crash, Place, check_only, parcel_of
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site


@dataclass
class Delivering:
    """A record whose renditions go to a place, as the worker does it."""

    site: Site
    place: Place
    held: Claim
    parcels: list[Upload]

    def deliver(self, destination: Destination | None = None, kinds: int = 2) -> list[str]:
        lease = self.site.lease(self.held)
        return deliver(lease, destination or self.place.destination, self.parcels[:kinds])

    def ledger(self) -> dict[str, tuple[str, str, int | None]]:
        with reading(self.site.engine) as session:
            rows = session.scalars(
                select(Delivery).where(Delivery.record_id == self.held.record)
            ).all()
            return {row.kind: (row.name, row.status, row.version) for row in rows}


@pytest.fixture
def delivering(site: Site, place: Place) -> Callable[..., Delivering]:
    site.add_room()

    def one(version: int = 1, held: Claim | None = None, **changes: Any) -> Delivering:
        if held is None:
            record = site.ask(**changes)
            held = site.claim()
            assert held is not None and held.record == record
        made = site.folder / "made"
        parcels = [
            parcel_of(
                made / f"{held.record}-{held.attempt}-{version}-{kind}",
                os.urandom(5_000_000),
                name,
                version,
            )
            for kind, name in (("backup", "Lecture_backup.mp4"), ("merge", "Lecture.mp4"))
        ]
        kinds = ("backup", "merge")
        parcels = [
            Upload(version, kind, p.name, p.path, p.size_bytes, p.sha256)
            for kind, p in zip(kinds, parcels, strict=True)
        ]
        return Delivering(site, place, held, parcels)

    return one


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    def set_crash(name: str, when: int) -> None:
        left = when

        def hook(place: str) -> None:
            nonlocal left
            left -= place == name
            if place == name and left == 0:
                raise Crash(name)

        monkeypatch.setattr(failpoints, "hook", hook)

    return set_crash


@BOTH_DATABASES
@pytest.mark.parametrize("step", ["deliver.reserved", "deliver.sent", "deliver.written"])
@pytest.mark.parametrize("when", [1, 2])
def test_a_crash_between_two_writes(
    delivering: Callable[..., Delivering],
    crash_at: Callable[[str, int], None],
    step: str,
    when: int,
) -> None:
    """Also an answer that was lost: it was sent, and the ledger does not know."""
    one = delivering()
    crash_at(step, when)
    with pytest.raises(Crash):
        one.deliver()
    before = {name: one.place.mark(name) for name in one.place.contents()}
    assert len(before) == when - (step == "deliver.reserved")
    links = one.deliver()
    assert len(links) == 2 and links[1] != links[0]
    check_only(one.place, *one.parcels)
    assert {name: one.place.mark(name) for name in before} == before
    assert one.ledger() == {
        "backup": ("Lecture_backup.mp4", "delivered", 1),
        "merge": ("Lecture.mp4", "delivered", 1),
    }
    assert one.site.events() == ["asked", "claimed", "sent", "sent"]
    assert one.deliver() == links
    assert one.site.events() == ["asked", "claimed", "sent", "sent"]


def test_a_foreign_file_is_never_written_over(delivering: Callable[..., Delivering]) -> None:
    one = delivering()
    if not one.place.owns_names:
        pytest.skip("a name is no obstacle to another file there")
    one.place.put("Lecture.mp4", b"my own recording")
    one.place.put("Lecture_2.mp4", b"and another")
    one.deliver()
    contents = one.place.contents()
    assert contents["Lecture.mp4"] == b"my own recording"
    assert contents["Lecture_2.mp4"] == b"and another"
    assert contents["Lecture_3.mp4"] == one.parcels[1].path.read_bytes()
    assert contents["Lecture_backup.mp4"] == one.parcels[0].path.read_bytes()
    assert len(contents) == 4


@ON_SQLITE
def test_a_foreign_file_at_a_place_that_was_away(delivering: Callable[..., Delivering]) -> None:
    """What cannot be looked at is not free: a name is reserved only where it was seen to be."""
    one = delivering()
    if not one.place.owns_names:
        pytest.skip("a name is no obstacle to another file there")
    with pytest.raises(Temporary):
        one.deliver(one.place.away())
    assert one.ledger() == {}
    back = one.place.come_back()
    back.put("Lecture.mp4", b"my own recording")
    one.deliver(back.destination)
    contents = back.contents()
    assert contents["Lecture.mp4"] == b"my own recording"
    assert contents["Lecture_2.mp4"] == one.parcels[1].path.read_bytes()


@BOTH_DATABASES
def test_two_records_wish_for_the_same_name(delivering: Callable[..., Delivering]) -> None:
    both = [delivering(profile=profile) for profile in ("tiny", "tiny_av1")]
    looked = threading.Barrier(2, timeout=600)
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(one.deliver, Slow(one.place.destination, looked)) for one in both]
        for one in done:
            one.result()
    contents = both[0].place.contents()
    names = [one.ledger()["merge"][0] for one in both]
    assert sorted(names) == ["Lecture.mp4", "Lecture_2.mp4"]
    assert len(contents) == 4
    for one, name in zip(both, names, strict=True):
        assert contents[name] == one.parcels[1].path.read_bytes()


@dataclass
class Slow:
    """A destination at which two look at the same time, the first time."""

    real: Destination
    looked: threading.Barrier
    name: str = field(init=False)
    first: bool = True

    def __post_init__(self) -> None:
        self.name = self.real.name

    def is_foreign(self, name: str) -> bool:
        there = self.real.is_foreign(name)
        if self.first:
            self.first = False
            self.looked.wait()
        return there

    def send(self, parcel: Upload, state: Mapping[str, Any], fence: Fence) -> str:
        return self.real.send(parcel, state, fence)

    def remove(self, name: str, state: Mapping[str, Any]) -> None:
        self.real.remove(name, state)


def test_a_record_that_was_taken_away_is_not_published(
    delivering: Callable[..., Delivering], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken away while it is sent: the real fence notices."""
    one = delivering()
    site = one.site

    def take(place: str) -> None:
        if place == "deliver.reserved" and site.row().status == "running":
            queue.take_back_crashed(
                site.engine, one.held, site.clock, verbatim("taken away by a test")
            )

    monkeypatch.setattr(failpoints, "hook", take)
    with pytest.raises(LeaseLost):
        one.deliver()
    check_only(one.place)
    assert one.ledger() == {"backup": ("Lecture_backup.mp4", "pending", None)}
    other = delivering(held=site.claim())
    monkeypatch.setattr(failpoints, "hook", lambda place: None)
    with pytest.raises(LeaseLost):
        one.deliver()
    other.deliver()
    check_only(one.place, *other.parcels)


def test_a_new_version_without_a_backup(
    delivering: Callable[..., Delivering], crash_at: Callable[[str, int], None]
) -> None:
    one = delivering()
    one.deliver()
    two = delivering(version=2, held=one.held)
    two.parcels = two.parcels[1:]
    crash_at("deliver.removed", 1)
    with pytest.raises(Crash):
        two.deliver()
    check_only(one.place, *two.parcels)
    assert two.deliver()
    check_only(one.place, *two.parcels)
    assert two.ledger() == {"merge": ("Lecture.mp4", "delivered", 2)}
