"""The list of records: its tabs, its lines, and what editors do to several at once."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from merger.i18n import Message, to_json
from merger.records.browse import lists
from merger.records.browse.previews import previews
from merger.timeline.clock import utc
from merger.web.pages.selected import consequence
from models import Chunk, Record, RecordUser
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.web.conftest import Web, told
from tests.web.pages.reader import reader, text_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAME = re.compile(r'<h2><a href="/records/\d+">([^<]+)</a>')


def add(web: Web, name: str, starts_in: timedelta, status: str = "queued", **more: Any) -> int:
    """Add a record of an hour of Ann's, which starts some time from now."""
    start = web.site.clock + starts_in
    more.setdefault("stage", "deliver" if status == "delivered" else "collect")
    more.setdefault("created_at", start)

    def write(session: Session) -> int:
        row = Record(
            room_id=1, start_at=start, end_at=start + HOUR, zone="UTC", event_name=name, status=status,
            layout="side_by_side", profile="720p", updated_at=start, run_after=start + HOUR,
            users=[RecordUser(user_id=web.ids["ann"], position=0)], **more,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id

    return writing(web.site.engine, write)


def add_some(web: Web) -> None:
    """Add one of each sort, the names of which say in which tab they are, and their places there."""
    add(web, "U3 tomorrow", DAY)
    add(web, "R2 failed", -3 * DAY, "failed")
    add(web, "U1 is made", -2 * DAY, "running")
    add(web, "R1 is made again", -DAY, "running", version=2, delivered_version=1)
    add(web, "U4 cancelled, and not over", 2 * DAY, "cancelled")
    add(web, "R4 cancelled", -5 * DAY, "cancelled")
    add(web, "R3 ready", -4 * DAY, "delivered", delivered_version=1)
    add(web, "U2 goes on", -HOUR / 2)


def names(web: Web, path: str, who: str = "ann") -> list[str]:
    return NAME.findall(reader(web, who).get(path))


def test_what_is_to_come_and_what_is_done(web: Web) -> None:
    add_some(web)
    upcoming, recordings = (names(web, f"/records?tab={tab}") for tab in ("upcoming", "recordings"))
    assert [name[:2] for name in upcoming] == ["U1", "U2", "U3", "U4"]  # the soonest first
    assert [name[:2] for name in recordings] == ["R1", "R2", "R3", "R4"]  # the newest first
    assert names(web, "/records") == upcoming
    # Who searches, searches everywhere.
    assert len(names(web, "/records?q=cancelled&tab=upcoming")) == 2


def test_each_tab_has_pages(web: Web) -> None:
    """Many begin at the same time: the number of a record decides."""
    now = utc(START) + 5 * HOUR
    for filters, sign in (("upcoming_at", 1), ("finished_at", -1)):
        status = "queued" if sign > 0 else "failed"
        made = [add(web, "x", sign * (n // 3 + 2) * HOUR, status) for n in range(7)]
        wanted, found, cursor = lists.Filter(**{filters: now}), [], None
        while True:
            page, cursor = lists.page_of_records(web.site.engine, wanted, cursor, 2)
            found += [record["id"] for record in page]
            if cursor is None:
                break
        in_order = sorted(made, key=lambda record: (web.site.row(record).start_at, record))
        assert found == (in_order if sign > 0 else in_order[::-1])


@BOTH_DATABASES
def test_what_was_ready_last_comes_first(web: Web) -> None:
    """What came to nothing stands where it could have been ready at the earliest."""
    now = web.site.clock
    add(
        web,
        "R3 ready at once",
        -4 * DAY,
        "delivered",
        delivered_version=1,
        delivered_at=now - 3 * DAY,
    )
    add(
        web,
        "R1 of long ago, ready just now",
        -90 * DAY,
        "delivered",
        delivered_version=1,
        delivered_at=now,
    )
    add(web, "R2 is made again", -5 * DAY, "queued", delivered_version=1, delivered_at=now - DAY)
    add(web, "R5 failed", -6 * DAY, "failed")
    add(web, "R4 asked for late, and failed", -80 * DAY, "failed", created_at=now - 5 * DAY)
    shown = names(web, "/records?tab=recordings")
    assert [name[:2] for name in shown] == ["R1", "R2", "R3", "R4", "R5"]
    # However many there are, they are not sorted for a page: the index has their order.
    wanted = lists.Filter(finished_at=now)
    with reading(web.site.engine) as session:
        page = lists._in_order(lists.query_of(session, wanted), wanted, f"{now.isoformat()}~9")
        sql = page.limit(26).compile(web.site.engine, compile_kwargs={"literal_binds": True})
        is_sqlite = web.site.engine.dialect.name == "sqlite"
        plan = session.execute(text(f"EXPLAIN {'QUERY PLAN' if is_sqlite else ''} {sql}")).all()
    assert "ix_records_listed_at" in str(plan)
    assert "TEMP B-TREE" not in str(plan) and "filesort" not in str(plan)


@ON_SQLITE
def test_the_list_opens_where_there_is_something(web: Web) -> None:
    ann = reader(web, "ann")
    page = ann.get("/records")
    assert "Nothing is coming up." in page and 'class="button" href="/request"' in page
    assert '<a href="/records?tab=upcoming" aria-current="page">' in page
    add(web, "R1", -DAY, "delivered", delivered_version=1)
    page = ann.get("/records")
    assert '<a href="/records?tab=recordings" aria-current="page">' in page and "R1" in page
    assert "Nothing is coming up." in ann.get("/records?tab=upcoming")
    assert "Готовых записей пока нет." in reader(web, "bob", "ru").get("/records?tab=recordings")


def picture(verdict: str, content: bytes) -> dict[str, str]:
    return {
        "at": START.isoformat(), "verdict": verdict, "jpeg": base64.b64encode(content).decode()
    }  # fmt: skip


def add_chunks(web: Web, record: int, *chunks: tuple[str, list[dict[str, str]] | None]) -> None:
    rows = [
        Chunk(
            record_id=record, start_at=utc(START) + n * HOUR, end_at=utc(START) + (n + 1) * HOUR,
            presence=verdict == "presentation", verdict=verdict, score=1.0, samples=1, reasons=[],
            pictures=None if pictures is None else json.dumps(pictures),
        )
        for n, (verdict, pictures) in enumerate(chunks)
    ]  # fmt: skip
    writing(web.site.engine, lambda session: session.add_all(rows))


@BOTH_DATABASES
def test_a_line_shows_the_first_slide(web: Web) -> None:
    with_slides, without, old = (add(web, name, -DAY, "failed") for name in "abc")
    add_chunks(
        web, with_slides,
        ("no_signal", [picture("no_signal", b"card")]),
        ("presentation", []),  # the recorder knew
        ("presentation", [picture("blank", b"blank"), picture("presentation", b"slide")]),
        ("presentation", [picture("presentation", b"later")]),
    )  # fmt: skip
    add_chunks(web, without, ("no_signal", [picture("no_signal", b"card")]), ("presentation", []))
    add_chunks(web, old, ("presentation", None))
    # The worker has kept one of the video.
    frame = json.dumps({"warnings": [], "picture": base64.b64encode(b"frame").decode()})
    board = add(web, "d", -2 * DAY, "delivered", delivered_version=1, report=frame)
    never = add(web, "of no version that people have", -2 * DAY, "failed", report=frame)
    found = previews(web.site.engine, [with_slides, without, old, board, never, 99])
    assert {record for record, seen in found.items() if seen.has_picture} == {with_slides, board}
    page = reader(web, "ann").get("/records?tab=recordings")
    assert re.findall(r'loading="lazy"[^>]* src="([^"]+)"', page) == [
        f"/api/v1/records/{record}/picture" for record in (with_slides, board)
    ]
    assert page.count('<svg class="thumbnail" aria-hidden="true"') == 3
    assert web.api("ann", "GET", f"/records/{board}/picture").data == b"frame"
    shown = web.api("ann", "GET", f"/records/{with_slides}/picture")
    assert (shown.data, shown.mimetype) == (b"slide", "image/jpeg")
    assert "private" in shown.headers["Cache-Control"]
    again = {"If-None-Match": shown.headers["ETag"]}
    assert (
        web.api("ann", "GET", f"/records/{with_slides}/picture", headers=again).status_code == 304
    )
    for record, who in ((without, "ann"), (old, "ann"), (never, "ann"), (with_slides, "bob")):
        assert web.api(who, "GET", f"/records/{record}/picture").status_code == 404


def test_a_line_says_how_many_warnings_there_are(web: Web) -> None:
    warnings = [to_json(Message("timeline.silence", seconds=n)) for n in range(2)]
    report = json.dumps({"warnings": ["a", "b"], "warning_messages": warnings})
    add(web, "warned", -DAY, "delivered", delivered_version=1, report=report)
    add(web, "fine", -DAY, "delivered", delivered_version=1, report=json.dumps({"warnings": []}))
    add(web, "of no version that people have", -DAY, "failed", report=report)
    add(web, "old", -DAY, "delivered", delivered_version=1)
    page = reader(web, "ann").get("/records?tab=recordings")
    assert page.count("warning-mark") == 1 and '<span class="unseen">2 warnings</span>' in page
    assert "1 h 0 min" in page.replace("\u00a0", " ") and "Requested by you" in page
    assert "Запросил(а) ann@example.org" in reader(web, "eve", "ru").get(
        "/records?whose=all&tab=recordings"
    )


def test_however_many_records_there_are_the_queries_are_as_few(web: Web) -> None:
    statements: list[str] = []
    event.listen(web.site.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

    def count(rows: int) -> int:
        """Add records that are made, and return with how many queries they are all shown."""
        for _ in range(rows):
            record = add(web, "x", -DAY, "running", stage="encode", progress=0.5, attempt=1)
            add_chunks(web, record, ("presentation", [picture("presentation", b"slide")]))
        ann = reader(web, "ann")
        ann.get("/records")  # when they were last seen is written once
        statements.clear()
        page = ann.get("/records")
        assert page.count('class="thumbnail" loading="lazy"') == page.count('<li class="record"')
        return len(statements)

    assert count(1) == count(7)


# --- several at once ------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(
    ("act", "status", "delivered", "will"),
    [
        ("cancel", "queued", None, "cancelled"),
        ("cancel", "running", None, "stopped"),
        ("cancel", "queued", 1, "version_cancelled"),
        ("cancel", "running", 1, "version_cancelled"),
        ("cancel", "running", 2, "not_cancelled"),  # what was delivered is put back
        ("cancel", "delivered", 2, "not_cancelled"),
        ("cancel", "failed", None, "not_cancelled"),
        ("delete", "queued", None, "deleted"),
        ("delete", "delivered", 2, "deleted"),
        ("delete", "running", 1, "not_deleted"),
    ],
)
def test_what_will_happen(act: str, status: str, delivered: int | None, will: str) -> None:
    record = {"status": status, "version": 2, "delivered_version": delivered}
    assert consequence(act, record) == will


@ON_SQLITE
def test_editors_cancel_several_at_once(web: Web) -> None:
    coming, going, done = (
        add(web, "Coming", DAY), add(web, "Going on", -DAY, "running"), add(web, "Done", -DAY, "failed")
    )  # fmt: skip
    eve = reader(web, "eve")
    here = "/records?whose=all&tab=upcoming"
    page = eve.get(here)
    assert page.count('type="checkbox" name="record"') == 2 and 'form="selected"' in page
    assert (
        '<form class="row selected" id="selected" method="get" action="/records/selected"' in page
    )
    assert 'type="checkbox"' not in reader(web, "ann").get("/records")
    assert 'type="checkbox"' in eve.get(f"/records/{coming}/row?select=1")
    assert 'type="checkbox"' not in eve.get(f"/records/{coming}/row")
    asked = f"/records/selected?act=cancel&back=/records%3Fwhose%3Dall&record={coming}&record={going}&record={done}&record=99&record=x"
    page = eve.get(asked)
    assert "Cancel 3 recordings?" in page and "Отменить 3 записи?" in reader(web, "eve", "ru").get(
        asked
    )
    for will in ("No video is made.", "Processing stops", "it isn't in progress"):
        assert will in page
    assert web.site.row(coming).status == "queued"  # it was only asked
    fields = {"act": "cancel", "record": [coming, going, done], "back": "/records?whose=all"}
    answer = eve.send(asked, "/records/selected", fields)
    assert answer.headers["Location"] == "/records?whose=all"
    page = eve.get("/records?whose=all")
    assert "2 recordings cancelled." in page and f"recording {done} " in page  # that it has ended
    assert [web.site.row(record).status for record in (coming, going, done)] == [
        "cancelled", "running", "failed",
    ]  # fmt: skip
    assert web.site.row(going).cancel_requested_at is not None


@ON_SQLITE
def test_editors_delete_several_at_once(web: Web) -> None:
    gone, stays = add(web, "Gone", -DAY, "failed"), add(web, "Stays", -DAY, "running")
    eve = reader(web, "eve")
    asked = f"/records/selected?act=delete&record={gone}&record={stays}"
    page = eve.get(asked)
    assert "It is deleted for everyone." in page and "cancel it first" in page
    fields = {"act": "delete", "record": [gone, stays], "back": "https://evil.example/records?"}
    answer = eve.send(asked, "/records/selected", fields)
    assert answer.headers["Location"] == "/records"
    assert told(web.api("eve", "GET", f"/records/{stays}"))["status"] == "running"
    assert web.api("eve", "GET", f"/records/{gone}").status_code == 404
    nothing = eve.get("/records/selected?act=delete")
    assert "No recordings are selected." in nothing and "Yes, delete" not in nothing
    assert "Yes, cancel" not in eve.get(f"/records/selected?act=cancel&record={gone}")
    eve.get("/records/selected?act=burn", 404)


@ON_SQLITE
def test_others_cannot(web: Web) -> None:
    record = add(web, "Mine", DAY)
    ann = reader(web, "ann")
    assert "Mine" not in ann.get(f"/records/selected?act=cancel&record={record}", 403)
    fields = {"act": "delete", "record": record}
    assert ann.send("/records", "/records/selected", fields).status_code == 403
    assert web.site.row(record).status == "queued"


@ON_SQLITE
def test_to_cancel_is_asked_first(web: Web) -> None:
    record = add(web, "Physics", DAY)
    ann = reader(web, "ann")
    assert f'href="/records/{record}/cancel"' in ann.get(f"/records/{record}")
    asked = f"/records/{record}/cancel"
    page = ann.get(asked)
    assert "Cancel this recording?" in page and "Physics" in page and "No, go back" in page
    assert web.site.row(record).status == "queued"
    assert "Recording cancelled." in ann.done(asked, asked)
    assert web.site.row(record).status == "cancelled"
    page = text_of(ann.client.get(asked))
    assert "it isn't in progress" in page and "Yes, cancel" not in page
