"""What workers write down of pictures that stood, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from merger.accounts.permissions import SCOPES_OF, Principal
from merger.analysis.own_screens import Described
from merger.db.engine import reading, writing
from merger.errors import Conflict, Invalid, NotFound
from merger.records.processing.leases import Lease
from merger.records.processing.queue import Claim
from merger.records.stills import learning, questions, remaking
from merger.records.stills.learning import Seen
from merger.timeline.clock import utc
from models import Record, RecordUser, Still, StillSighting, User
from tests.analysis.test_own_screens import Bgr, desktop, kept, slide
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.support.filmed import DAY, HOUR, put
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

MINUTE = timedelta(minutes=1)
LECTURES = ((0, 0), (1, 2), (2, 4), (3, 0))  # days, and hours of the day


def seen(described: Described, length: timedelta = 2 * MINUTE, *, edge: bool = True) -> Seen:
    return Seen(described, length, edge, False)


def lecture(site: Site, day: int, hour: int, owner: int) -> Lease:
    """Add a record that a worker holds; return what it may do."""
    at = utc(START) + day * DAY + hour * HOUR
    record = put(site, start_at=at, end_at=at + HOUR, status="running", attempt=1)
    writing(
        site.engine,
        lambda session: session.add(RecordUser(record_id=record, user_id=owner, position=0)),
    )
    return Lease(site.engine, Claim(record, 1, "tests"), lambda: site.clock)


@pytest.fixture
def room(site: Site) -> tuple[Site, list[int]]:
    site.add_room()

    def add(session: Session) -> list[int]:
        people = [User(email=f"{name}@example.org", role="user") for name in ("ann", "bob")]
        session.add_all(people)
        session.flush()
        return [person.id for person in people]

    return site, writing(site.engine, add)


@pytest.fixture(scope="module")
def pictures() -> dict[str, Described]:
    clocks = {f"desktop {n}": desktop(f"{9 + n}:0{n}") for n in range(4)}
    drawn: dict[str, Bgr] = {**clocks, "title": slide("Limits, of sequences")}
    return {name: kept(picture) for name, picture in drawn.items()}


def stills(site: Site) -> list[Still]:
    with reading(site.engine) as session:
        return list(session.scalars(select(Still).options(undefer(Still.differed)).order_by(Still.id)))  # fmt: skip


def learn(room: tuple[Site, list[int]], pictures: dict[str, Described]) -> list[Lease]:
    """Four lectures of two people begin with the desktop; those of one with a title slide, too."""
    site, people = room
    leases = []
    for n, (day, hour) in enumerate(LECTURES):
        lease = lecture(site, day, hour, people[n % 2])
        shown = [seen(pictures[f"desktop {n}"])] + [seen(pictures["title"])] * (n % 2)
        learning.save_stills(lease, shown, {}, [])
        leases.append(lease)
    return leases


def editor(site: Site, user: int) -> Principal:
    return Principal(user, "eve@example.org", "editor", SCOPES_OF["editor"])


@BOTH_DATABASES
def test_what_comes_back_is_asked_about_answered_and_undone(
    room: tuple[Site, list[int]], pictures: dict[str, Described]
) -> None:
    site, people = room
    leases = learn(room, pictures)
    by = editor(site, people[0])
    own, title = stills(site)
    assert own.asked_at is not None and title.asked_at is None
    assert questions.count_open(site.engine) == 1
    (question,) = questions.list_stills(site.engine)
    assert (question["id"], question["days"], question["seconds"]) == (own.id, 4, 480)
    assert question["to_remake"] == 0 and learning.load_own_cards(leases[0]) == []

    questions.answer(site.engine, own.id, "desktop", by, site.clock)
    with pytest.raises(Conflict):
        questions.answer(site.engine, own.id, "lock", by, site.clock)
    assert questions.count_open(site.engine) == 0
    (card,) = learning.load_own_cards(leases[0])
    assert (card.name, card.kind) == (str(own.id), "desktop")

    def deliver(session: Session) -> None:
        for row in session.scalars(select(Record)):
            row.status, row.delivered_version = "delivered", 1

    writing(site.engine, deliver)
    assert questions.get_still(site.engine, own.id)["to_remake"] == 4
    remade = remaking.remake(site.engine, own.id, by, site.clock)
    assert remade.records == [lease.record for lease in leases] and not remade.refused
    assert site.row(leases[0].record).version == 2

    # Decided anew, it matters to none; a lecture in which it is seen for the first time counts, too.
    for lease in (*leases, lecture(site, 5, 0, people[0])):
        writing(site.engine, lambda session, lease=lease: _hold(session, lease.record))
        learning.save_stills(lease, [], {own.id: MINUTE}, [card])
    writing(site.engine, deliver)
    assert questions.get_still(site.engine, own.id)["to_remake"] == 0
    questions.answer(site.engine, own.id, None, by, site.clock)
    assert questions.get_still(site.engine, own.id)["to_remake"] == 5
    assert questions.count_open(site.engine) == 1 and learning.load_own_cards(leases[0]) == []


def _hold(session: Session, record: int) -> None:
    row = session.get_one(Record, record)
    row.status, row.attempt = "running", 1


@ON_SQLITE
def test_an_attempt_that_is_made_again_counts_once(
    room: tuple[Site, list[int]], pictures: dict[str, Described]
) -> None:
    site, people = room
    lease = lecture(site, 0, 0, people[0])
    for name in ("desktop 0", "desktop 1", "desktop 1"):
        learning.save_stills(lease, [seen(pictures[name])] * 2, {}, [])
    (still,) = stills(site)
    assert still.compared == 0  # with itself it has nothing to compare
    with reading(site.engine) as session:
        (sighting,) = session.scalars(select(StillSighting)).all()
    assert sighting.seconds == 240


@ON_SQLITE
def test_what_an_editor_calls_a_presentation_is_never_asked_about_again(
    room: tuple[Site, list[int]], pictures: dict[str, Described]
) -> None:
    site, people = room
    leases = learn(room, pictures)
    own = stills(site)[0].id
    questions.answer(site.engine, own, "presentation", editor(site, people[0]), site.clock)
    learning.save_stills(lecture(site, 7, 0, people[1]), [seen(pictures["desktop 2"])], {}, [])
    assert learning.load_own_cards(leases[0]) == [] and questions.count_open(site.engine) == 0
    assert questions.get_still(site.engine, own)["to_remake"] == 0


@ON_SQLITE
def test_slides_in_the_middle_are_not_kept(
    room: tuple[Site, list[int]], pictures: dict[str, Described]
) -> None:
    site, people = room
    shown: Sequence[Seen] = [seen(pictures["title"], edge=False)]
    learning.save_stills(lecture(site, 0, 0, people[0]), shown, {}, [])
    assert stills(site) == []


@ON_SQLITE
def test_what_nobody_was_asked_about_is_forgotten(
    room: tuple[Site, list[int]], pictures: dict[str, Described], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, people = room
    learn(room, pictures)
    monkeypatch.setattr(learning, "MOST_STILLS", 0)  # there is room for none
    own, title = stills(site)
    learning.save_stills(lecture(site, 4, 0, people[0]), [], {}, [])
    assert [still.id for still in stills(site)] == [own.id]
    del title
    later = utc(START) + 4 * DAY + learning.KEPT + DAY
    writing(site.engine, lambda session: learning.forget_stills(session, later))
    assert [still.id for still in stills(site)] == [own.id]

    def unask(session: Session) -> None:
        session.get_one(Still, own.id).asked_at = None

    writing(site.engine, unask)
    with pytest.raises(NotFound):
        questions.get_still(site.engine, own.id)
    writing(site.engine, lambda session: learning.forget_stills(session, later - 30 * DAY))
    assert len(stills(site)) == 1
    writing(site.engine, lambda session: learning.forget_stills(session, later))
    assert stills(site) == []


@ON_SQLITE
def test_an_answer_is_one_of_the_choices(room: tuple[Site, list[int]]) -> None:
    site, people = room
    with pytest.raises(Invalid):
        questions.answer(site.engine, 1, "blank", editor(site, people[0]), site.clock)
