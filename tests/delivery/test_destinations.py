"""What the service relies on, for every kind of destination: one suite; the places are `tests/delivery/places.py`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from merger.errors import Cancelled, MergerError, Temporary
from merger.ports.destination import Upload
from merger.records.processing.leases import LeaseLost
from tests.delivery.places import MANY, NAME, Crash, Place, Sending, check_only, parcel_of


def test_what_is_sent_arrives(place: Place, parcel: Upload) -> None:
    link = Sending(place.destination).send(parcel)
    assert link and (NAME in link or not place.owns_names)
    check_only(place, parcel)


def test_what_is_there_is_not_sent_again(place: Place, parcel: Upload) -> None:
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
    parcel: Upload,
    next_version: Upload,
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
    place: Place, parcel: Upload, next_version: Upload
) -> None:
    sending = Sending(place.destination)
    sending.send(parcel)
    rest = place.watch(NAME)
    sending.send(next_version)
    assert rest() == parcel.path.read_bytes()
    check_only(place, next_version)


def test_an_earlier_version_of_the_same_size_is_replaced(
    place: Place, parcel: Upload, tmp_path: Path
) -> None:
    data = parcel.path.read_bytes()
    other = parcel_of(tmp_path / "made" / "other.mp4", data[:-1] + bytes([data[-1] ^ 1]), version=2)
    sending = Sending(place.destination)
    sending.send(parcel)
    sending.send(other)
    check_only(place, other)


def test_what_is_removed_is_gone_and_may_be_removed_again(place: Place, parcel: Upload) -> None:
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
    place: Place, parcel: Upload, hooked: Callable[[Sending], Sending]
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
    place: Place, parcel: Upload, hooked: Callable[[Sending], Sending]
) -> None:
    def lose(step: str) -> None:
        assert NAME not in place.contents()  # nothing before it was asked for the last time
        if step == "before confirm":
            raise LeaseLost("another one has it")

    with pytest.raises(LeaseLost):
        hooked(Sending(place.destination, on_step=lose)).send(parcel)
    check_only(place)


def test_an_old_version_stays_when_the_new_one_is_no_longer_ours(
    place: Place, parcel: Upload, next_version: Upload, hooked: Callable[[Sending], Sending]
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
    place: Place, parcel: Upload, next_version: Upload, when: str
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
    place: Place, parcel: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        place.damage(patched)
        with pytest.raises(Temporary) as caught:
            Sending(place.destination).send(parcel)
        assert "differs from what was sent" in str(caught.value)
        check_only(place)
    Sending(place.destination).send(parcel)
    check_only(place, parcel)


def test_what_is_away_is_not_made(place: Place, parcel: Upload) -> None:
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
        assert place.away_says in str(caught.value)
    assert (dict(place.contents()), place.left_over()) == seen
