"""Another version that comes to nothing: people have what they had, and are told of that."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from merger import failpoints
from merger.daemon.retention import remove_expired
from merger.db.engine import reading, writing
from merger.delivery.folder import FolderDestination
from merger.errors import Broken, Temporary
from merger.i18n import verbatim
from merger.ports.destination import Upload
from merger.records import actions
from merger.records.browse import files
from merger.records.processing import queue, stage_results
from merger.records.versions import is_half_replaced
from merger.timeline.clock import utc
from merger.worker import run
from merger.worker.heartbeat import Heartbeat
from models import Delivery, Notification, Record, Rendition
from tests.conftest import START, seconds
from tests.records.versions import (
    CUT_S,
    LARGE,
    again,
    check_version,
    delivered_lecture,
    in_the_folder,
    names_in_the_ledger,
    refused,
    wanted,
)
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.stumbling import (
    Stumble,
    cannot_collect,
    cannot_deliver,
    cannot_encode,
    cannot_reach,
)


@pytest.fixture
def lecture(site: Site) -> Site:
    return delivered_lecture(site)


EVERYTHING_ELSE = {
    "layout": "screen_large", "profile": "tiny_av1",
    "start": utc(START + seconds(CUT_S - 3)), "end": utc(START + seconds(CUT_S + 3)),
}  # fmt: skip


def told_of(site: Site) -> tuple[Any, ...]:
    """What was told of a record, and what it was made of."""
    details = site.details()
    kept = ("late", "corner")  # also of a version that failed: it may be tried again
    media = {key: value for key, value in (site.row().media or {}).items() if key not in kept}
    return stage_results.load_report(site.engine, 1), details["chunks"], details["gaps"], media


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
        file = files.rendition_file(site.engine, 1, kind)
        assert file.path is not None and file.name == name
        assert (site.settings.data / file.path).read_bytes() == first[name]
    remove_expired(site.service, site.clock)
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
    while (outcome := lecture.work()) == "deferred":
        assert in_the_folder(lecture) == first
        lecture.clock = lecture.row().run_after
    assert outcome == "failed"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert "no media from speaker, screen" in lecture.details()["error"]["message"]


def test_a_version_that_is_cancelled_in_the_queue(lecture: Site) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    again(lecture, **EVERYTHING_ELSE)
    assert actions.cancel(lecture.engine, 1, lecture.clock) == "delivered"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert lecture.work() is None
    assert lecture.details()["events"][-1]["text"] == "cancelled before it started"


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
    assert lecture.details()["events"][-1]["text"] == "cancelled while in progress"


def cancel_at(site: Site, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Somebody cancels when a place is reached, and the worker hears it at once."""
    beats: list[Heartbeat] = []
    real = run.beating

    def beating(heartbeat: Heartbeat) -> Any:
        beats.append(heartbeat)
        return real(heartbeat)

    def hook(name: str) -> None:
        if name == place:
            assert actions.cancel(site.engine, 1, site.clock) == "running"
            beats[0].beat()

    monkeypatch.setattr(run, "beating", beating)
    monkeypatch.setattr(failpoints, "hook", hook)


@ON_SQLITE
def test_a_version_whose_workers_die_leaves_the_record_as_it_was(lecture: Site) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    again(lecture, **EVERYTHING_ELSE)
    while (held := lecture.claim()) is not None:
        queue.take_back_crashed(
            lecture.engine, held, lecture.clock, verbatim("it was killed by SIGSEGV")
        )
        lecture.clock += timedelta(hours=1)
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert "SIGSEGV" in lecture.details()["error"]["message"]


def cannot_send_merges(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that takes the backup, which comes first, and not the merge."""
    real = FolderDestination.send

    def send(self: FolderDestination, parcel: Upload, *rest: Any) -> str:
        if parcel.kind == "merge":
            raise Broken("destination", "nobody may write there any more")
        return real(self, parcel, *rest)

    monkeypatch.setattr(FolderDestination, "send", send)


def arrives_in_part(site: Site, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """The backup is there when the version fails, or is cancelled."""
    with monkeypatch.context() as patched:
        if how == "failed":
            cannot_send_merges(site, patched)
        else:
            cancel_at(site, patched, "deliver.written")
        assert site.work() == how


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_version_that_had_arrived_in_part_is_put_back(
    lecture: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    mails = messages(lecture)
    again(lecture, **EVERYTHING_ELSE)
    arrives_in_part(lecture, monkeypatch, how)
    assert in_the_folder(lecture) != first  # the backup of the other
    assert (lecture.row().status, lecture.row().version) == ("queued", 1)
    assert lecture.work() == "delivered"
    is_as_delivered(lecture, before, first)
    assert told_of(lecture) == told
    assert lecture.work() is None
    assert messages(lecture) - mails == Counter({("failed", 2): 3} if how == "failed" else {})
    error = lecture.details()["error"]
    assert ("nobody may write" in error["message"]) if how == "failed" else error is None
    assert lecture.details()["events"][-1]["text"] == "version 1 restored"


def arrives_unheard(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that has everything, and fails before anybody knows."""
    real = FolderDestination.send

    def send(self: FolderDestination, *sent: Any) -> str:
        real(self, *sent)
        raise Broken("destination", "nobody may look there any more")

    monkeypatch.setattr(FolderDestination, "send", send)


def test_a_version_that_had_arrived_unheard_is_put_back(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first, told = lecture.row(), in_the_folder(lecture), told_of(lecture)
    again(lecture, **EVERYTHING_ELSE)
    with monkeypatch.context() as patched:
        arrives_unheard(lecture, patched)
        assert lecture.work() == "failed"
    assert in_the_folder(lecture) != first
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
    assert refused(lambda: actions.cancel(lecture.engine, 1, lecture.clock)) == "status"
    actions.retry(lecture.engine, 1, lecture.clock)  # at once, and no more than that
    assert lecture.work() == "delivered"
    assert (lecture.row().version, lecture.row().layout) == (1, "side_by_side")
    actions.retry(lecture.engine, 1, lecture.clock)
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
    assert actions.cancel(lecture.engine, 1, lecture.clock) == "delivered"
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
        rows = session.execute(select(Notification.kind, Notification.version)).all()
        return Counter((kind, version) for kind, version in rows)


def test_a_version_that_failed_is_tried_again_as_it_was_wished(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(lecture, layout="screen_large")
    with monkeypatch.context() as patched:
        cannot_encode(lecture, patched)
        assert lecture.work() == "failed"
    assert lecture.row().layout == "side_by_side"
    actions.retry(lecture.engine, 1, lecture.clock)
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
        assert lecture.work() == "deferred"
    for path in lecture.library().library.iterdir():
        path.unlink()
    actions.retry(lecture.engine, 1, lecture.clock)
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


@ON_SQLITE
def test_a_new_kind_that_had_arrived_unheard_goes_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People have no backup; the one of the other version arrived, and nobody has written so."""
    delivered_lecture(site, layout="speaker_only")
    first = in_the_folder(site)
    again(site, layout="side_by_side")

    def die(place: str) -> None:
        if place == "deliver.sent":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "hook", die)
        with pytest.raises(KeyboardInterrupt):
            site.work()
    site.clock += timedelta(minutes=5)
    assert queue.take_back_lost(site.engine, site.clock) == [1]
    assert len(in_the_folder(site)) == 2
    assert actions.cancel(site.engine, 1, site.clock) == "queued"
    assert site.work() == "delivered"
    assert in_the_folder(site) == first
    assert set(names_in_the_ledger(site)) == {"merge"}


@ON_SQLITE
@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_the_reason_stays_while_what_people_have_is_put_back(
    lecture: Site, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The disk of the destination is full meanwhile: that is told in the history alone."""
    again(lecture, layout="screen_large")
    arrives_in_part(lecture, monkeypatch, how)
    error = lecture.details()["error"]
    with monkeypatch.context() as patched:
        patched.setattr(FolderDestination, "send", is_full)
        assert lecture.work() == "deferred"
    assert lecture.details()["error"] == error
    assert "is full" in lecture.details()["events"][-1]["text"]
    lecture.clock = lecture.row().run_after
    assert lecture.work() == "delivered"
    assert lecture.details()["error"] == error
    assert ("nobody may write" in error["message"]) if how == "failed" else error is None


def is_full(*_: Any) -> str:
    raise Temporary("disk_full", "the disk of the destination is full")


@ON_SQLITE
def test_what_had_failed_before_is_no_reason_of_who_cancels(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(lecture, layout="screen_large")
    with monkeypatch.context() as patched:
        cannot_encode(lecture, patched, Temporary("disk_full", "encoding needs room"))
        assert lecture.work() == "deferred"
    assert actions.cancel(lecture.engine, 1, lecture.clock) == "delivered"
    assert lecture.details()["error"] is None
    # What was wished for is made after all.
    actions.retry(lecture.engine, 1, lecture.clock)
    assert lecture.work() == "delivered"
    check_version(lecture, 2, left_px=LARGE)


@ON_SQLITE
@pytest.mark.parametrize(
    ("delivered", "is_half"), [(None, False), (1, False), (2, True)], ids=["none", "ours", "newer"]
)
def test_captions_are_missed_nowhere_but_must_be_of_the_version(
    lecture: Site, delivered: int | None, is_half: bool
) -> None:
    """They are delivered where the room says so: a place without them has all of a version."""
    chat = Rendition(
        record_id=1, version=1, kind="chat", path="chat.vtt", size_bytes=1, sha256="c" * 64,
        frames=0, width=0, height=0, made_at=lecture.clock,
    )  # fmt: skip
    entry = Delivery(
        record_id=1, destination="folder", kind="chat", name="chat.vtt", name_key="c", state={},
        status="delivered", version=delivered,
    )  # fmt: skip

    def ask(session: Session) -> bool:
        session.add_all([chat] if delivered is None else [chat, entry])
        session.flush()
        return is_half_replaced(session, session.get_one(Record, 1))

    assert writing(lecture.engine, ask) is is_half
