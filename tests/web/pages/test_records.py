"""The pages of records: a list, one of them, and what can be done with it."""

from __future__ import annotations

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.errors import Forbidden, Refused, Temporary
from merger.i18n import Message, render, sentences, verbatim
from merger.records import actions, lookup
from merger.records.processing import queue
from merger.timeline.clock import utc
from models import Chunk, Delivery, Notification
from tests.conftest import START, seconds
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.markup import check_markup
from tests.web.pages.reader import LECTURE, error_at, reader, text_of, value_of

pytestmark = ON_SQLITE


def test_records_of_others_do_not_exist(web: Web) -> None:
    web.site.ask(users=("ann@example.org",), name="Of Ann")
    bob, eve = reader(web, "bob"), reader(web, "eve")
    assert "Page not found" in bob.get("/records/1", 404)
    for part in ("row", "status"):
        bob.get(f"/records/1/{part}", 404)
    for action in ("cancel", "retry", "remerge", "delete"):
        assert bob.send("/records", f"/records/1/{action}").status_code == 404
    for path in ("/records", "/records?whose=all", "/records?q=Ann", "/rooms"):
        assert "Of Ann" not in bob.get(path)
    assert "Of Ann" not in eve.get("/records") and "Of Ann" in eve.get("/records?whose=all")
    assert "Of Ann" in eve.get("/records/1")
    assert web.site.events() == ["asked"]


def test_records_are_searched(web: Web) -> None:
    web.site.add_room("Aula")
    for n, (name, room) in enumerate((("Algebra", "504"), ("Calculus", "Aula"))):
        web.site.ask(
            6 + 86400 * n, 86400 * n, name=name, room=room, users=("ann@example.org",)
        )  # fmt: skip
    ann = reader(web, "ann")
    ann.done("/records/2", "/records/2/cancel")

    def found(query: str) -> list[str]:
        return [name for name in ("Algebra", "Calculus") if name in ann.get(f"/records?{query}")]

    assert found("") == ["Algebra", "Calculus"]
    assert found("q=alg") == ["Algebra"]
    assert found("room=Aula") == ["Calculus"]
    assert found("status=queued") == ["Algebra"]
    assert found("day=2026-11-21") == ["Calculus"]
    assert found("q=alg&room=Aula") == []
    assert "No recordings match your filters." in ann.get("/records?q=nothing")
    assert "'soon' isn't a valid date" in ann.get("/records?day=soon", 422)
    ann.get("/records?room=Nowhere", 422)
    ann.get("/records?cursor=nonsense", 422)


def test_a_part_of_a_name_is_found_whatever_its_case(web: Web) -> None:
    web.site.ask(users=("ann@example.org",), name="Матанализ и ЁЛКИ")
    for text in ("матан", "МАТАН", "ёлки", "Ёл"):
        assert "Матанализ" in reader(web, "ann").get(f"/records?q={text}"), text
    assert "Матанализ" not in reader(web, "ann").get("/records?q=механика")


@pytest.mark.parametrize(
    ("language", "long"), [("en", "At most 255 characters"), ("ru", "Не больше 255 знаков")]
)
def test_what_is_searched_for_is_short(web: Web, language: str, long: str) -> None:
    ann = reader(web, "ann", language)
    assert long in error_at(ann.get(f"/records?q={'x' * 60_000}", 422), "q")
    name = "x has no pictures from a to b" * 1000
    page = ann.get(f"/records?room={name}", 422)
    with pytest.raises(Refused) as refused:
        lookup.room_zone(web.site.engine, name)
    assert render(language, refused.value.message) in page
    assert page.count("has no pictures") == 0  # nothing is repeated


def test_many_records_have_pages(web: Web) -> None:
    for n in range(30):
        web.site.ask(6 + 60 * n, 60 * n, name=f"Lecture <{n}>", users=("ann@example.org",))
    ann = reader(web, "ann")
    page = ann.get("/records?q=Lecture")
    assert page.count('class="record"') == 25 and "Lecture <29>" in page
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following and "q=Lecture" in following[1]
    page = ann.get(following[1])
    assert page.count('class="record"') == 5 and "Lecture <0>" in page
    assert 'rel="next"' not in page and 'href="/records?q=Lecture"' in page


def test_a_record_leads_back_to_the_search_that_it_was_found_by(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    ann = reader(web, "ann")
    answer = ann.send("/records?status=queued", "/records/1/cancel")
    assert answer.headers["Location"] == "/records?status=queued"
    assert ann.send("/records/1", "/records/1/retry").headers["Location"] == "/records/1"


def held(web: Web) -> queue.Claim:
    claim = web.site.claim()
    assert claim is not None
    return claim


def progress(web: Web, claim: queue.Claim, stage: str, share: float, after_s: float) -> None:
    web.site.clock += seconds(after_s)
    web.site.lease(claim).enter_stage(stage)
    web.site.lease(claim).renew(timedelta(minutes=1), share)


def test_a_record_that_is_made_says_how_far_it_is(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    ann, russian = reader(web, "ann"), reader(web, "ann", "ru")
    claim = held(web)
    progress(web, claim, "analyse", 0.5, 10)
    row = ann.get("/records/1/row")
    assert '<progress max="100" value="15"' in row and "Analysing the screen" in row
    assert "left" not in row  # too early to say
    assert 'data-refresh="/records/1/row" data-every="3"' in row
    progress(web, claim, "encode", 0.25, 50)
    assert "39%, about 3 min left" in ann.get("/records/1/status")
    assert "39\u00a0%, осталось около 3 мин" in russian.get("/records/1/status")
    assert "осталось около 3 мин" in russian.get("/records")
    page = ann.done("/records/1", "/records/1/cancel")
    assert "Stopping. This takes a few seconds." in page
    web.site.lease(claim).cancel()
    row = ann.get("/records/1/row")
    assert "Cancelled" in row and "data-refresh" not in row and "/records/1/retry" in row


def test_a_record_that_waits_says_for_what(web: Web) -> None:
    web.site.clock = utc(START)
    web.site.ask(users=("ann@example.org",), until_s=600)
    ann = reader(web, "ann")
    row = ann.get("/records/1/row")
    assert "Scheduled; processing starts after the lecture" in row and 'data-every="30"' in row
    web.site.clock += seconds(700)
    assert "In the queue" in ann.get("/records/1/row")
    waits = Message("history.waits", sources="speaker", until="11:11")
    web.site.lease(held(web)).wait_for_media(web.site.clock + seconds(3600), waits)
    assert "Media may still arrive; next check: Fri 20 Nov 2026, 11:11" in ann.get("/records/1/row")
    web.site.clock += seconds(3600)
    error = Temporary("source_away", "the share is away")
    again = web.site.clock + seconds(60)
    web.site.lease(held(web)).defer(again, error)
    page = ann.get("/records/1")
    assert "next attempt: Fri 20 Nov 2026, 11:12" in page
    assert "the share is away" in page and "What to do:" in page
    assert "/records/1/retry" in page and "/records/1/cancel" in page


def test_a_failed_record_says_why_and_what_to_do(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    web.site.clock += timedelta(days=3)
    assert web.site.work() == "failed"
    page = reader(web, "ann").get("/records/1")
    assert "Failed" in page and ">Nothing was recorded at that time</h2>" in page
    assert "no media from speaker, screen" in page and "recording 1, error no_media" in page
    assert "Check the time and the room." in page
    page = reader(web, "ann", "ru").get("/records/1")
    assert "среди собранного нет материала" in page and "Проверьте время и аудиторию." in page


@pytest.fixture
def merged(web: Web) -> Web:
    """A record that is delivered, with a gap."""
    web.site.film("speaker", 0, 12)
    web.site.film("screen", 0, 20)
    web.site.ask(20, users=("ann@example.org",), name="Databases")
    assert web.site.work() == "delivered"
    return web


def test_a_delivered_record_is_shown_with_all_that_is_known_of_it(merged: Web) -> None:
    page = reader(merged, "ann").get("/records/1")
    assert '<video controls preload="metadata" src="/api/v1/records/1/renditions/merge"' in page
    assert 'href="/api/v1/records/1/renditions/backup?download=true"' in page
    assert "1 warning" in page and "speaker has no pictures from 10:00:12 to 10:00:20" in page
    # The timeline: the gap is the last 40 %, as a picture and in words.
    assert 'x="60.0%"' in page and 'class="bar gap"' in page
    there = "/api/v1/records/1/renditions/merge#t=12.0"
    assert f'<td><a href="{there}" data-t="12.0">10:00:12</a></td><td>10:00:20</td>' in page
    assert f'<a href="{there}" data-t="12.0" tabindex="-1"' in page  # the bar of the gap
    assert page.count('class="chunk"') == 2 and "presentation" in page
    for chunk in merged.site.details()["chunks"]:
        for picture in chunk.get("pictures", []):
            assert f"{picture['at'][11:19]}: presentation" in page
    assert "Download the video (MP4, " in page
    # Paths of the server help editors alone.
    assert str(merged.site.folder) not in page
    page = reader(merged, "eve").get("/records/1")
    assert page.count(str(merged.site.merged)) >= 2 and f'href="{merged.site.merged}' not in page
    assert "started by tests" in page and "Make a new version" in page
    russian = reader(merged, "ann", "ru").get("/records/1")
    assert "1 предупреждение" in russian
    assert "speaker: нет картинки с 10:00:12 до 10:00:20" in russian


def test_why_a_chunk_was_decided_so_is_read_in_any_language(merged: Web) -> None:
    page = reader(merged, "ann").get("/records/1")
    assert "10 s: presentation (nothing says that it is none)" in page
    russian = reader(merged, "ann", "ru").get("/records/1")
    assert "10 с: презентация (ничто не говорит о том, что это не презентация)" in russian
    [first, _] = merged.site.details()["chunks"]
    assert first["reasons"] == ["10 s: presentation (nothing says that it is none)"]
    assert first["reason_messages"][0]["key"] == "analysis.reason_for"


def test_why_a_chunk_was_decided_before_messages_had_keys(merged: Web) -> None:
    old = "5 x presentation: more than one colour, and matches no card"

    def write(session: Session) -> None:
        session.execute(update(Chunk).values(reasons=[old]))

    writing(merged.site.engine, write)
    russian = reader(merged, "ann", "ru").get("/records/1")
    assert f'<span lang="en">{old}</span>' in russian
    assert merged.site.details()["chunks"][0]["reasons"] == [old]


def test_only_addresses_of_the_web_become_links(merged: Web) -> None:
    def give(link: str) -> str:
        def write(session: Session) -> None:
            session.execute(update(Delivery).values(link=link))

        writing(merged.site.engine, write)
        return reader(merged, "ann").get("/records/1")

    assert '<a href="https://drive.example.org/x"' in give("https://drive.example.org/x")
    page = give("javascript:alert(1)")
    assert "javascript:alert(1)" not in page
    page = reader(merged, "eve").get("/records/1")
    assert 'href="javascript' not in page and "javascript:alert(1)" in page


def test_a_record_is_merged_again(merged: Web) -> None:
    ann = reader(merged, "ann")
    page = ann.get("/records/1")
    assert value_of(page, "start") == "2026-11-20T10:00"
    assert value_of(page, "end") == "2026-11-20T10:00:20"
    again = {
        "start": "2026-11-20T10:00", "end": "2026-11-20T10:00:20", "layout": "side_by_side",
        "profile": "tiny",
    }  # fmt: skip

    def wrong(**changes: str) -> str:
        return ann.wrong("/records/1", "/records/1/remerge", {**again, **changes})

    assert "The end must be after the start" in error_at(wrong(end="2026-11-20T09:00"), "end")
    assert "at most 24 hours" in error_at(wrong(end="2026-11-22T09:00"), "end")
    assert "write it like" in error_at(wrong(start="soon"), "start")
    assert "Choose one" in wrong(layout="pyramid")
    assert merged.site.row().version == 1
    new = {**again, "layout": "speaker_only", "end": "2026-11-20T10:00:10"}
    page = ann.done("/records/1", "/records/1/remerge", new)
    assert "New version requested." in page and "<video" in page
    row = merged.site.row()
    assert (row.version, row.layout, row.profile) == (2, "speaker_only", "tiny")
    assert row.end_at == utc(START + seconds(10)) and row.start_at == utc(START)
    assert merged.site.work() == "delivered"
    assert "Ready" in ann.get("/records/1")


def test_who_watches_has_something_else_shown_beside_the_speaker(merged: Web) -> None:
    ann = reader(merged, "ann")
    [decision] = merged.site.details()["decisions"]
    assert decision["right"] == "screen" and "Choose what to show instead" in ann.get("/records/1")
    assert '<option value="both">Board and slide</option>' in ann.get("/records/1")
    wanted = {"start-0": decision["start"], "end-0": decision["end"], "right-0": "speaker"}
    path = "/records/1/overrule"
    page = ann.done("/records/1", path, {**wanted, "right-0": ""})
    assert "Nothing was changed." in page and merged.site.row().version == 1
    assert "New version requested." in ann.done("/records/1", path, wanted)
    assert merged.site.work() == "delivered"
    [decision] = merged.site.details()["decisions"]
    assert (decision["right"], decision["reason"]) == ("speaker", "chosen by hand")
    assert {scene["right"] for scene in merged.site.details()["scenes"]} == {None}
    assert "Nothing was changed." in ann.done("/records/1", path, wanted)
    # It stays in later versions, until it is taken back.
    actions.remerge(merged.site.engine, 1, merged.site.clock, layout="side_by_side_16x9")
    assert merged.site.work() == "delivered"
    assert merged.site.details()["decisions"][0]["right"] == "speaker"
    ann.done("/records/1", path, {**wanted, "right-0": ""})
    assert merged.site.details()["overrules"] == []


def test_another_version_begins_at_the_second_of_two_times(web: Web) -> None:
    """In the night in which clocks are put back, a form keeps which of them is meant."""
    web.site.add_room("Berlin", zone="Europe/Berlin")
    ann = reader(web, "ann")
    night = {"date": "2026-10-25", "start": "02:30", "end": "03:30", "start_which": "second"}
    ann.done("/request", "/request", {**LECTURE, "room": "Berlin", **night})
    ann.done("/records/1", "/records/1/cancel")
    start, end = "2026-10-25T02:30", "2026-10-25T03:30"
    again = {"start": start, "end": end, "start_which": "second", "end_which": ""}
    again |= {"layout": "speaker_only", "profile": "720p"}
    page = ann.get("/records/1")
    assert 'data-which="start">' in page and 'data-which="end" hidden' in page
    assert '<option value="second" selected>' in page
    page = ann.wrong("/records/1", "/records/1/remerge", {**again, "end": "2026-10-25T02:45"})
    assert "02:45 happens twice in Europe/Berlin" in error_at(page, "end")
    assert 'data-which="end">' in page and page.count('value="second" selected') == 1
    ann.done("/records/1", "/records/1/remerge", again)
    assert web.site.details()["start"] == "2026-10-25T02:30:00+01:00"
    ann.done("/records/1", "/records/1/cancel")
    ann.done("/records/1", "/records/1/remerge", {**again, "start_which": "first"})
    assert web.site.details()["start"] == "2026-10-25T02:30:00+02:00"


def test_why_somebody_was_not_told_is_marked_as_what_it_is(web: Web) -> None:
    """A mail server speaks English; the page says so to whoever has it read aloud."""
    why = sentences([verbatim("550 no such user here"), Message("notifications.interrupted")])
    web.site.ask(users=("ann@example.org",))
    message = Notification(
        identity="1" * 64, record_id=1, version=1, kind="ready", channel="mail",
        recipient="ann@example.org", status="failed", due_at=START, created_at=START, facts={},
        error_message=why,
    )  # fmt: skip
    writing(web.site.engine, lambda session: session.add(message))
    page = reader(web, "ann", "ru").get("/records/1")
    assert '(<span lang="en">550 no such user here</span>; <span>программа завершилась' in page
    page = reader(web, "ann").get("/records/1")
    assert "(<span>550 no such user here</span>; <span>the program stopped while" in page


def test_what_cannot_be_done_now_is_refused(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    ann = reader(web, "ann")
    as_it_is = {
        "start": "2026-11-20T10:00", "end": "2026-11-20T10:00:06", "layout": "speaker_only",
        "profile": "tiny",
    }  # fmt: skip
    assert ann.send("/records/1", "/records/1/remerge", as_it_is).status_code == 409
    ann.done("/records/1", "/records/1/cancel")
    refused = ann.send("/records/1", "/records/1/cancel")
    assert refused.status_code == 409 and "Not possible right now" in refused.text
    check_markup(refused.text, "en")


def test_what_people_type_is_shown_as_they_typed_it(web: Web) -> None:
    name = "<script>alert('x')</script> & \"Матан\""
    ann = reader(web, "ann")
    ann.done("/request", "/request", {**LECTURE, "name": name})
    for path in ("/records", "/records/1", "/records/1/row"):
        assert "<script>alert" not in ann.client.get(path).text
        assert name in ann.get(path)


def test_who_joins_a_record_cannot_stop_or_replace_it(merged: Web) -> None:
    merged.site.ask(20, users=("bob@example.org",))
    ann, bob, eve = reader(merged, "ann"), reader(merged, "bob"), reader(merged, "eve")
    again = {
        "start": "2026-11-20T10:00", "end": "2026-11-20T10:00:20", "layout": "speaker_only",
        "profile": "tiny",
    }  # fmt: skip
    before = merged.site.row()
    for there, may in ((ann, True), (bob, False), (eve, True)):
        assert ("/records/1/remerge" in there.get("/records/1")) == may
    refused = bob.send("/records/1", "/records/1/remerge", again)
    assert refused.status_code == 403
    assert "You can remove it from your recordings" in text_of(refused)
    assert merged.site.row().version == before.version == 1
    ann.done("/records/1", "/records/1/remerge", again)
    for path in ("/records/1", "/records/1/row", "/records/1/status", "/records", "/rooms"):
        for there, may in ((ann, True), (bob, False)):
            assert ("/records/1/cancel" in there.get(path)) == may, path
    assert bob.send("/records/1", "/records/1/cancel").status_code == 403
    assert merged.site.row().status == "queued"
    with pytest.raises(Forbidden) as refusal:
        actions.cancel(merged.site.engine, 1, merged.site.clock, merged.ids["bob"])
    page = text_of(reader(merged, "bob", "ru").send("/records/1", "/records/1/cancel"))
    assert render("ru", refusal.value.message) in page
    eve.done("/records/1", "/records/1/cancel")


def test_a_record_is_changed_on_its_page(web: Web) -> None:
    web.site.ask(20, users=("ann@example.org", "bob@example.org"))
    ann, bob = reader(web, "ann"), reader(web, "bob")
    assert "/records/1/edit" not in bob.get("/records/1")
    typed = {
        "name": "Rings", "description": "One <b>\nTwo", "course_code": "",
        "users": "eve@example.org", "users_before": "bob@example.org",
    }  # fmt: skip
    web.site.ask(20, users=("ada@example.org",))  # while the form is open: stays
    page = ann.done("/records/1", "/records/1/edit", typed)
    assert "<h1>Rings</h1>" in page and "One <b>\nTwo" in page
    users = ["ann@example.org", "ada@example.org", "eve@example.org"]
    assert web.site.details()["users"] == users
    bad = {**typed, "name": "", "users": "x@y, eve@example.org", "users_before": ""}
    page = ann.wrong("/records/1", "/records/1/edit", bad)
    assert "x@y" in page and "isn't a valid email address" in page
    page = ann.wrong("/records/1", "/records/1/edit", {**bad, "users": ""})
    assert "This field is required" in page
    assert web.site.details()["name"] == "Rings"
    moved = {"start": "2026-11-20T15:00", "end": "2026-11-20T16:00"}
    ann.done("/records/1", "/records/1/edit", {**typed, **moved, "users": "", "users_before": ""})
    assert web.site.details()["start"] == "2026-11-20T15:00:00+03:00"
    page = ann.wrong("/records/1", "/records/1/edit", {**typed, **moved, "end": "2026-11-20T14:00"})
    assert "2026-11-20T14:00" in page and web.site.details()["end"] == "2026-11-20T16:00:00+03:00"


def test_each_reads_the_title_that_they_gave_it(web: Web) -> None:
    web.site.ask(20, users=("ann@example.org",), name="Algebra")
    web.site.ask(20, users=("bob@example.org",), name="Matrices")
    for path in ("/records", "/records/1", "/records/1/row"):
        assert "Matrices" in reader(web, "bob").get(path)
        assert "Matrices" not in reader(web, "ann").get(path)
    assert "Algebra" in reader(web, "bob").get("/records/1")


def test_who_is_left_with_a_record_owns_it(web: Web) -> None:
    web.site.ask(users=("ann@example.org", "bob@example.org"))
    bob = reader(web, "bob")
    assert "/records/1/cancel" not in bob.get("/records/1")
    reader(web, "ann").done("/records/1", "/records/1/delete")
    assert "Recording cancelled." in bob.done("/records/1", "/records/1/cancel")


def test_local_time_is_that_of_the_room(web: Web) -> None:
    web.site.add_room("Aula", zone="America/New_York")
    asked = {**LECTURE, "room": "Aula"}
    page = reader(web, "ann").done("/request", "/request", asked)
    assert "Fri 20 Nov 2026, 10:05–11:20 (America/New_York)" in re.sub(r"<[^>]+>", "", page)
    start = web.site.row().start_at
    assert start.astimezone(ZoneInfo("America/New_York")).hour == 10
