"""What the service relies on, for every kind of destination: one suite, and a place for each kind.

A place is a destination and what people see of it from outside. The tests below know nothing else.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import select

from google_apis.auth import credentials_from
from google_apis.drive_destination import DriveDestination
from google_apis.drive_folders import Folders
from google_apis.http import Google as Client
from merger import failpoints, queue
from merger.database import reading
from merger.delivery import Destination, Fence, Parcel, deliver
from merger.errors import Cancelled, MergerError, Temporary
from merger.folder_destination import FolderDestination
from merger.queue import Claim, LeaseLost
from models import Delivery
from tests.databases import ON_SQLITE
from tests.fakes.google import SUBJECT, Google, google_served
from tests.fakes.google_drive import FOLDER
from tests.google.sending import Memory
from tests.site import Site

# More than one block of a folder's copy, and of any upload in pieces.
MANY = 9 * 1024 * 1024
NAME = "Лекция 1_504_2026-11-20_10-00-11-20.mp4"


class Place(Protocol):
    """A destination of one kind, seen by those who fetch videos there."""

    destination: Destination
    away_says: str  # what the error says of one that is not there
    owns_names: bool  # two files cannot have one name

    def contents(self) -> Mapping[str, bytes]:
        """What people see."""

    def left_over(self) -> list[str]:
        """What lies there that nobody should have to see."""

    def mark(self, name: str) -> object:
        """Another one whenever the content is written."""

    def put(self, name: str, data: bytes) -> None:
        """Somebody else puts a file there."""

    def watch(self, name: str) -> Callable[[], bytes]:
        """Begin to read, as a player does; return what reads to the end."""

    def damage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on, what is sent arrives with a wrong bit."""

    def away(self) -> Destination:
        """A destination like this that is not there for now."""

    def come_back(self) -> Place:
        """That one, there again."""


@dataclass
class FolderPlace:
    folder: Path
    destination: Destination = field(init=False)
    away_says: str = "mount it"
    owns_names: bool = True

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.destination = FolderDestination(self.folder, is_ours=False)

    def contents(self) -> dict[str, bytes]:
        files = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        return {path.name: path.read_bytes() for path in files}

    def left_over(self) -> list[str]:
        return [p.name for p in self.folder.iterdir() if p.is_dir() or p.name.startswith(".")]

    def mark(self, name: str) -> object:
        status = (self.folder / name).stat()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns

    def put(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def watch(self, name: str) -> Callable[[], bytes]:
        file = (self.folder / name).open("rb")
        first = file.read(1000)

        def rest() -> bytes:
            with file:
                return first + file.read()

        return rest

    def damage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def flip(place: str) -> None:
            if place == "folder.copied":
                [copy] = self.folder.glob(".*/copy")
                with copy.open("r+b") as file:
                    file.seek(MANY // 2)
                    byte = file.read(1)[0]
                    file.seek(MANY // 2)
                    file.write(bytes([byte ^ 1]))

        monkeypatch.setattr(failpoints, "hook", flip)

    def away(self) -> Destination:
        return FolderDestination(self.folder / "share" / "not mounted", is_ours=False)

    def come_back(self) -> FolderPlace:
        return FolderPlace(self.folder / "share" / "not mounted")


@dataclass
class DrivePlace:
    google: Google
    path: Path
    destination: Destination = field(init=False)
    away_says: str = "cannot be reached"
    owns_names: bool = False

    def __post_init__(self) -> None:
        self.destination = self._to(self.google.address)

    def _to(self, address: str) -> DriveDestination:
        credentials = credentials_from(self.google.credentials_file(self.path), SUBJECT)
        client = Client(credentials, address, pause=lambda seconds: None)
        return DriveDestination(client, Folders(client, Memory()))

    def _files(self) -> list[dict[str, Any]]:
        files = self.google.drive.files.values()
        return [one for one in files if not one["trashed"] and one["mimeType"] != FOLDER]

    def contents(self) -> dict[str, bytes]:
        with self.google.lock:
            content = self.google.drive.content
            return {one["name"]: content[one["id"]] for one in self._files()}

    def left_over(self) -> list[str]:
        return [one["name"] for one in self._files() if one["name"].endswith(".part")]

    def mark(self, name: str) -> object:
        return id(self.contents()[name])

    def put(self, name: str, data: bytes) -> None:
        self.google.drive.put(name, data, self.google.drive.root(SUBJECT), SUBJECT)

    def watch(self, name: str) -> Callable[[], bytes]:
        data = self.contents()[name]
        return lambda: data

    def damage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self.google.drive, "damages", True)

    def away(self) -> Destination:
        return self._to("http://127.0.0.1:9")

    def come_back(self) -> DrivePlace:
        return self


KINDS: dict[str, Callable[[Path, ExitStack], Place]] = {
    "folder": lambda path, _: FolderPlace(path / "videos"),
    "drive": lambda path, serving: DrivePlace(serving.enter_context(google_served()), path),
}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as serving:
        yield KINDS[request.param](tmp_path, serving)


class Crash(Exception):
    """The program ends here, as far as the destination is concerned."""


@dataclass
class Sending:
    """A destination being sent to, with all that it says on its way, and what it had kept."""

    destination: Destination
    crash_at: int = -1  # the step at which it crashes
    on_step: Callable[[str], None] = lambda step: None
    state: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    steps: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        self.steps.append(name)
        self.on_step(name)
        if len(self.steps) - 1 == self.crash_at:
            raise Crash(name)

    def send(self, parcel: Parcel) -> str:
        def keep(state: Mapping[str, Any]) -> None:
            self.step("before keep")
            self.state = dict(state)
            self.step("after keep")

        def check() -> None:
            self.step("check")

        def confirm() -> None:
            self.step("before confirm")
            self.step("after confirm")

        return self.destination.send(parcel, self.state, Fence(keep, check, confirm, self.attempt))


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sending], Sending]:
    """Make the failpoints of a destination steps of a sending."""

    def hook(sending: Sending) -> Sending:
        monkeypatch.setattr(failpoints, "hook", sending.step)
        return sending

    return hook


def parcel_of(path: Path, data: bytes, name: str = NAME, version: int = 1) -> Parcel:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return Parcel(1, version, "merge", name, path, len(data), digest)


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    return parcel_of(tmp_path / "made" / "merge.mp4", os.urandom(MANY))


@pytest.fixture
def next_version(tmp_path: Path) -> Parcel:
    return parcel_of(tmp_path / "made" / "merge-2.mp4", os.urandom(MANY), version=2)


def check_only(place: Place, *parcels: Parcel) -> None:
    """These are there, whole, and nothing else at all."""
    assert place.contents() == {one.name: one.path.read_bytes() for one in parcels}
    assert place.left_over() == []


def test_what_is_sent_arrives(place: Place, parcel: Parcel) -> None:
    link = Sending(place.destination).send(parcel)
    assert link and (NAME in link or not place.owns_names)
    check_only(place, parcel)


def test_what_is_there_is_not_sent_again(place: Place, parcel: Parcel) -> None:
    sending = Sending(place.destination)
    link = sending.send(parcel)
    before = place.mark(NAME)
    assert sending.send(parcel) == link
    assert Sending(place.destination).send(parcel) == link  # with nothing kept: its row was lost
    assert place.mark(NAME) == before
    check_only(place, parcel)


def test_a_crash_at_every_step(
    place: Place, tmp_path: Path, hooked: Callable[[Sending], Sending]
) -> None:
    """Whatever happened before: sent again, there is one file, and it is right."""
    parcel = parcel_of(tmp_path / "made" / "0.mp4", os.urandom(MANY), "0.mp4")
    whole = hooked(Sending(place.destination))
    whole.send(parcel)
    assert {"check", "before confirm", "after confirm"} <= set(whole.steps)
    for n, step in enumerate(whole.steps, 1):
        crashing = hooked(Sending(place.destination, crash_at=n - 1))
        parcel = parcel_of(tmp_path / "made" / f"{n}.mp4", os.urandom(MANY), f"{n}.mp4")
        with pytest.raises(Crash, match=step):
            crashing.send(parcel)
        again = hooked(Sending(place.destination, state=crashing.state))
        again.send(parcel)
        contents = place.contents()
        assert set(contents) == {f"{m}.mp4" for m in range(n + 1)}, f"after a crash at {step}"
        assert contents[parcel.name] == parcel.path.read_bytes()
        assert place.left_over() == []


def test_a_crash_at_every_step_of_a_replacement(
    place: Place,
    parcel: Parcel,
    next_version: Parcel,
    hooked: Callable[[Sending], Sending],
) -> None:
    """People see the one version or the other, whatever happens."""
    first = hooked(Sending(place.destination))
    first.send(parcel)
    n = 0
    while True:
        hooked(Sending(place.destination, state=first.state)).send(parcel)
        check_only(place, parcel)
        crashing = hooked(Sending(place.destination, crash_at=n, state=first.state))
        try:
            crashing.send(next_version)
            break
        except Crash:
            versions = {one.path.read_bytes() for one in (parcel, next_version)}
            assert place.contents()[NAME] in versions
        hooked(Sending(place.destination, state=crashing.state)).send(next_version)
        check_only(place, next_version)
        n += 1
    assert n > 3
    check_only(place, next_version)


def test_a_new_version_takes_the_name_in_one_step(
    place: Place, tmp_path: Path, hooked: Callable[[Sending], Sending]
) -> None:
    versions = [
        parcel_of(tmp_path / "made" / f"{n}.mp4", os.urandom(100_000), version=n) for n in range(30)
    ]
    Sending(place.destination).send(versions[0])
    ended = threading.Event()

    def look() -> set[bytes]:
        """What somebody sees who looks all the time; raises where there is nothing."""
        seen = set()
        while not ended.is_set():
            seen.add(place.contents()[NAME])
        return seen

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            for one in versions[1:]:
                Sending(place.destination).send(one)
        finally:
            ended.set()
    assert looking.result() <= {one.path.read_bytes() for one in versions}
    check_only(place, versions[-1])


def test_who_watches_the_old_version_goes_on_watching_it(
    place: Place, parcel: Parcel, next_version: Parcel
) -> None:
    sending = Sending(place.destination)
    sending.send(parcel)
    rest = place.watch(NAME)
    sending.send(next_version)
    assert rest() == parcel.path.read_bytes()
    check_only(place, next_version)


def test_an_earlier_version_of_the_same_size_is_replaced(
    place: Place, parcel: Parcel, tmp_path: Path
) -> None:
    data = parcel.path.read_bytes()
    other = parcel_of(tmp_path / "made" / "other.mp4", data[:-1] + bytes([data[-1] ^ 1]), version=2)
    sending = Sending(place.destination)
    sending.send(parcel)
    sending.send(other)
    check_only(place, other)


def test_what_is_removed_is_gone_and_may_be_removed_again(place: Place, parcel: Parcel) -> None:
    sending = Sending(place.destination)
    sending.send(parcel)
    place.put("of somebody else", b"stays")
    place.destination.remove(NAME, sending.state)
    assert place.contents() == {"of somebody else": b"stays"}
    place.destination.remove(NAME, sending.state)
    assert place.left_over() == []
    sending.send(parcel)
    assert place.contents()[NAME] == parcel.path.read_bytes()


def test_nothing_is_seen_of_what_was_stopped_in_the_middle(
    place: Place, parcel: Parcel, hooked: Callable[[Sending], Sending]
) -> None:
    whole = hooked(Sending(place.destination))
    whole.send(parcel)
    place.destination.remove(NAME, whole.state)
    checks = whole.steps.count("check")
    assert checks > 2  # asked in the middle of a file, not only before
    for wanted in range(1, checks + 1):
        left = wanted

        def stop(step: str) -> None:
            nonlocal left
            left -= step == "check"
            if step == "check" and left == 0:
                raise Cancelled("cancelled", "asked to stop")

        with pytest.raises(Cancelled):
            hooked(Sending(place.destination, on_step=stop)).send(parcel)
        check_only(place)


def test_nothing_is_seen_of_what_is_no_longer_ours(
    place: Place, parcel: Parcel, hooked: Callable[[Sending], Sending]
) -> None:
    def lose(step: str) -> None:
        assert NAME not in place.contents()  # nothing before it was asked for the last time
        if step == "before confirm":
            raise LeaseLost("another one has it")

    with pytest.raises(LeaseLost):
        hooked(Sending(place.destination, on_step=lose)).send(parcel)
    check_only(place)


def test_an_old_version_stays_when_the_new_one_is_no_longer_ours(
    place: Place, parcel: Parcel, next_version: Parcel, hooked: Callable[[Sending], Sending]
) -> None:
    Sending(place.destination).send(parcel)

    def lose(step: str) -> None:
        if step == "before confirm":
            raise LeaseLost("another one has it")

    with pytest.raises(LeaseLost):
        hooked(Sending(place.destination, on_step=lose)).send(next_version)
    check_only(place, parcel)


@pytest.mark.parametrize("when", ["check", "before confirm", "after confirm"])
def test_who_was_held_up_does_not_write_over_a_later_attempt(
    place: Place, parcel: Parcel, next_version: Parcel, when: str
) -> None:
    """Also after it was told that the record is its own: then another took it, and was quicker."""
    overtaken = False

    def overtake(step: str) -> None:
        nonlocal overtaken
        if overtaken and step in ("before keep", "before confirm"):
            raise LeaseLost("another one has it")  # as the database says from now on
        if step == when and not overtaken:
            overtaken = True
            Sending(place.destination, attempt=2, state=held_up.state).send(next_version)
            if when != "after confirm":
                raise LeaseLost("another one has it")

    held_up = Sending(place.destination, on_step=overtake)
    with pytest.raises((MergerError, LeaseLost)):
        held_up.send(parcel)
    check_only(place, next_version)


def test_what_arrives_damaged_is_not_published(
    place: Place, parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        place.damage(patched)
        with pytest.raises(Temporary) as caught:
            Sending(place.destination).send(parcel)
        assert "differs from what was sent" in caught.value.message
        check_only(place)
    Sending(place.destination).send(parcel)
    check_only(place, parcel)


def test_what_is_away_is_not_made(place: Place, parcel: Parcel) -> None:
    """A share that is not mounted: its place on this machine is no place for videos."""
    away = place.away()
    seen = dict(place.contents()), place.left_over()
    acts: list[Callable[[], object]] = [
        lambda: Sending(away).send(parcel),
        lambda: away.remove(NAME, {"id": "file00001"}),
    ]
    if place.owns_names:
        acts.append(lambda: away.is_foreign(NAME))
    for act in acts:
        with pytest.raises(Temporary) as caught:
            act()
        assert place.away_says in caught.value.message
    assert (dict(place.contents()), place.left_over()) == seen


# --- through the ledger ---------------------------------------------------------------------------


@dataclass
class Delivering:
    """A record whose renditions go to a place, as the worker does it."""

    site: Site
    place: Place
    held: Claim
    parcels: list[Parcel]

    def deliver(self, destination: Destination | None = None, kinds: int = 2) -> list[str]:
        def confirm() -> None:
            queue.orders(self.site.engine, self.held)

        return deliver(
            self.site.engine, self.held, destination or self.place.destination, self.parcels[:kinds],
            now=lambda: self.site.clock, check=lambda: None, confirm=confirm,
        )  # fmt: skip

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
            Parcel(held.record, version, kind, p.name, p.path, p.size_bytes, p.sha256)
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


def test_two_records_wish_for_the_same_name(delivering: Callable[..., Delivering]) -> None:
    both = [delivering(profile=profile) for profile in ("tiny", "tiny_av1")]
    looked = threading.Barrier(2, timeout=60)
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

    def send(self, parcel: Parcel, state: Mapping[str, Any], fence: Fence) -> str:
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
            queue.crashed(site.engine, one.held, site.clock, "taken away by a test")

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
