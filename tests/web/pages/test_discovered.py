"""The page of what was found, and what was said or written beside a record."""

from __future__ import annotations

from datetime import UTC, datetime

from merger.db.engine import writing
from merger.i18n import Message
from models import Offer, Record
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.pages.reader import reader

pytestmark = ON_SQLITE
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def offer(state: str, **values: object) -> Offer:
    return Offer(
        kind="zoom", origin=f"uuid {state}", place="12345678901", name=f"Lecture {state}",
        owner="prof@example.edu", start_at=NOON, end_at=NOON, state=state, offered_at=NOON, **values,
    )  # fmt: skip


def test_editors_see_what_was_found_and_why_nothing_came_of_it(web: Web) -> None:
    eve = reader(web, "eve")
    assert "Nothing has been discovered yet." in eve.get("/offers")
    record = web.site.ask() if web.site.add_room("z") is None else 0
    rows = [
        offer("record", record_id=record),
        offer("unplaced", reason=Message("discovered.no_room", address="zoom:12345678901")),
    ]
    writing(web.site.engine, lambda session: session.add_all(rows))
    page = eve.get("/offers")
    assert "Added: " in page and f'href="/records/{record}"' in page
    assert (
        "no room has a source with the address zoom:12345678901" in page
        and "prof@example.edu" in page
    )
    page = reader(web, "eve", "ru").get("/offers")
    assert "Нет подходящей аудитории" in page and "нет источника zoom:12345678901" in page
    assert 'href="/offers"' not in reader(web, "ann").get("/records")
    reader(web, "ann").get("/offers", status=403)


def test_papers_are_for_those_who_see_the_record(web: Web) -> None:
    web.site.add_room("z")
    record = web.site.ask(room="z", users=("ann@example.org",))
    names = ["chat-1.txt", "встреча 2.vtt"]
    folder = web.site.settings.data / "records" / str(record) / "papers"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(f"said in {name}")
    (folder / "other.txt").write_text("not of the record")
    writing(
        web.site.engine, lambda s: setattr(s.get_one(Record, record), "media", {"papers": names})
    )
    eve = reader(web, "eve")
    page = eve.get(f"/records/{record}")
    assert all(name in page for name in names)
    where = f"/api/v1/records/{record}/papers"
    got = eve.client.get(f"{where}/{names[1]}", buffered=True)
    got.close()
    assert got.text == f"said in {names[1]}" and got.content_type.startswith("text/plain")
    assert got.headers["Content-Disposition"].startswith("attachment")
    for name in ("other.txt", "..%2F..%2Fmerger.db", "none.txt"):
        assert eve.client.get(f"{where}/{name}").status_code == 404
    assert reader(web, "bob").client.get(f"{where}/{names[0]}").status_code == 404
