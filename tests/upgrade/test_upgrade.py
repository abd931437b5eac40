"""An installation of the version before is brought up to date: no row, no file and no link is lost.

The fixture was made by the code of that version: see make.py.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from merger.daemon.late_media import find_late_media
from merger.daemon.loop import Daemon
from merger.db import schema
from merger.db.key_file import MARK, KeyFile
from merger.live.raw_folder import RawFolder
from merger.live.raw_uploads import upload_raw_segments
from merger.notifications.sender import send_due
from merger.records.processing.queue import Claim
from merger.worker.run import run_record
from recorders.registry import kinds, recorder_of
from recorders.zoom.source import Zoom
from tests.daemon.crew import CLEAN, Hand
from tests.db.test_schema import PowerCut, power_cut
from tests.fakes.mail_server import mail_served
from tests.fakes.zoom import NUMBER, zoom_served
from tests.intake.test_zoom_webhook import Hooked
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.upgrade.conftest import Installation, Rows, put_off_the_queue
from tests.web.browsing import Browser

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MOVED = "web-secret"  # from the facts to the secrets
# What a migration has made something else of, by table and column: the tests below say what.
CONVERTED = {
    ("records", "calendar_id"), ("records", "event_id"), ("records", "idempotency_key"),
    ("sources", "address"), ("sources", "credentials"), ("calendars", "channel_token"),
}  # fmt: skip


@pytest.fixture
def upgraded(installation: Installation) -> Installation:
    installation.upgrade()
    return installation


def has(now: Any, before: Any, where: str = "") -> None:
    """All that was said before is said now; there may be more beside it."""
    if isinstance(before, dict):
        assert isinstance(now, dict), where
        for name, value in before.items():
            assert name in now, f"{where}: there is no {name}"
            has(now[name], value, f"{where}.{name}")
    elif isinstance(before, list):
        assert isinstance(now, list) and len(now) == len(before), where
        for n, value in enumerate(before):
            has(now[n], value, f"{where}.{n}")
    elif isinstance(before, float):
        assert now == pytest.approx(before), where
    else:
        assert now == before, where


def test_init_db_is_all_that_there_is_to_be_done(installation: Installation) -> None:
    site = installation.site
    done = site.command("init-db")
    assert done.returncode == 0, done.stderr
    assert site.command("init-db").stdout == "the tables are up to date\n"
    for arguments, before in installation.kept["commands"].items():
        has(json.loads(installation.run(*arguments.split(), "--json")), before, arguments)


@BOTH_DATABASES
def test_no_row_is_lost(installation: Installation) -> None:
    installation.upgrade()
    now = installation.rows()
    check_rows(now, installation.before)
    check_links(now, installation.before)
    check_secrets(now, installation.before, installation.site.settings.secret_file)
    # Who chose how often the screen is checked has it checked as before.
    decides = {(row["chunk_s"] == 1800, row["decide"], row["shows_both"]) for row in now["rooms"]}
    assert decides == {(True, "instant", 0), (False, "chunk", 0)}
    for row in (*now["sources"], *now["secrets"]):
        for name in ("address", "credentials", "value"):
            assert (row.get(name) or MARK).startswith(MARK)


@BOTH_DATABASES
def test_an_upgrade_that_is_cut_off_anywhere_is_run_again(installation: Installation) -> None:
    """Each time one statement later, from where the last one has left it."""
    for at in range(200):
        with power_cut(installation.site.engine, at):
            try:
                schema.upgrade(installation.site.engine)
                break
            except PowerCut:
                pass
    assert at > 3
    now = installation.rows()
    check_rows(now, installation.before)
    check_links(now, installation.before)
    check_secrets(now, installation.before, installation.site.settings.secret_file)


def check_links(now: Rows, before: Rows) -> None:
    """What keys and columns of records said of events stands in rows; other keys are as they were."""
    wanted, keys = [], {}
    for row in before["records"]:
        key = row["idempotency_key"]
        word, _, rest = (key or "").partition(" ")
        keys[row["id"]] = None if word in ("event", "kept") else key
        if row["event_id"] is None:
            continue
        mark = hashlib.sha256(f"{row['calendar_id']}\0{row['event_id']}".encode()).hexdigest()
        kept = [f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S.%f}" for at in rest.split()[1:]]
        # Another event may be where the one was for which a record was made.
        start, end = kept if word == "kept" and rest.startswith(mark) else (None, None)
        wanted.append(
            {
                "record_id": row["id"], "calendar_id": row["calendar_id"],
                "event_id": row["event_id"], "follows": 1 if word == "event" else None,
                "kept_start_at": start, "kept_end_at": end, "keeps_texts": None,
            }
        )  # fmt: skip
    assert sorted(now["event_links"], key=itemgetter("record_id")) == wanted
    assert {row["id"]: row["idempotency_key"] for row in now["records"]} == keys
    shapes = Counter((link["follows"], link["kept_start_at"] is None) for link in wanted)
    assert shapes.keys() == {(1, True), (None, False), (None, True)}
    assert len({key for key in keys.values() if key}) == 3


def check_secrets(now: Rows, before: Rows, file: Path) -> None:
    """Secrets are what they were, encrypted or not; that of sessions has moved."""
    keys = KeyFile(file)

    def read(rows: list[dict[str, Any]], *names: str) -> list[list[str | None]]:
        return [[row[name] and keys.decrypt(row[name]) for name in names] for row in rows]

    sources = read(before["sources"], "address", "credentials")
    assert read(now["sources"], "address", "credentials") == sources
    assert any(credentials for _, credentials in sources)
    channels = read(before["calendars"], "channel_token")
    assert read(now["calendars"], "channel_secret") == channels and channels
    [moved] = [row for row in before["facts"] if row["name"] == MOVED]
    assert [MOVED, moved["value"]] in read(now["secrets"], "name", "value")
    assert MOVED not in {row["name"] for row in now["facts"]}


# What the update itself writes down.
NOTED = ("hosts_from_before",)


def check_rows(now: Rows, before: Rows) -> None:
    assert sum(map(len, before.values())) > 500
    for table, rows in before.items():
        if table == "merger_version":
            continue
        rows = [row for row in rows if row.get("name") != MOVED]
        kept = [{name: row[name] for name in row if (table, name) not in CONVERTED} for row in rows]
        there = [row for row in now[table] if row.get("name") not in NOTED]
        found = [{name: row[name] for name in (kept or [{}])[0]} for row in there]
        assert len(found) == len(kept), table
        for row in kept:
            assert row in found, table


def test_no_file_is_lost(installation: Installation) -> None:
    before = installation.files()
    assert len(before) > 100
    installation.upgrade()
    now = installation.files()
    assert now.items() >= before.items() and now.keys() - before.keys() == {"secret.key"}
    installation.site.environ["MERGER_KEEP_SEGMENTS_DAYS"] = "3650"
    done = installation.site.command("keep-house")
    assert done.returncode == 0, done.stderr
    assert installation.files().items() >= before.items()


@BOTH_DATABASES
def test_all_is_told_as_before(upgraded: Installation) -> None:
    """Each record with its fields, history, warnings and errors; rooms, people, keys, offers."""
    documents = upgraded.kept["api"]
    records = documents["/records?limit=200"]["records"]
    assert {record["status"] for record in records} == {
        "queued", "running", "delivered", "failed", "cancelled",
    }  # fmt: skip
    kinds_of_events: set[str] = set()
    for path, before in documents.items():
        has(upgraded.said(path), before, path)
        kinds_of_events |= {event["kind"] for event in before.get("events", ())}
    assert len(kinds_of_events) == 24


def test_videos_papers_and_pictures_can_be_had(upgraded: Installation) -> None:
    web, wanted = upgraded.web, upgraded.kept["downloads"]
    kinds_of_files = Counter(path.split("/")[3] for path in wanted)
    assert kinds_of_files.keys() == {"renditions", "papers", "chunks", "sources"}
    for path, sha256 in wanted.items():
        answer = web.api("ada", "GET", path)
        assert answer.status_code == 200, path
        assert hashlib.sha256(answer.data).hexdigest() == sha256, path


def test_people_and_programs_get_in_as_before(
    upgraded: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, site, web = upgraded.kept, upgraded.site, upgraded.web
    for name, key in kept["keys"].items():
        shown = web.api(None, "GET", "/records?limit=200", headers={"key": key})
        assert shown.status_code == 200
        assert (len(shown.get_json()["records"]) == len(upgraded.before["records"])) == (
            name in ("eve", "ada")
        )
    assert web.api(None, "GET", "/records", headers={"key": kept["revoked"]}).status_code == 401
    for name in kept["keys"]:
        assert Browser(site).sign_in(f"{name}@example.org", kept["password"]).status_code == 303
    # A cookie says when it was signed, and the time of day is another one today.
    at_s = int(site.clock.timestamp())
    monkeypatch.setattr("itsdangerous.TimestampSigner.get_timestamp", lambda self: at_s)
    browser = Browser(site)
    browser.client.set_cookie("merger", kept["cookie"])
    [ann] = [user for user in upgraded.before["users"] if user["email"] == "ann@example.org"]
    assert (browser.who, ann["language"]) == (ann["id"], "ru")


def test_the_same_request_again_gets_the_first_answer(upgraded: Installation) -> None:
    before = upgraded.kept["asked_once"]
    answer = upgraded.web.api("ann", "POST", "/records", **before)
    assert answer.status_code == 201
    assert answer.get_json()["id"] == upgraded.record("Delivered")
    other = {**before, "json": {**before["json"], "event_name": "Another"}}
    assert upgraded.web.api("ann", "POST", "/records", **other).status_code == 422
    assert len(upgraded.rows()["records"]) == len(upgraded.before["records"])


# --- the service goes on --------------------------------------------------------------------------


def work_off(upgraded: Installation) -> None:
    """Have a daemon of today work off all that is due, and take back what its workers had."""
    site = upgraded.site

    def start(held: Claim) -> Hand:
        run_record(site.service, held, lambda: False)
        return Hand(held, CLEAN)

    daemon = Daemon(
        site.service, start, lambda: Hand(Claim(0, 0, "house"), CLEAN), "today",
    )  # fmt: skip
    for _ in range(100):
        started = daemon.look(site.clock)
        daemon.reap(site.clock)
        if not started:
            return
    raise AssertionError("the daemon does not end")


def statuses(upgraded: Installation) -> dict[int, tuple[str, int | None]]:
    """Return the status of each record, and which version of it people have."""
    return {
        record["id"]: (record["status"], record["delivered_version"])
        for record in upgraded.said("/records?limit=200")["records"]
    }


def test_what_was_in_the_queue_is_worked_to_the_end(upgraded: Installation) -> None:
    before = statuses(upgraded)
    with zoom_served() as zoom:  # which has forgotten everything
        upgraded.site.recorder_of = lambda kind: recorder_of(
            kinds(zoom=lambda: Zoom(zoom.account)), kind
        )
        upgraded.site.clock += HOUR
        work_off(upgraded)
    now = statuses(upgraded)
    changed = {record for record in now if now[record] != before[record]}
    assert {upgraded.said(f"/records/{record}")["name"]: now[record] for record in changed} == {
        "Queued": ("delivered", 1),
        "Left": ("delivered", 1),
        "Handed back at analyse": ("delivered", 1),
        "Handed back at plan": ("delivered", 1),
        "Handed back at encode": ("delivered", 1),
        "The share for videos is away": ("delivered", 1),
        "The disk is full": ("delivered", 1),
        "Lost": ("delivered", 1),
        "Tried again": ("delivered", 1),
        "Running": ("delivered", 1),
        "Running, and to be cancelled": ("cancelled", None),
        "Another version waits": ("delivered", 2),
        "To be put back": ("delivered", 1),
    }
    for record in changed:
        if now[record][0] == "delivered":
            told = upgraded.said(f"/records/{record}")
            there = {d["kind"] for d in told["deliveries"] if d["status"] == "delivered"}
            assert there == {r["kind"] for r in told["renditions"]}, told["name"]
    # What was ready is delivered as it was, and not made again.
    ready = f"/records/{upgraded.record('The share for videos is away')}/renditions/merge"
    data = upgraded.web.api("ada", "GET", ready).data
    assert hashlib.sha256(data).hexdigest() == upgraded.kept["downloads"][ready]


@ON_SQLITE
@pytest.mark.parametrize("name", ["Delivered", "Delivered twice", "Another version failed"])
def test_what_was_delivered_is_made_again(upgraded: Installation, name: str) -> None:
    put_off_the_queue(upgraded)
    path = f"/records/{upgraded.record(name)}"
    before = upgraded.said(path)
    links = {d["kind"]: d["link"] for d in before["deliveries"]}
    again = {"layout": "screen_large"}
    assert upgraded.web.api("eve", "POST", f"{path}/remerge", json=again).status_code == 200
    work_off(upgraded)
    now = upgraded.said(path)
    version = before["version"] + 1
    assert (now["status"], now["delivered_version"]) == ("delivered", version)
    assert now["error"] is None and now["layout"] == "screen_large"
    assert {d["kind"]: d["link"] for d in now["deliveries"]}.items() >= links.items()
    assert {d["version"] for d in now["deliveries"]} == {version}
    has(now["events"][: len(before["events"])], before["events"])
    video = upgraded.web.api("ann", "GET", f"{path}/renditions/merge").data
    assert Path(links["merge"]).read_bytes() == video
    assert (
        hashlib.sha256(video).hexdigest() != upgraded.kept["downloads"][f"{path}/renditions/merge"]
    )


@ON_SQLITE
def test_media_that_comes_late_is_used(upgraded: Installation) -> None:
    put_off_the_queue(upgraded)
    site, path = upgraded.site, f"/records/{upgraded.record('A gap')}"
    assert upgraded.said(path)["gaps"]
    site.film("screen", 4.0, 4.0, room="506", size=(64, 36), sound=False)
    site.clock += HOUR
    assert find_late_media(site.service, site.clock) == [upgraded.record("A gap")]
    work_off(upgraded)
    now = upgraded.said(path)
    assert (now["status"], now["version"], now["gaps"]) == ("delivered", 2, [])


def test_what_waits_in_the_outbox_is_sent_and_nothing_twice(upgraded: Installation) -> None:
    site = upgraded.site
    site.clock += 15 * MINUTE
    due = [
        row for row in upgraded.before["messages"]
        if row["status"] == "pending" and row["due_at"] <= f"{site.clock:%Y-%m-%d %H:%M:%S}"
    ]  # fmt: skip
    wanted = Counter(row["recipient"] for row in due if row["channel"] == "mail")
    assert len(wanted) > 3
    with mail_served() as server:
        site.environ |= {
            "MERGER_MAIL_SERVER": f"smtp://127.0.0.1:{server.port}",
            "MERGER_MAIL_FROM": "lectures@example.edu",
        }
        for _ in range(2):
            send_due(site.service, site.clock)
    assert Counter(str(mail["To"]) for mail in server.mails) == wanted
    statuses_now = {row["id"]: row["status"] for row in upgraded.rows()["messages"]}
    for row in upgraded.before["messages"]:
        is_mail = row["channel"] == "mail"
        after = {
            "pending": "sent" if is_mail and row in due else "pending",
            # Nobody knows whether it had gone when the program ended.
            "sending": "unknown" if is_mail else "pending",
        }
        assert statuses_now[row["id"]] == after.get(row["status"], row["status"]), row


def test_what_was_uploaded_is_not_uploaded_again(upgraded: Installation) -> None:
    site, before = upgraded.site, upgraded.files()
    raw = RawFolder(site.settings.destination, is_ours=True)
    upload_raw_segments(replace(site.service, raw_destinations=(raw,)), site.clock)
    assert upgraded.rows()["uploads"] == upgraded.before["uploads"]
    assert upgraded.files() == {**before, "uploads.lock": hashlib.sha256(b"").hexdigest()}


@ON_SQLITE
def test_a_meeting_that_is_told_again_has_its_record(upgraded: Installation) -> None:
    with zoom_served() as zoom:
        uuid = f"{'delivered':A<22}=="
        zoom.add_meeting(uuid, NUMBER, topic="Meeting: delivered")
        begin = upgraded.site.clock - 8 * HOUR
        zoom.add_file("active_speaker", begin, 3600, uuid=uuid)
        answer = Hooked(upgraded.site, zoom).tell(uuid=uuid)
    assert answer.get_json()["record"] == upgraded.record("Meeting: delivered")
    assert len(upgraded.rows()["offers"]) == len(upgraded.before["offers"])
