"""What was delivered gets another name, once, whatever happens on the way; nobody's file is touched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from merger import failpoints
from merger.delivery import ledger
from merger.delivery.deliver import deliver, rename
from merger.ports.destination import Upload
from merger.records.processing.queue import Claim
from tests.delivery.places import Crash, FolderPlace, Place
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

pytestmark = ON_SQLITE

OLD, NEW = "Algebra.mp4", "Matrices.mp4"
STEPS = ["rename.reserved", "folder.renaming", "drive.named", "rename.done", "rename.written"]


@dataclass
class Delivered:
    """A recording that is at a place under its name."""

    site: Site
    place: Place
    held: Claim
    data: bytes

    def upload(self, name: str, version: int = 1, data: bytes | None = None) -> Upload:
        path = self.site.folder / f"{self.held.record}-{version}.mp4"
        path.write_bytes(self.data if data is None else data)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        return Upload(version, "merge", name, path, size, digest, record=self.held.record)

    def deliver(self, name: str, version: int = 1, data: bytes | None = None) -> list[str]:
        lease, there = self.site.lease(self.held), self.place.destination
        return deliver(lease, there, [self.upload(name, version, data)])

    def rename(self, wish: str = NEW, description: str = "") -> None:
        lease = self.site.lease(self.held)
        rename(lease, self.place.destination, {"merge": wish}, description)

    def entry(self) -> ledger.Entry:
        lease = self.site.lease(self.held)
        return ledger.entries(lease, self.place.destination.name)["merge"]

    def check(self, name: str = NEW, data: bytes | None = None) -> None:
        """It is there under that name, and so the ledger says."""
        contents = self.place.contents()
        assert contents[name] == (self.data if data is None else data)
        assert self.place.left_over() == []
        entry = self.entry()
        assert (entry.name, entry.former_names, entry.status) == (name, (), "delivered")
        assert entry.link is not None
        if isinstance(self.place, FolderPlace):
            assert entry.link == str(self.place.folder / name)


@pytest.fixture
def delivered(site: Site, place: Place) -> Callable[..., Delivered]:
    site.add_room()

    def make(name: str = OLD, from_s: float = 0.0) -> Delivered:
        site.ask(from_s=from_s)
        held = site.claim()
        assert held is not None
        there = Delivered(site, place, held, os.urandom(5000))
        there.deliver(name)
        return there

    return make


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], bool]]:
    """Have the program end at a place; return what tells whether it has."""

    def crash(step: str) -> Callable[[], bool]:
        crashed = False

        def hook(place: str) -> None:
            nonlocal crashed
            if place == step and not crashed:
                crashed = True
                raise Crash(step)

        monkeypatch.setattr(failpoints, "hook", hook)
        return lambda: crashed

    return crash


def test_it_gets_its_name_and_keeps_what_it_is(delivered: Callable[..., Delivered]) -> None:
    one = delivered()
    mark = one.place.mark(OLD)
    one.rename()
    one.check()
    assert one.place.contents().keys() == {NEW}
    if not isinstance(one.place, FolderPlace):  # a file has another time when it is renamed
        assert one.place.mark(NEW) == mark
    mark = one.place.mark(NEW)
    one.rename()
    assert one.place.mark(NEW) == mark
    assert one.site.events().count("note") == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step(
    delivered: Callable[..., Delivered], crash_at: Callable[[str], Callable[[], bool]], step: str
) -> None:
    one = delivered()
    has_crashed = crash_at(step)
    try:
        one.rename()
    except Crash:
        one.rename()
    assert has_crashed() == (step not in ("folder.renaming", "drive.named")) or step.startswith(
        one.place.destination.name
    )
    one.check()
    assert one.place.contents().keys() == {NEW}


@pytest.mark.parametrize("wish", ["Rings.mp4", OLD])
@pytest.mark.parametrize("step", STEPS)
def test_another_name_after_a_crash(
    delivered: Callable[..., Delivered],
    crash_at: Callable[[str], Callable[[], bool]],
    step: str,
    wish: str,
) -> None:
    """Somebody renames it once more, or back, before the first name has arrived."""
    one = delivered()
    crash_at(step)
    with suppress(Crash):
        one.rename()
    one.rename(wish)
    one.check(wish)
    assert one.place.contents().keys() == {wish}


def test_a_name_that_another_record_has(delivered: Callable[..., Delivered]) -> None:
    first, second = delivered(NEW), delivered(OLD, 1.0)
    second.rename()
    first.check(NEW)
    name = "Matrices_2.mp4"
    assert second.entry().name == name
    second.check(name)
    second.rename()  # as good as the name that was wished for
    assert second.entry().name == name


def test_a_name_that_is_being_left_is_nobodys_yet(
    delivered: Callable[..., Delivered], crash_at: Callable[[str], Callable[[], bool]]
) -> None:
    """Its file is moved, and the ledger does not know: another record must not take it for ours."""
    first = delivered()
    crash_at("rename.done")
    with pytest.raises(Crash):
        first.rename()
    second = delivered(OLD, 1.0)
    assert second.entry().name == "Algebra_2.mp4"
    first.rename()
    first.check(NEW)
    second.check("Algebra_2.mp4")
    third = delivered(OLD, 2.0)
    third.check(OLD)


@pytest.mark.parametrize("step", ["rename.reserved", None])
def test_files_of_others_are_left_alone(
    delivered: Callable[..., Delivered],
    crash_at: Callable[[str], Callable[[], bool]],
    step: str | None,
) -> None:
    """Also what somebody puts there after the name was reserved."""
    one = delivered()
    if not one.place.owns_names:
        pytest.skip("a name is no obstacle to another file there")
    if step is not None:
        crash_at(step)
        with pytest.raises(Crash):
            one.rename()
    one.place.put(NEW, b"of somebody else")
    one.rename()
    one.check("Matrices_2.mp4")
    assert one.place.contents()[NEW] == b"of somebody else"
    assert one.place.contents().keys() == {NEW, "Matrices_2.mp4"}


def test_what_is_gone_is_told(delivered: Callable[..., Delivered]) -> None:
    one = delivered()
    entry = one.entry()
    one.place.destination.remove(OLD, entry.state)
    one.rename()
    assert one.place.contents() == {}
    assert one.entry().link == entry.link
    [note] = [e["text"] for e in one.site.details()["events"] if e["kind"] == "note"]
    assert "the file is gone" in note


@pytest.mark.parametrize("step", ["deliver.reserved", "deliver.sent", "deliver.written", *STEPS])
def test_a_new_version_with_another_name(
    delivered: Callable[..., Delivered], crash_at: Callable[[str], Callable[[], bool]], step: str
) -> None:
    """What people have keeps its name until there is something else under the other one."""
    one = delivered()
    data = os.urandom(6000)
    crash_at(step)
    try:
        one.deliver(NEW, 2, data)
    except Crash:
        one.deliver(NEW, 2, data)
    one.check(NEW, data)
    assert one.place.contents().keys() == {NEW}


@pytest.mark.parametrize("step", ["deliver.reserved", "deliver.sent", "deliver.written"])
def test_what_was_delivered_is_put_back_under_its_name(
    delivered: Callable[..., Delivered], crash_at: Callable[[str], Callable[[], bool]], step: str
) -> None:
    one = delivered()
    crash_at(step)
    with pytest.raises(Crash):
        one.deliver(NEW, 2, os.urandom(6000))
    one.deliver(OLD)
    one.check(OLD)
    assert one.place.contents().keys() == {OLD}


def test_the_same_version_is_not_sent_again(
    delivered: Callable[..., Delivered], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another destination was away, and somebody has renamed it meanwhile."""
    one = delivered()
    seen: list[str] = []
    monkeypatch.setattr(failpoints, "hook", seen.append)
    one.deliver(NEW)
    one.check()
    assert not {"folder.copied", "drive.begun"} & {*seen}
