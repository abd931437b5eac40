"""Another version by hand, and records that nobody wants any more: what people have meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from merger import failpoints, outcomes, queue, record_views, records, work
from merger.database import reading, writing
from merger.delivery import Parcel
from merger.errors import Broken, Refused, Temporary
from merger.folder_destination import FolderDestination
from merger.heart import Heart
from merger.retry import TRIES
from merger.tidy import tidy
from merger.timeline import utc
from models import Message, Record, User
from recorders.folder import Folder
from tests.aftermath import LATER, check_only, deliveries, rows
from tests.conftest import START, seconds
from tests.databases import ON_SQLITE
from tests.media.test_time import check_instants
from tests.service.test_late_media import cannot_collect, cannot_encode, merge_of
from tests.site import Site
from tests.truth import frames_seen

# Around an end of a part, at a multiple of two minutes.
FROM_S, CUT_S, UNTIL_S, FILMED_S = 114.0, 120.0, 126.0, 129.0
ROWS_OF_RECORDS = ("records", "record_users", "chunks", "renditions", "deliveries", "events")
RATE = 25
LARGE = 80  # pixels on the left of the layout `screen_large`


@pytest.fixture
def lecture(site: Site) -> Site:
    """A record of twelve seconds that is delivered; there are three seconds more of media."""
    site.add_room(chunk_s=1800)
    for source in ("speaker", "screen"):
        site.film(source, FROM_S, FILMED_S - FROM_S, sound=source == "speaker")
    site.ask(UNTIL_S, FROM_S, users=("ann@example.org", "bob@example.org"))
    assert site.work() == "delivered"
    return site


def again(site: Site, **changes: Any) -> None:
    records.remerge(site.engine, 1, site.clock, **changes)


def in_the_folder(site: Site) -> dict[str, bytes]:
    """Return what people see of the videos."""
    paths = [path for path in site.merged.iterdir() if not path.name.startswith(".")]
    return {path.name: path.read_bytes() for path in paths}


def names_in_the_ledger(site: Site) -> dict[str, str]:
    return {kind: entry.name for kind, entry in deliveries(site, 1).items()}


def wanted(row: Record) -> tuple[Any, ...]:
    """What a record is to be, or is."""
    return row.layout, row.profile, row.start_at, row.end_at, row.version


def check_version(
    site: Site, version: int, until_s: float = UNTIL_S, kinds: tuple[str, ...] = ("merge", "backup"),
    left_px: int | None = None,
) -> None:  # fmt: skip
    """A version is what people have, whole and right, and there is nothing else."""
    row = site.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", version, version)
    assert (row.error_code, row.error_text, row.delivered_as, row.done) == (None, None, None, 1)
    told = site.details()
    assert [(r["kind"], r["version"]) for r in told["renditions"]] == [(k, version) for k in kinds]
    ledger = deliveries(site, 1)
    assert {kind: entry.version for kind, entry in ledger.items()} == dict.fromkeys(kinds, version)
    assert set(in_the_folder(site)) == {entry.name for entry in ledger.values()}
    frames = round((until_s - FROM_S) * RATE)
    assert {r["frames"] for r in told["renditions"]} == {frames}
    seen = frames_seen(site.merged / ledger["merge"].name, left_px, {*range(0, frames, 20), frames})
    if left_px == LARGE:  # the clocks are small there: not each can be read
        read = [frame for frame in seen if frame.right is not None]
        assert len(read) > len(seen) / 2
        seen = [replace(frame, left=None) for frame in read]
    check_instants(seen, START + seconds(FROM_S), both=left_px is None)
    assert [frame.right is not None for frame in seen] == ["backup" in kinds] * len(seen)


@contextmanager
def counting(site: Site) -> Iterator[Counter[str]]:
    """Count what is encoded meanwhile, by the kinds of files that the cache gets."""

    def cached() -> set[Path]:
        return set(site.settings.cache.glob("??/*.m*4*"))

    counted: Counter[str] = Counter()
    before = cached()
    yield counted
    counted.update(path.name.partition(".")[2] for path in cached() - before)


PART = {"merge.mp4": 1, "backup.mp4": 1}
SOUND = {"m4a": 1}


# --- another version ------------------------------------------------------------------------------


def test_another_layout_takes_the_place_of_the_first_in_one_step(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_version(lecture, 1)
    names, first = names_in_the_ledger(lecture), in_the_folder(lecture)
    again(lecture, layout="screen_large")
    row = lecture.row()
    assert wanted(row)[0] == "screen_large"
    assert (row.status, row.stage, row.version, row.delivered_version) == (
        "queued",
        "collect",
        2,
        1,
    )
    assert in_the_folder(lecture) == first
    seen: list[tuple[str, bytes]] = []

    def look(place: str) -> None:
        there = in_the_folder(lecture)
        assert set(there) == set(first)  # under these names, always, and nothing beside
        seen.append((place, there[names["merge"]]))

    monkeypatch.setattr(failpoints, "hook", look)
    with counting(lecture) as encoded:
        assert lecture.work() == "delivered"
    places = [place for place, _ in seen]
    assert places.count("encode.part") == 2 and encoded["m4a"] == 0  # the sound is the same
    shown = [data for _, data in seen]
    assert len(set(shown)) == 2
    switched = shown.index(in_the_folder(lecture)[names["merge"]])
    assert shown == [first[names["merge"]]] * switched + [shown[-1]] * (len(seen) - switched)
    assert places[switched - 1] == "folder.confirmed"
    check_version(lecture, 2, left_px=LARGE)
    assert names_in_the_ledger(lecture) == names
    assert lecture.events()[-5:] == ["remerged", "claimed", "sent", "sent", "delivered"]
    check_only(lecture, lecture.clock)


@pytest.mark.parametrize("until_s", [UNTIL_S - 3, FILMED_S])
def test_another_end_costs_the_last_part_and_the_sound(lecture: Site, until_s: float) -> None:
    names = names_in_the_ledger(lecture)
    again(lecture, end=utc(START + seconds(until_s)))
    with counting(lecture) as encoded:
        assert lecture.work() == "delivered"
    assert encoded == {**PART, **SOUND}
    check_version(lecture, 2, until_s)
    assert names_in_the_ledger(lecture) == names


@ON_SQLITE
def test_back_to_what_it_was_costs_nothing(lecture: Site) -> None:
    """Meanwhile there was no backup, neither in the ledger nor in the folder."""
    first, names = in_the_folder(lecture), names_in_the_ledger(lecture)
    again(lecture, layout="speaker_only")
    assert lecture.work() == "delivered"
    check_version(lecture, 2, kinds=("merge",), left_px=320)
    again(lecture, layout="side_by_side")
    with counting(lecture) as encoded:
        assert lecture.work() == "delivered"
    assert encoded == {}
    check_version(lecture, 3)
    assert (in_the_folder(lecture), names_in_the_ledger(lecture)) == (first, names)
    check_only(lecture, lecture.clock)


@ON_SQLITE
def test_the_same_again_is_a_version_that_costs_nothing(lecture: Site) -> None:
    again(lecture)
    with counting(lecture) as encoded:
        assert lecture.work() == "delivered"
    assert encoded == {}
    check_version(lecture, 2)


# --- that comes to nothing ------------------------------------------------------------------------


def cannot_deliver(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> str:
        raise Broken("destination", "nobody may write there any more")

    monkeypatch.setattr(FolderDestination, "send", refuse)


Stumble = Callable[[Site, pytest.MonkeyPatch], None]
EVERYTHING_ELSE = {
    "layout": "screen_large", "profile": "tiny_av1",
    "start": utc(START + seconds(CUT_S - 3)), "end": utc(START + seconds(CUT_S + 3)),
}  # fmt: skip


def told_of(site: Site) -> tuple[Any, ...]:
    """What was told of a record, and what it was made of."""
    details = site.details()
    media = {key: value for key, value in (site.row().media or {}).items() if key != "late"}
    return outcomes.report(site.engine, 1), details["chunks"], details["gaps"], media


def is_as_delivered(site: Site, before: Record, first: dict[str, bytes]) -> None:
    """A record is what it was, and so is what people have, in the folder and over the web."""
    row = site.row()
    assert wanted(row) == wanted(before)
    assert (row.status, row.delivered_version, row.done, row.processing) == ("delivered", 1, 1, 0)
    assert (row.stage, row.progress) == ("deliver", 1.0)
    assert set(row.delivered_as or ()) <= {"wished"}
    assert in_the_folder(site) == first
    assert {r["version"] for r in site.details()["renditions"]} == {1}
    for kind, name in names_in_the_ledger(site).items():
        file = record_views.rendition_file(site.engine, 1, kind)
        assert file.path is not None and file.name == name
        assert (site.settings.data / file.path).read_bytes() == first[name]
    tidy(site.service, site.clock)
    attempts = (site.settings.data / "records" / "1").glob("attempt-*")
    assert [path.name for path in attempts] == ["attempt-1"]


@pytest.mark.parametrize(
    ("stumble", "words"),
    [
        (cannot_collect, "password was changed"),
        (cannot_encode, "no encoder works"),
        (cannot_deliver, "nobody may write there"),
    ],
)
def test_a_version_that_fails_leaves_the_record_as_it_was(
    lecture: Site, monkeypatch: pytest.MonkeyPatch, stumble: Stumble, words: str
) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    again(lecture, **EVERYTHING_ELSE)
    assert wanted(lecture.row()) == (*EVERYTHING_ELSE.values(), 2)
    with monkeypatch.context() as patched:
        stumble(lecture, patched)
        assert lecture.work() == "failed"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert words in lecture.details()["error"]["message"]
    again(lecture, layout="screen_large")
    assert lecture.details()["error"] is None
    assert lecture.work() == "delivered"
    check_version(lecture, 2, left_px=LARGE)


@ON_SQLITE
def test_a_version_of_a_time_without_media_fails(lecture: Site) -> None:
    """The record is looked at again as long as any other without media; then it is as it was."""
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    hour = timedelta(hours=1)
    again(lecture, start=before.start_at - hour, end=before.end_at - hour)
    while (outcome := lecture.work()) == "put off":
        assert in_the_folder(lecture) == first
        lecture.clock = lecture.row().run_after
    assert outcome == "failed"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert "no media of speaker, screen" in lecture.details()["error"]["message"]


def test_a_version_that_is_cancelled_in_the_queue(lecture: Site) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    again(lecture, **EVERYTHING_ELSE)
    assert records.cancel(lecture.engine, 1, lecture.clock) == "delivered"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert lecture.work() is None
    assert lecture.details()["events"][-1]["text"] == "cancelled before it was begun"


@ON_SQLITE
@pytest.mark.parametrize(
    "place", ["collect.entered", "analyse.written", "encode.part", "encode.joined"]
)
def test_a_version_that_is_cancelled_while_it_is_made(
    lecture: Site, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    again(lecture, **EVERYTHING_ELSE)
    cancel_at(lecture, monkeypatch, place)
    assert lecture.work() == "cancelled"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert lecture.details()["events"][-1]["text"] == "cancelled while it was worked on"


def cancel_at(site: Site, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Somebody cancels when a place is reached, and the worker hears it at once."""
    hearts: list[Heart] = []
    real = work.beating

    def beating(heart: Heart) -> Any:
        hearts.append(heart)
        return real(heart)

    def hook(name: str) -> None:
        if name == place:
            assert records.cancel(site.engine, 1, site.clock) == "running"
            hearts[0].beat()

    monkeypatch.setattr(work, "beating", beating)
    monkeypatch.setattr(failpoints, "hook", hook)


@ON_SQLITE
def test_a_version_whose_workers_die_leaves_the_record_as_it_was(lecture: Site) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    again(lecture, **EVERYTHING_ELSE)
    while (held := lecture.claim()) is not None:
        queue.crashed(lecture.engine, held, lecture.clock, "it was ended by SIGSEGV")
        lecture.clock += timedelta(hours=1)
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert "SIGSEGV" in lecture.details()["error"]["message"]


def cannot_send_merges(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that takes the backup, which comes first, and not the merge."""
    real = FolderDestination.send

    def send(self: FolderDestination, parcel: Parcel, *rest: Any) -> str:
        if parcel.kind == "merge":
            raise Broken("destination", "nobody may write there any more")
        return real(self, parcel, *rest)

    monkeypatch.setattr(FolderDestination, "send", send)


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_version_that_had_arrived_in_part_is_put_back(
    lecture: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    mails = messages(lecture)
    again(lecture, **EVERYTHING_ELSE)
    with monkeypatch.context() as patched:
        if how == "failed":
            cannot_send_merges(lecture, patched)
        else:
            cancel_at(lecture, patched, "deliver.written")
        assert lecture.work() == how
    assert in_the_folder(lecture) != first  # the backup of the other
    assert (lecture.row().status, lecture.row().version) == ("queued", 1)
    assert lecture.work() == "delivered"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert lecture.work() is None
    assert messages(lecture) - mails == Counter({("failed", 2): 3} if how == "failed" else {})
    error = lecture.details()["error"]
    assert ("nobody may write" in error["message"]) if how == "failed" else error is None
    assert lecture.details()["events"][-1]["text"] == "version 1 is back"


def arrives_unheard(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that has everything, and fails before anybody knows."""
    real = FolderDestination.send

    def send(self: FolderDestination, parcel: Parcel, *rest: Any) -> str:
        link = real(self, parcel, *rest)
        if parcel.kind == "merge":
            raise Broken("destination", "nobody may look there any more")
        return link

    monkeypatch.setattr(FolderDestination, "send", send)


def test_a_version_that_had_arrived_unheard_is_put_back(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    again(lecture, layout="screen_large")  # its backup is the same
    with monkeypatch.context() as patched:
        arrives_unheard(lecture, patched)
        assert lecture.work() == "failed"
    assert lecture.work() == "delivered"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told


@ON_SQLITE
def test_what_is_being_put_back_is_not_stopped_and_forgets_no_wish(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(lecture, layout="screen_large")
    with monkeypatch.context() as patched:
        cannot_send_merges(lecture, patched)
        assert lecture.work() == "failed"
    assert refused(lambda: records.cancel(lecture.engine, 1, lecture.clock)) == "status"
    records.retry(lecture.engine, 1, lecture.clock)  # at once, and no more than that
    assert lecture.work() == "delivered"
    assert (lecture.row().version, lecture.row().layout) == (1, "side_by_side")
    records.retry(lecture.engine, 1, lecture.clock)
    assert lecture.work() == "delivered"
    check_version(lecture, 2, left_px=LARGE)


@ON_SQLITE
def test_a_version_that_an_earlier_program_has_begun(lecture: Site) -> None:
    """It kept no more than the wishes."""
    before = lecture.row()
    again(lecture, layout="screen_large")

    def as_it_was(session: Session) -> None:
        row = session.get_one(Record, 1)
        row.delivered_as = {
            key: row.delivered_as[key] for key in ("layout", "profile", "start", "end")
        }

    writing(lecture.engine, as_it_was)
    assert records.cancel(lecture.engine, 1, lecture.clock) == "delivered"
    assert wanted(lecture.row()) == wanted(before)


@ON_SQLITE
def test_a_destination_that_takes_nothing_any_more_is_not_asked_for_ever(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(lecture, **EVERYTHING_ELSE)
    with monkeypatch.context() as patched:
        cannot_send_merges(lecture, patched)
        assert lecture.work() == "failed"
        cannot_deliver(lecture, patched)
        assert lecture.work() == "failed"
        assert lecture.work() is None
    row = lecture.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", 1, 1)


def messages(site: Site) -> Counter[tuple[str, int]]:
    with reading(site.engine) as session:
        rows = session.execute(select(Message.kind, Message.version)).all()
        return Counter((kind, version) for kind, version in rows)


def test_a_version_that_failed_is_tried_again_as_it_was_wished(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(lecture, layout="screen_large")
    with monkeypatch.context() as patched:
        cannot_encode(lecture, patched)
        assert lecture.work() == "failed"
    assert lecture.row().layout == "side_by_side"
    records.retry(lecture.engine, 1, lecture.clock)
    assert lecture.work() == "delivered"
    check_version(lecture, 2, left_px=LARGE)


@ON_SQLITE
def test_a_version_that_is_tried_at_once_forgets_no_media(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library has it no more."""
    again(lecture, layout="screen_large")
    with monkeypatch.context() as patched:
        cannot_reach(lecture, patched)
        assert lecture.work() == "put off"
    for path in lecture.library().library.iterdir():
        path.unlink()
    records.retry(lecture.engine, 1, lecture.clock)
    assert lecture.work() == "delivered"
    check_version(lecture, 2, left_px=LARGE)


@ON_SQLITE
def test_what_was_written_beside_an_earlier_version_stays(lecture: Site) -> None:
    def had_a_chat(session: Session) -> None:
        row = session.get_one(Record, 1)
        row.media = {**(row.media or {}), "papers": ["chat.txt"]}

    writing(lecture.engine, had_a_chat)
    again(lecture, layout="screen_large")
    assert lecture.work() == "delivered"
    assert (lecture.row().media or {})["papers"] == ["chat.txt"]


def cannot_reach(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise Temporary("source_away", "the share is away")

    monkeypatch.setattr(Folder, "find", away)


@ON_SQLITE
def test_what_failed_in_an_earlier_stage_does_not_count(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_room()
    site.film("speaker", 0, 12, sound=True)
    site.ask(12, users=())
    with monkeypatch.context() as patched:
        cannot_reach(site, patched)
        for _ in range(TRIES):
            assert site.work() == "put off"
            site.clock = site.row().run_after
    with monkeypatch.context() as patched:
        patched.setattr(work, "made", lambda *_: short_of_memory())
        assert site.work() == "put off"
    assert (site.row().stage, site.row().tries) == ("analyse", 1)


def short_of_memory() -> None:
    raise MemoryError


# --- when there may be another --------------------------------------------------------------------


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as told:
        act()
    return told.value.code


def test_a_record_that_is_not_done_is_not_made_again(lecture: Site) -> None:
    again(lecture, layout="screen_large")
    for status in ("queued", "running"):
        assert lecture.row().status == status
        before = rows(lecture)
        assert refused(lambda: again(lecture, layout="side_by_side")) == "status"
        assert rows(lecture) == before
        lecture.claim()


@ON_SQLITE
def test_what_makes_no_sense_changes_nothing(lecture: Site) -> None:
    before = rows(lecture)
    late = utc(START + seconds(FROM_S - 1))
    for code, changes in (
        ("layout", {"layout": "three_in_a_row"}), ("profile", {"profile": "4k"}),
        ("end", {"end": late}), ("record", {"only_of": 17}),
    ):  # fmt: skip
        assert refused(lambda changes=changes: again(lecture, **changes)) == code
    assert refused(lambda: records.remerge(lecture.engine, 2, lecture.clock)) == "record"
    assert rows(lecture) == before


def failed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        cannot_encode(site, patched)
        assert site.work() == "failed"


def cancelled(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert records.cancel(site.engine, 1, site.clock) == "cancelled"


def undeliverable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        cannot_deliver(site, patched)
        assert site.work() == "failed"


@ON_SQLITE
@pytest.mark.parametrize("end", [failed, cancelled, undeliverable])
def test_a_record_that_came_to_nothing_is_made_otherwise(
    site: Site, monkeypatch: pytest.MonkeyPatch, end: Stumble
) -> None:
    """It stays the first version; and a file that was taken out meanwhile does not come back."""
    site.add_room(chunk_s=1800)
    for source in ("speaker", "screen"):
        site.film(source, FROM_S, UNTIL_S - FROM_S, sound=source == "speaker")
    bad = site.film("screen", FROM_S + 1, 2)
    site.ask(UNTIL_S, FROM_S)
    end(site, monkeypatch)
    bad.unlink()
    again(site, layout="screen_large")
    row = site.row()
    assert (row.status, row.version, row.delivered_version, row.delivered_as) == (
        "queued",
        1,
        None,
        None,
    )
    assert refused(lambda: record_views.rendition_file(site.engine, 1, "merge")) == "rendition"
    assert site.work() == "delivered"
    check_version(site, 1, left_px=LARGE)
    media = site.row().media
    assert media is not None and len(media["items"]["screen"]) == 1
    check_only(site, site.clock + LATER)


# --- records that nobody wants any more -----------------------------------------------------------


def user(site: Site, name: str) -> int:
    with reading(site.engine) as session:
        return session.scalars(select(User.id).where(User.email == f"{name}@example.org")).one()


def wanted_by(site: Site) -> list[str]:
    return [str(email).partition("@")[0] for email in site.details()["users"]]


def leave(site: Site, only_of: int | None) -> bool:
    return records.leave(site.engine, 1, site.clock, only_of)


def is_gone(site: Site, first: dict[str, bytes]) -> None:
    """Nothing is left of a record but the videos that were delivered."""
    assert refused(site.details) == "record"
    there = rows(site)
    assert {name: there[name] for name in ROWS_OF_RECORDS} == {name: [] for name in ROWS_OF_RECORDS}
    assert there["segments"] and there["users"]
    tidy(site.service, site.clock)
    assert list((site.settings.data / "records").iterdir()) == []
    assert in_the_folder(site) == first


def test_a_record_goes_with_the_last_who_wants_it(lecture: Site) -> None:
    first, (ann, bob) = in_the_folder(lecture), (user(lecture, "ann"), user(lecture, "bob"))
    assert leave(lecture, ann) is False
    assert wanted_by(lecture) == ["bob"]
    assert refused(lambda: leave(lecture, ann)) == "record"
    check_version(lecture, 1)
    assert lecture.events()[-1] == "left"
    assert leave(lecture, bob) is True
    is_gone(lecture, first)


@ON_SQLITE
def test_who_comes_second_owns_it_then(lecture: Site) -> None:
    """The queue is fair by owners: it needs one."""
    assert leave(lecture, user(lecture, "ann")) is False
    lecture.ask(UNTIL_S, FROM_S, users=("ann@example.org",))
    assert wanted_by(lecture) == ["bob", "ann"]
    assert [entry.split(", ")[-1] for entry in rows(lecture)["record_users"]] == ["1)", "0)"]


def test_an_editor_removes_it_whoever_wants_it(lecture: Site) -> None:
    first = in_the_folder(lecture)
    assert leave(lecture, None) is True
    is_gone(lecture, first)


@ON_SQLITE
def test_what_is_asked_for_after_that_is_a_record_like_any_other(lecture: Site) -> None:
    """Its video comes beside the one that stays: nobody knows any more whose that is."""
    first = in_the_folder(lecture)
    leave(lecture, None)
    record = lecture.ask(UNTIL_S, FROM_S, users=("ann@example.org",))
    assert lecture.work() == "delivered"
    there = in_the_folder(lecture)
    assert first.items() < there.items() and len(there) == 4
    names = {entry.name for entry in deliveries(lecture, record).values()}
    assert names == set(there) - set(first)


@ON_SQLITE
def test_one_that_waits_is_not_begun(lecture: Site) -> None:
    first = in_the_folder(lecture)
    again(lecture, layout="screen_large")
    assert leave(lecture, None) is True
    assert lecture.work() is None
    is_gone(lecture, first)


def test_one_that_is_worked_on_is_not_removed(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = user(lecture, "ann"), user(lecture, "bob")

    def look(place: str) -> None:
        if place == "encode.joined":
            assert refused(lambda: leave(lecture, None)) == "status"
            assert leave(lecture, ann) is False  # of whom the work is not
            assert refused(lambda: leave(lecture, bob)) == "status"
            assert wanted_by(lecture) == ["bob"]

    again(lecture, layout="screen_large")
    monkeypatch.setattr(failpoints, "hook", look)
    assert lecture.work() == "delivered"
    check_version(lecture, 2, left_px=LARGE)
    first = in_the_folder(lecture)
    assert leave(lecture, bob) is True
    is_gone(lecture, first)
    assert merge_of(lecture).exists()
