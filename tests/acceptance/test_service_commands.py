"""The commands of the service as people and programs use them: one after the other, on both databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MOSCOW
from tests.render.test_time import check_instants
from tests.support.databases import ON_MARIADB, ON_SQLITE, PASSWORD, USER, MariaDB
from tests.support.site import Site
from tests.support.truth import frames_seen

# Of a day that is over whatever this machine's clock says.
BEGIN = datetime(2024, 11, 20, 10, 0, 5, tzinfo=MOSCOW)
SPAN = ("--start", "2024-11-20T10:00:05", "--end", "2024-11-20T10:00:13")
SECRET = "strictly-confidential"

ROOMS = """
rooms:
  - name: "504"
    zone: Europe/Moscow
    sources:
      - { name: camera, role: speaker, kind: testpattern, address: "testpattern:?segment=15s&rate=25" }
      - { name: slides, role: screen, kind: testpattern, address: "testpattern:?segment=15s&rate=25" }
  - name: Hörsaal 5
    zone: Europe/Berlin
    sources:
      - { name: camera, role: speaker, kind: folder, address: /srv/recordings }
"""


@dataclass
class Desk:
    """Where somebody types commands. Whatever they print, a password is never part of it."""

    site: Site
    secrets: tuple[str, ...] = (PASSWORD, SECRET)
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        before = dict(self.site.environ)
        self.site.environ |= environ
        try:
            works = arguments[:1] in (("daemon",), ("merge",))  # for long, and writes a log
            done = (self.site.command if works else self.site.run)(*arguments)
        finally:
            self.site.environ = before
        everything = done.stdout + done.stderr
        assert "Traceback" not in everything
        for secret in self.secrets:
            assert secret not in everything
        self.said.append(everything)
        return done

    def ok(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "" or arguments[0] == "daemon"
        return done.stdout.rstrip("\n")

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *arguments: str, code: int = 2, **environ: str) -> str:
        """Run a command that must fail, and say so in the object, too; return the sentence."""
        done = self.run(*arguments, *([] if "init-db" in arguments else ["--json"]), **environ)
        assert done.returncode == code, done.stderr
        [sentence] = done.stderr.splitlines()
        if "init-db" in arguments:
            assert done.stdout == ""
        else:
            said = json.loads(done.stdout)
            assert said["status"] == "failed" and said["error"]["code"]
            assert sentence == f"app.py: {said['error']['message']}"
        return sentence


@pytest.fixture
def desk(tmp_path: Path, database_url: str) -> Iterator[Desk]:
    """An installation in which nothing was done yet: a database without tables."""
    site = Site(tmp_path, database_url)
    yield Desk(site)
    site.engine.dispose()


@pytest.fixture
def room(desk: Desk) -> Desk:
    """With tables, and two rooms."""
    desk.ok("init-db")
    file = desk.site.folder / "rooms.yaml"
    file.write_text(ROOMS)
    desk.ok("rooms", "import", str(file))
    return desk


def request(desk: Desk, *arguments: str) -> str:
    return desk.ok("request", "--room", "504", *SPAN, "--profile", "540p", *arguments)


@ON_SQLITE
def test_from_nothing_to_a_video(desk: Desk) -> None:
    assert "python app.py init-db" in desk.refused("records", code=1)
    assert desk.ok("init-db").startswith("applied 0001, 0002")
    assert desk.ok("init-db") == "the tables are up to date"
    assert desk.ok("rooms") == "no rooms; add some with: python app.py rooms import FILE.yaml"
    assert desk.ok("records") == "no recordings"
    file = desk.site.folder / "rooms.yaml"
    file.write_text(ROOMS)
    tried = desk.ok("rooms", "import", str(file), "--dry-run").splitlines()
    assert desk.json("rooms") == {"rooms": []}
    done = desk.ok("rooms", "import", str(file)).splitlines()
    assert tried == [f"would have {line}" for line in done]
    assert done[0].startswith("added room '504' (Europe/Moscow")
    assert len(done) == 5
    assert desk.ok("rooms", "import", str(file)) == "no changes"
    assert [room["name"] for room in desk.json("rooms")["rooms"]] == ["504", "Hörsaal 5"]
    assert "speaker: camera (folder, /srv/recordings)" in desk.ok("rooms")

    assert request(desk, "--name", "Лекция", "--user", "Ann@example.org") == "recording 1"
    assert request(desk, "--user", "bob@example.org") == "recording 1 (already requested)"
    again = desk.json("request", "--room", "504", *SPAN, "--profile", "540p")
    assert (again["id"], again["is_new"], again["status"]) == (1, False, "queued")
    assert again["users"] == ["ann@example.org", "bob@example.org"]
    assert again["start"] == "2024-11-20T10:00:05+03:00"
    desk.ok("daemon", "--once")
    shown = desk.json("show", "1")
    assert (shown["status"], shown["version"], shown["attempt"]) == ("delivered", 1, 1), shown
    assert (shown["warnings"], shown["error"]) == ([], None)
    files = {d["kind"]: Path(d["link"]) for d in shown["deliveries"]}
    assert files["merge"].name == "Лекция_504_2024-11-20_10-00-10-00.mp4"
    assert sorted(desk.site.merged.iterdir()) == sorted(files.values())
    frames = frames_seen(files["merge"], wanted=range(0, 200, 20))
    assert len(frames) == 10
    check_instants(frames, BEGIN)
    page = desk.ok("show", "1").splitlines()
    assert page[0] == "recording 1: Лекция"
    assert any("requested by ann@example.org, bob@example.org" in line for line in page)
    assert any(str(files["merge"]) in line for line in page)
    assert page[-1].endswith("Ready: delivered")
    table = desk.ok("records").splitlines()
    assert table[0].split() == ["ID", "STATUS", "ROOM", "START", "END", "NAME"]
    expected = ["1", "delivered", "504", "2024-11-20", "10:00:05", "10:00:13", "Лекция"]
    assert table[1].split() == expected
    assert [r["id"] for r in desk.json("records")["records"]] == [1]
    desk.ok("daemon", "--once")  # nothing to do
    assert desk.json("show", "1") == shown
    assert "was delivered; nothing failed" in desk.refused("retry", "1")
    assert "already delivered" in desk.refused("cancel", "1")


@ON_MARIADB
@pytest.mark.rarely("on MariaDB, as on SQLite")
def test_from_nothing_to_a_video_on_a_server(desk: Desk) -> None:
    """The same in short: what the commands say is the same on either database."""
    assert "python app.py init-db" in desk.refused("records", code=1)
    for words in ("applied 0001, 0002", "the tables are up to date"):
        assert desk.ok("init-db").startswith(words)
    file = desk.site.folder / "rooms.yaml"
    file.write_text(ROOMS)
    assert desk.ok("rooms", "import", str(file)).startswith("added room '504'")
    assert desk.ok("rooms", "import", str(file)) == "no changes"
    for is_new in (True, False):
        asked = desk.json(
            "request", "--room", "504", *SPAN, "--profile", "540p", "--name", "Лекция"
        )
        assert (asked["id"], asked["is_new"], asked["name"]) == (1, is_new, "Лекция")
    assert "did you mean 'Hörsaal 5'" in desk.refused("request", "--room", "Horsaal 5", *SPAN)
    desk.ok("daemon", "--once")
    assert any(
        "_504_2024-11-20_10-00-10-00.mp4" in line for line in desk.ok("show", "1").splitlines()
    )
    assert desk.json("records")["records"][0]["status"] == "delivered"
    assert "already delivered" in desk.refused("cancel", "1")
    assert len(list(desk.site.merged.iterdir())) == 2


@ON_SQLITE
def test_cancelled_and_asked_for_again(room: Desk) -> None:
    far = ("--start", "2024-11-20T12:00", "--end", "2024-11-20T13:00")
    request(room)
    assert room.ok("cancel", "1") == "recording 1 is cancelled"
    assert "already cancelled" in room.refused("cancel", "1")
    assert room.json("records", "--status", "cancelled")["records"][0]["id"] == 1
    # Asked for anew, it is another record; by hand, the old one is taken up again.
    assert request(room) == "recording 2"
    assert room.ok("cancel", "2") == "recording 2 is cancelled"
    assert room.ok("retry", "1") == "recording 1 is queued again"
    assert room.json("show", "1")["status"] == "queued"
    assert [e["kind"] for e in room.json("show", "1")["events"]] == [
        "asked",
        "cancelled",
        "retried",
    ]
    assert room.json("cancel", "1") == {"id": 1, "status": "cancelled"}
    assert room.json("retry", "1") == {"id": 1, "status": "queued"}
    assert room.json("request", "--room", "504", *far, "--key", "k1")["id"] == 3
    assert room.json("request", "--room", "504", *far, "--key", "k1")["id"] == 3
    for other in ([*far, "--layout", "screen_large"], SPAN):
        assert "used for another request" in room.refused(
            "request", "--room", "504", *other, "--key", "k1"
        )


@ON_SQLITE
def test_a_record_of_the_future_waits(room: Desk) -> None:
    tomorrow = datetime.now(MOSCOW) + timedelta(days=1)
    start, end = (
        (tomorrow + timedelta(hours=h)).replace(microsecond=0).isoformat() for h in (0, 1)
    )
    asked = room.json("request", "--room", "504", "--start", start, "--end", end)
    assert asked["run_after"] == asked["end"] == end
    room.ok("daemon", "--once")
    assert room.json("show", "1")["attempt"] == 0
    assert f"queued for {end[:10]}" in room.ok("records")


REFUSED = [
    (["request", "--room", "504", "--start", "2024-11-20T10:00", "--end", "2024-11-20T09:00"], "is not after --start"),
    (["request", "--room", "504", "--start", "2024-11-20T10:00", "--end", "2024-11-21T10:01"], "24 hours"),
    (["request", "--room", "504", "--start", "2999-11-20T10:00", "--end", "2999-11-20T11:00"], "more than a year"),
    (["request", "--room", "Hörsaal 5", "--start", "2024-03-31T02:30", "--end", "2024-03-31T05:00"], "does not exist in Europe/Berlin"),
    (["request", "--room", "Horsaal 5", *SPAN], "there is no room 'Horsaal 5'; did you mean 'Hörsaal 5'?"),
    (["request", "--room", "nowhere", *SPAN], "there is no room 'nowhere'; the choices are 504, Hörsaal 5"),
    (["request", "--room", "504", *SPAN, "--layout", "pyramid"], "--layout: 'pyramid' is not one of"),
    (["request", "--room", "504", *SPAN, "--user", "not an address"], "'not an address' isn't a valid email address"),
    (["request", "--room", "504", *SPAN, "--name", "x" * 256], "longer than 255 characters"),
    (["request", "--room", "504"], "--start"),
    (["records", "--status", "finished"], "'finished' is not a status; choose one of queued, running, delivered"),
    (["records", "--room", "5O4"], "there is no room '5O4'; did you mean '504'?"),
    (["show", "77"], "there is no recording 77"),
    (["retry", "77"], "there is no recording 77"),
    (["rooms", "import", "/nonexistent.yaml"], "/nonexistent.yaml"),
]  # fmt: skip


@ON_SQLITE
def test_mistakes_of_people_get_a_sentence(room: Desk) -> None:
    before = room.site.said("records"), room.site.said("rooms")
    for arguments, words in REFUSED:
        assert words in room.refused(*arguments), arguments
    done = room.run()  # for people: the same, without the object
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("app.py: ") and "COMMAND" in done.stderr
    assert (room.site.said("records"), room.site.said("rooms")) == before


@ON_SQLITE
def test_a_file_of_rooms_that_makes_no_sense_changes_nothing(room: Desk) -> None:
    before = room.json("rooms")
    file = room.site.folder / "bad.yaml"
    file.write_text(
        ROOMS.replace("Europe/Berlin", "Europe/Berlln").replace("role: screen", "role: scren")
    )
    sentence = room.refused("rooms", "import", str(file))
    assert "did you mean 'Europe/Berlin'" in sentence and "scren" in sentence  # both at once
    assert room.json("rooms") == before
    file.write_text(ROOMS.replace("/srv/recordings", "/mnt/recordings"))
    changes = room.json("rooms", "import", str(file), "--dry-run")
    assert changes["dry_run"] and len(changes["changes"]) == 1
    assert (
        "'/srv/recordings'" in changes["changes"][0]
        and "'/mnt/recordings'" in changes["changes"][0]
    )
    assert room.json("rooms", "--json", "import", str(file))["changes"] == changes["changes"]
    assert room.ok("rooms", "import", str(file)) == "no changes"


@ON_SQLITE
def test_an_import_that_removes_says_so_and_waits_for_leave(room: Desk) -> None:
    before, file = room.json("rooms"), room.site.folder / "less.yaml"
    slides = next(line for line in ROOMS.splitlines(keepends=True) if "role: screen" in line)
    file.write_text(ROOMS.replace(slides, "").replace("Europe/Berlin", "Europe/Rome"))
    sentence = room.refused("rooms", "import", str(file))
    assert "source 'slides' of room" in sentence and "--remove" in sentence
    assert room.json("rooms") == before
    tried = room.run("rooms", "import", str(file), "--dry-run")
    assert tried.returncode == 0 and "--remove" in tried.stderr
    assert "would have removed source 'slides'" in tried.stdout
    assert "removed source 'slides'" in room.ok("rooms", "import", str(file), "--remove")
    assert room.ok("rooms", "import", str(file)) == "no changes"


@ON_SQLITE
def test_credentials_go_in_and_never_come_out(room: Desk) -> None:
    file = room.site.folder / "camera.yaml"
    file.write_text(
        "rooms:\n  - name: Secret\n    zone: UTC\n    sources:\n"
        "      - { name: camera, role: speaker, kind: folder, address: /srv, credentials_env: CAMERA }\n"
    )
    assert "credentials_env" in room.refused("rooms", "import", str(file))
    done = room.run("rooms", "import", str(file), CAMERA=SECRET)
    assert done.returncode == 0, done.stderr
    room.json("rooms")
    room.ok("rooms")
    assert room.json("request", "--room", "Secret", *SPAN)["id"] == 1
    room.ok("daemon", "--once")
    shown = room.json("show", "1")
    assert shown["status"] == "failed" and shown["error"]["code"] == "credentials"
    room.ok("show", "1")
    room.run("check")
    done = room.run("rooms", "import", str(file), CAMERA=f"{SECRET}-2")
    assert done.returncode == 0 and "credentials" in done.stdout
    assert any("Secret" in said for said in room.said)


@ON_SQLITE
def test_check_says_what_is_missing(desk: Desk) -> None:
    done = desk.run("check")
    assert done.returncode == 1 and "python app.py init-db" in done.stdout
    desk.ok("init-db")
    done = desk.run("check")
    assert "python app.py rooms import" in done.stdout
    file = desk.site.folder / "rooms.yaml"
    file.write_text(ROOMS.partition("  - name: Hörsaal")[0])
    desk.ok("rooms", "import", str(file))
    done = desk.run("check", "--json")
    findings = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    assert findings["database"]["level"] == findings["schema"]["level"] == "ok"
    levels = {f["level"] for f in findings.values()}
    assert done.returncode == (1 if "broken" in levels else 0)
    assert levels <= {"ok", "warning"}, findings
    missing = str(desk.site.folder / "not mounted")
    done = desk.run("check", MERGER_OUTPUT=missing)
    assert done.returncode == 1 and missing in done.stdout


WRONG = [
    f"mysql+pymysql://{USER}:{SECRET}@127.0.0.1", f"mysql+pymysql://{USER}:{SECRET}@127.0.0.1:x/d",
    f"mysql+pymysql://{USER}:{SECRET}@more@127.0.0.1/d", f"postgresql://{USER}:{SECRET}@127.0.0.1/d",
    f"{SECRET}", f"mysql+pymysql:/{USER}:{SECRET}@127.0.0.1/d",
]  # fmt: skip


@ON_SQLITE
@pytest.mark.parametrize("address", WRONG)
def test_an_address_of_a_database_that_makes_no_sense(desk: Desk, address: str) -> None:
    sentence = desk.refused("records", SQLALCHEMY_DATABASE_URI=address)
    assert "SQLALCHEMY_DATABASE_URI" in sentence
    assert not (desk.site.folder / "data").exists()


@ON_SQLITE
def test_several_wrong_settings_are_told_at_once(desk: Desk) -> None:
    sentence = desk.refused("records", MERGER_LEASE="soon", MERGER_WORKERS="0")
    assert "MERGER_LEASE" in sentence and "MERGER_WORKERS" in sentence


@ON_MARIADB
def test_a_server_that_does_not_want_us(desk: Desk, mariadb: MariaDB) -> None:
    """Or is not there, or does not know the database: the operator reads which, and no password."""
    database = desk.site.url.rpartition("/")[2]
    wrong = {
        f"mysql+pymysql://{USER}:{SECRET}@127.0.0.1:{mariadb.port}/{database}": "refuses access",
        f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{mariadb.port}/nobodys": "CREATE DATABASE `nobodys`",
        f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:1/{database}": "cannot be reached",
    }
    for address, words in wrong.items():
        assert words in desk.refused("init-db", code=1, SQLALCHEMY_DATABASE_URI=address)
        done = desk.run("check", SQLALCHEMY_DATABASE_URI=address)
        assert done.returncode == 1 and words in done.stdout


@ON_SQLITE
def test_tables_that_are_missing_or_of_another_program(desk: Desk) -> None:
    for command in (
        ["records"],
        ["rooms"],
        ["show", "1"],
        ["request", "--room", "504", *SPAN],
        ["daemon", "--once"],
    ):
        done = desk.run(*command)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].endswith(
            "has no tables yet; run: python app.py init-db"
        )
    assert desk.site.engine.url.database is not None
    with desk.site.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE wordpress (id INTEGER)")
    for command in (["records"], ["init-db"]):
        assert "tables of another program" in desk.refused(*command, code=1)


def test_without_settings_it_works_in_the_home_folder(tmp_path: Path) -> None:
    """A newcomer sets nothing at all: SQLite, made where the documentation says."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MERGER_", "SQLALCHEMY_"))}
    environ |= {"HOME": str(tmp_path)}
    root = Path(__file__).parents[2]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "app.py", *arguments]
        return subprocess.run(command, cwd=root, env=environ, text=True, capture_output=True)

    assert run("init-db").returncode == 0
    assert run("records").stdout == "no recordings\n"
    assert (tmp_path / ".local/share/lecture-merger/merger.db").is_file()
