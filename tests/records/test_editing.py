"""People change what they have: texts, who has it, and what their history says of who did what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from merger.accounts.external import Requester
from merger.accounts.permissions import Principal, granted_scopes
from merger.db.engine import reading, writing
from merger.delivery import ledger
from merger.errors import Conflict, Forbidden, Invalid, InvalidFields, NotFound
from merger.records import actions, requests, views
from merger.records.browse import lists
from merger.records.edit import LONGEST_DESCRIPTION, Edit, edit_record
from models import EventLink, Notification, Record, RecordUser, User
from tests.support.databases import ON_SQLITE
from tests.support.line import HOUR, NOON, Line

pytestmark = ON_SQLITE

ANN, BOB, EVE = "ann@example.edu", "bob@example.edu", "eve@example.edu"


def ask(line: Line, *users: str, name: str = "Algebra", by: Principal | None = None) -> int:
    request = requests.Request("504", NOON - HOUR, NOON, name, users=users, asked_by=by)
    return requests.request_record(line.engine, request, line.clock)[0]


def principal(line: Line, email: str, role: str = "user") -> Principal:
    with reading(line.engine) as session:
        user = session.scalars(select(User.id).where(User.email == email)).one_or_none()
    return Principal(user or 999, email, role, granted_scopes(role))


def change(line: Line, by: str = ANN, role: str = "user", **edit: Any) -> bool:
    texts = {
        name: edit.pop(name) for name in ("name", "description", "course_code") if name in edit
    }
    who = principal(line, by, role)
    return edit_record(line.engine, 1, Edit(texts, **edit), line.clock, who, None)


def users_of(line: Line) -> list[str]:
    return list(views.record_details(line.engine, 1)["users"])


def deliver(line: Line, **changes: Any) -> None:
    ledger.complete_record(line.lease(line.claimed()), None, 0)


# --- own titles -----------------------------------------------------------------------------------


def test_whoever_requests_it_too_keeps_their_title(line: Line) -> None:
    ask(line, ANN)
    assert ask(line, BOB, EVE, name="Matrices") == 1
    titles = {
        email: views.record_details(line.engine, 1, reader=principal(line, email).user)
        for email in (ANN, BOB, EVE)
    }
    assert {e: one["title"] for e, one in titles.items()} == {
        ANN: "Algebra", BOB: "Matrices", EVE: "Matrices",
    }  # fmt: skip
    assert {one["name"] for one in titles.values()} == {"Algebra"}
    found, _ = lists.page_of_records(
        line.engine, lists.Filter(text="matri", reader=principal(line, BOB).user)
    )
    assert [one["title"] for one in found] == ["Matrices"]
    assert lists.page_of_records(line.engine, lists.Filter(text="matri"))[0] == []


@pytest.mark.parametrize("name", ["", "  ", "Algebra"])
def test_without_another_name_there_is_no_title(line: Line, name: str) -> None:
    ask(line, ANN)
    ask(line, BOB, name=name)
    with reading(line.engine) as session:
        assert set(session.scalars(select(RecordUser.title))) == {None}


def test_mails_have_the_title_of_whoever_gets_them(line: Line) -> None:
    ask(line, ANN)
    ask(line, BOB, name="Matrices")
    deliver(line)
    with reading(line.engine) as session:
        facts = {n.recipient: n.facts["name"] for n in session.scalars(select(Notification))}
    assert facts == {"": "Algebra", ANN: "Algebra", BOB: "Matrices"}


# --- texts ----------------------------------------------------------------------------------------


def test_what_was_not_begun_is_just_changed(line: Line) -> None:
    ask(line, ANN, BOB)
    assert change(line, name=" New\u202e name ", description="One\r\ntwo ", course_code="M1")
    row = line.row()
    assert (row.event_name, row.description, row.course_code) == ("New name", "One\ntwo", "M1")
    assert (row.status, row.is_outdated) == ("queued", False)
    assert not change(line, name="New name")
    assert [text for kind, text in line.told() if kind == "edited"] == [
        f"{ANN} renamed it: New name",
        f"{ANN} changed the description",
        f"{ANN} changed the course: M1",
    ]
    assert change(line, description="")
    assert line.row().description is None


def test_what_was_delivered_is_brought_up_to_date(line: Line) -> None:
    ask(line, ANN)
    deliver(line)
    line.set(error_code="x")
    assert change(line, name="New")
    row = line.row()
    assert (row.status, row.stage, row.is_outdated) == ("queued", "deliver", True)
    assert (row.version, row.error_code) == (1, "x")
    with pytest.raises(Conflict, match="just getting its new name"):
        actions.cancel(line.engine, 1, line.clock)
    lease = line.lease(line.claimed())
    ledger.complete_update(lease, lease.load_job())
    row = line.row()
    assert (row.status, row.is_outdated, row.error_code) == ("delivered", False, "x")
    assert line.events()[-1] == "updated"


def test_what_is_changed_while_it_is_delivered_is_delivered_again(line: Line) -> None:
    """The worker has read the old name: what it writes must not hide that there is another."""
    ask(line, ANN)
    lease = line.lease(line.claimed())
    seen = lease.load_job()
    change(line, name="New")
    assert line.row().status == "running"
    ledger.complete_record(lease, None, 0, seen)
    row = line.row()
    assert (row.status, row.stage, row.is_outdated) == ("queued", "deliver", True)
    assert row.delivered_version == 1
    lease = line.lease(line.claimed())
    ledger.complete_update(lease, lease.load_job())
    assert (line.row().status, line.row().is_outdated) == ("delivered", False)


def test_what_is_changed_before_it_is_read_is_delivered_once(line: Line) -> None:
    ask(line, ANN)
    lease = line.lease(line.claimed())
    change(line, name="New")
    ledger.complete_record(lease, None, 0, lease.load_job())
    assert (line.row().status, line.row().is_outdated) == ("delivered", False)


def test_a_new_version_that_fails_leaves_the_new_name_to_be_written(line: Line) -> None:
    ask(line, ANN)
    deliver(line)
    actions.remerge(line.engine, 1, line.clock, layout="speaker_only")
    change(line, name="New")
    assert line.row().status == "queued" and line.row().version == 2
    actions.cancel(line.engine, 1, line.clock)
    row = line.row()
    assert (row.status, row.stage, row.version, row.event_name) == ("queued", "deliver", 1, "New")
    assert row.layout == "side_by_side"


def test_an_update_that_failed_is_tried_again_and_makes_nothing_anew(line: Line) -> None:
    ask(line, ANN)
    deliver(line)
    change(line, name="New")
    line.lease(line.claimed()).fail(Invalid("x", "no rights"))
    row = line.row()
    assert (row.status, row.is_outdated, row.error_code) == ("delivered", True, "x")
    actions.retry(line.engine, 1, line.clock)
    row = line.row()
    assert (row.status, row.stage, row.version) == ("queued", "deliver", 1)


@pytest.mark.parametrize(
    ("edit", "fields"),
    [
        ({"name": " "}, {"name"}),
        ({"name": "x" * 256, "course_code": "x" * 256}, {"name", "course_code"}),
        (
            {"description": "x" * (LONGEST_DESCRIPTION + 1), "users": ["x"]},
            {"description", "users"},
        ),
        ({"users": [BOB]}, {"users"}),
        ({"removed": [ANN]}, {"users"}),
        ({"added": [f"{n}@example.edu" for n in range(101)]}, {"users"}),
    ],
)
def test_what_cannot_be_is_told_of_each_field(
    line: Line, edit: dict[str, Any], fields: set[str]
) -> None:
    ask(line, ANN, BOB)
    before = line.dump()
    with pytest.raises(InvalidFields) as caught:
        change(line, **edit)
    assert caught.value.fields.keys() == fields
    assert line.dump() == before


def test_a_text_keeps_its_lines(line: Line) -> None:
    ask(line, ANN)
    change(line, description="  a\r\n\r\nb\u202e \rc\x00\n\n")
    assert line.row().description == "a\n\nb\nc"


def test_an_event_no_longer_renames_what_people_have_named(line: Line) -> None:
    ask(line, ANN)

    def link(session: Any) -> None:
        session.add(EventLink(record_id=1, calendar_id="c", event_id="e", follows=True))

    writing(line.engine, link)
    change(line, description="x", name="Mine")
    with reading(line.engine) as session:
        kept = session.get_one(EventLink, 1)
        assert kept.keeps_texts and kept.follows


# --- who may, and who has it ----------------------------------------------------------------------


def test_the_owner_and_editors_may(line: Line) -> None:
    ask(line, ANN, BOB)
    with pytest.raises(Forbidden, match=f"only the owner of recording 1, {ANN}, or an editor"):
        change(line, BOB, name="x")
    with pytest.raises(NotFound):
        change(line, EVE, name="x")
    assert change(line, EVE, "editor", name="x")


def test_people_are_added_and_removed(line: Line) -> None:
    ask(line, ANN, BOB)
    assert change(line, users=[EVE, ANN])
    assert users_of(line) == [ANN, EVE]
    assert change(line, added=[BOB, EVE], removed=["nobody@example.edu"])
    assert users_of(line) == [ANN, EVE, BOB]
    assert not change(line, users=[ANN, BOB, EVE])
    assert [text for kind, text in line.told() if kind == "edited"] == [
        f"{ANN} removed {BOB}", f"{ANN} added {EVE}", f"{ANN} added {BOB}",
    ]  # fmt: skip
    with reading(line.engine) as session:
        assert sorted(session.scalars(select(RecordUser.position))) == [0, 1, 2]


def test_who_is_removed_hears_of_it_no_more(line: Line) -> None:
    ask(line, ANN, BOB)
    deliver(line)
    change(line, removed=[BOB])
    with reading(line.engine) as session:
        assert set(session.scalars(select(Notification.recipient))) == {"", ANN}


def test_people_from_outside_confirm_as_when_they_are_named_in_a_request(line: Line) -> None:
    ask(line, ANN)
    who = principal(line, ANN)
    naming = Requester(who.user, None, ("example.edu",), 1)

    def add(*users: str) -> bool:
        return edit_record(line.engine, 1, Edit(added=users), line.clock, who, naming)

    assert add("one@example.org")
    assert views.record_details(line.engine, 1)["unconfirmed_users"] == ["one@example.org"]
    with pytest.raises(Invalid, match="1"):
        add("two@example.org")
    with pytest.raises(Invalid, match="mail can reach"):
        add("x@y")


# --- who did what ---------------------------------------------------------------------------------


def cancels(line: Line, who: Principal) -> None:
    actions.cancel(line.engine, 1, line.clock, by=who)


def stops(line: Line, who: Principal) -> None:
    line.claimed()
    actions.cancel(line.engine, 1, line.clock, by=who)


def retries(line: Line, who: Principal) -> None:
    actions.cancel(line.engine, 1, line.clock)
    actions.retry(line.engine, 1, line.clock, asked_by=who)


def remerges(line: Line, who: Principal) -> None:
    deliver(line)
    actions.remerge(line.engine, 1, line.clock, asked_by=who)


def leaves(line: Line, who: Principal) -> None:
    actions.withdraw(line.engine, 1, line.clock, who.user, by=who)


def joins(line: Line, who: Principal) -> None:
    ask(line, "new@example.edu", by=principal(line, "new@example.edu"))


def shares(line: Line, who: Principal) -> None:
    ask(line, ANN, EVE, by=who)


@pytest.mark.parametrize(
    ("act", "kind", "text"),
    [
        (cancels, "cancelled", f"cancelled by {ANN} before it started"),
        (stops, "cancel", f"cancellation requested by {ANN}"),
        (retries, "retried", f"queued again by {ANN}"),
        (remerges, "remerged", f"{ANN} requested a new version: side_by_side, "),
        (leaves, "left", f"{ANN} removed it from their recordings"),
        (joins, "joined", "new@example.edu requested it, too"),
        (shares, "joined", f"{ANN} added {EVE}"),
    ],
)
def test_the_history_tells_who(
    line: Line, act: Callable[[Line, Principal], None], kind: str, text: str
) -> None:
    ask(line, ANN, BOB)
    act(line, principal(line, ANN))
    [event] = [e for e in views.record_details(line.engine, 1)["events"] if e["kind"] == kind]
    assert event["text"].startswith(text)
    assert event["params"].get("email") in (ANN, "new@example.edu")


def test_the_operator_is_nobody(line: Line) -> None:
    ask(line, ANN)
    actions.cancel(line.engine, 1, line.clock)
    assert line.told()[-1] == ("cancelled", "cancelled before it started")


# --- what mails tell of a new version -------------------------------------------------------------


def test_each_is_told_what_is_new_to_them(line: Line) -> None:
    ask(line, ANN, BOB)
    deliver(line)
    ask(line, EVE)
    actions.remerge(line.engine, 1, line.clock, end=NOON - timedelta(minutes=30))
    deliver(line)
    with reading(line.engine) as session:
        told = session.scalars(select(Notification).where(Notification.version == 2))
        changes = {n.recipient: [c["key"] for c in n.facts["changes"]] for n in told}
    shorter = ["mail.changed.shorter"]
    assert changes == {"": shorter, ANN: shorter, BOB: shorter, EVE: []}


def test_a_row_of_before_is_not_outdated(line: Line) -> None:
    ask(line, ANN)
    with reading(line.engine) as session:
        row = session.get_one(Record, 1)
        assert (row.description, row.is_outdated) == (None, False)
