"""What other users of the machine, and whoever gets a copy of the database, find out: nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from merger.db.engine import reading, writing
from models import Room, Source
from tests.support.site import Site
from tests.web.conftest import Web

HIDDEN = "s3cr3t"
ADDRESS = f"rtsp://192.0.2.10/stream1?token={HIDDEN}"
CREDENTIALS = f"viewer:{HIDDEN}"


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An installation as a newcomer makes it: the database is in the data folder."""
    made = Site(tmp_path, f"sqlite:///{tmp_path / 'data' / 'merger.db'}")
    yield made
    made.engine.dispose()


def done(site: Site, *arguments: str) -> str:
    """Run a command that must succeed; return what it prints."""
    ended = site.run(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.rstrip("\n")


def stopped(site: Site, *arguments: str) -> str:
    """Run a command that must fail; return why it did."""
    ended = site.run(*arguments)
    assert ended.returncode == 1, ended.stdout
    [why] = ended.stderr.splitlines()[-1:]
    return why


def add_camera(site: Site) -> None:
    """Add a room behind the service's back, as versions of before wrote it."""

    def add(session: Any) -> None:
        room = Room(name="504", zone="Europe/Moscow")
        room.sources = [
            Source(name="camera", role="speaker", kind="rtsp", address=ADDRESS,
                   credentials=CREDENTIALS)
        ]  # fmt: skip
        session.add(room)

    writing(site.engine, add)


def camera(site: Site) -> Any:
    with reading(site.service.engine) as session:
        return session.execute(select(Source.address, Source.credentials)).one()


def modes(site: Site) -> dict[str, int]:
    data = site.settings.data
    return {
        str(path.relative_to(data)): path.stat().st_mode & 0o777 for path in (data, *data.iterdir())
    }


def in_files(site: Site) -> bool:
    """Return whether a secret stands in a file of the data folder."""
    files = [path for path in site.settings.data.rglob("*") if path.is_file()]
    return any(HIDDEN.encode() in path.read_bytes() for path in files)


NAMES = ("merger.db", "merger.db-shm", "merger.db-wal", "secret.key")
PRIVATE = {".": 0o700, **dict.fromkeys(NAMES, 0o600)}


def test_nobody_else_reads_a_new_installation(site: Site) -> None:
    done(site, "init-db")
    with site.engine.connect() as connection:  # the files beside the database stay as long as that
        connection.exec_driver_sql("SELECT 1")
        done(site, "records")
        assert modes(site) == PRIVATE


def test_what_others_could_read_is_closed_at_the_start(site: Site) -> None:
    done(site, "init-db")
    with site.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        for name, mode in PRIVATE.items():
            (site.settings.data / name).chmod(mode | (mode >> 3) | 0o044)
        said = site.said("check", "--here")["findings"]
        paths = {f["params"]["path"] for f in said if f["key"] == "monitoring.open"}
        assert paths == {str(site.settings.data / name) for name in PRIVATE}
        done(site, "records")
        assert modes(site) == PRIVATE
        assert not any(
            f["key"] == "monitoring.open" for f in site.said("check", "--here")["findings"]
        )


def test_what_was_there_before_is_encrypted(site: Site) -> None:
    """What the service knows stays the same, and the files tell none of it any more."""
    done(site, "init-db")
    site.settings.secret_file.unlink()
    with site.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM secrets")
    add_camera(site)
    assert in_files(site)
    said = done(site, "init-db").splitlines()
    assert said[0] == "the tables are up to date"
    assert said[1].startswith("encrypted 2 secrets; back up the key file")
    assert not in_files(site)
    assert tuple(camera(site)) == (ADDRESS, CREDENTIALS)
    assert done(site, "init-db") == "the tables are up to date"
    site.engine.dispose()


def test_rooms_are_read_back_as_before(site: Site) -> None:
    done(site, "init-db")
    web = Web(site)
    web.add("eve", "editor")
    source = {"name": "camera", "role": "speaker", "kind": "rtsp",
              "address": ADDRESS, "credentials": CREDENTIALS}  # fmt: skip
    body = {"name": "504", "zone": "Europe/Moscow", "sources": [source]}
    room = web.api("eve", "POST", "/rooms", json=body).get_json()
    [shown] = room["sources"]
    assert (shown["address"], shown["has_credentials"]) == (ADDRESS, True)
    assert "credentials" not in shown
    path = f"/rooms/{room['id']}"
    changed = web.api("eve", "PATCH", path, json={"sources": [shown]}).get_json()
    assert changed == room and tuple(camera(site)) == (ADDRESS, CREDENTIALS)
    [listed] = site.said("rooms")["rooms"]
    assert listed["sources"][0]["address"] == ADDRESS
    assert ADDRESS in web.signed_in("eve").get(f"{path}/edit").text
    assert not in_files(site)


@pytest.mark.parametrize("command", [["records"], ["daemon", "--once"], ["web", "--port", "0"]])
def test_without_its_key_nothing_starts_and_nothing_is_lost(site: Site, command: list[str]) -> None:
    add_key_and_camera(site)
    key = site.settings.secret_file
    kept, before = key.read_bytes(), rows(site)
    key.unlink()
    assert f"the key file {key} is missing; restore it" in stopped(site, *command)
    assert not key.exists()
    key.write_text("A" * 43 + "=\n")
    assert f"the key file {key} does not belong to this database" in stopped(site, *command)
    assert "does not belong" in stopped(site, "init-db")
    assert rows(site) == before
    key.write_bytes(kept)
    done(site, "records")
    assert tuple(camera(site)) == (ADDRESS, CREDENTIALS)


def add_key_and_camera(site: Site) -> None:
    done(site, "init-db")
    add_camera(site)
    done(site, "init-db")


def rows(site: Site) -> str:
    with site.engine.connect() as connection:
        return "".join(
            str(connection.exec_driver_sql(f"SELECT * FROM {name}").all())
            for name in ("sources", "secrets")
        )


def test_another_key(site: Site) -> None:
    add_key_and_camera(site)
    before = rows(site)
    assert site.said("rotate-key") == {"encrypted": 3}
    assert rows(site) != before and tuple(camera(site)) == (ADDRESS, CREDENTIALS)


def test_a_key_that_nobody_has_any_more(site: Site) -> None:
    """The service starts again, and says what is to be entered anew."""
    add_key_and_camera(site)
    site.settings.secret_file.unlink()
    said = done(site, "rotate-key", "--lost")
    assert said.startswith("removed 3 secrets that no key can read")
    done(site, "records")
    assert re.search(r"room '504' +source 'camera': ", site.run("check", "--here").stdout)
