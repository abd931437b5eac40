"""Whether the database answers, is ours, and its clock is right."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from merger.db.encryption import ensure_key
from merger.db.engine import connect
from tests.monitoring.checks.looking import (
    config,
    looked,
    now,
)
from tests.support.databases import ON_MARIADB, ON_SQLITE, MariaDB
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES


@ON_SQLITE
def test_a_key_that_does_not_fit(site: Engine, tmp_path: Path) -> None:
    assert "will be created at the next start" in looked(tmp_path, site)["key file"].text
    ensure_key(site)
    key = config(tmp_path).secret_file
    assert looked(tmp_path, site)["key file"].text.startswith(f"{key} decrypts the secrets")
    key.unlink()
    other = connect(site.url.render_as_string())
    found = looked(tmp_path, other)
    other.dispose()
    assert (
        found["key file"].level == "broken" and "is missing; restore it" in found["key file"].text
    )
    assert not any(what.startswith("room") for what in found)


def test_files_that_others_can_read(lite: Engine, tmp_path: Path) -> None:
    data, database = tmp_path / "data", tmp_path / "empty.sqlite"
    environ = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{database}"}
    assert looked(tmp_path, lite, **environ)["private files"].level == "ok"
    data.chmod(0o755)
    database.chmod(0o640)
    found = looked(tmp_path, lite, **environ)
    assert "private files" not in found
    for path, wide, most in ((data, "755", "700"), (database, "640", "600")):
        told = found[f"private file {path}"]
        assert told.level == "warning"
        assert f"(mode {wide})" in told.text and f"chmod {most} {path}" in told.text


@ON_MARIADB
def test_a_database_that_is_away(site: Engine, mariadb: MariaDB, tmp_path: Path) -> None:
    with mariadb.down():
        found = looked(tmp_path, site)
    assert found["database"].level == "broken"
    assert "cannot be reached" in found["database"].text
    assert "SQLALCHEMY_DATABASE_URI" in found["database"].text
    assert not {"clocks", "schema", "room '504'"} & {*found}
    assert found["ffmpeg"].ok and found["data folder (MERGER_DATA)"].ok


def test_a_database_that_refuses_us(mariadb: MariaDB, tmp_path: Path) -> None:
    engine = connect(mariadb.url("mysql", password="auch-geheim"))
    found = looked(tmp_path, engine)
    engine.dispose()
    assert found["database"].level == "broken"
    assert "Access denied" in found["database"].text


@ON_SQLITE
def test_a_file_that_is_damaged(site: Engine, tmp_path: Path) -> None:
    """Somewhere in the middle, as a disk does it: most of it can still be read."""
    with site.begin() as connection:
        connection.execute(text("CREATE TABLE filler (words TEXT)"))
        rows = [{"words": f"{n}" * 400} for n in range(200)]
        connection.execute(text("INSERT INTO filler VALUES (:words)"), rows)
    with site.connect() as connection:
        [page] = connection.execute(
            text(
                "SELECT pageno FROM dbstat WHERE name = 'filler' AND pagetype = 'leaf'"
                " LIMIT 1 OFFSET 5"
            )
        ).one()
    site.dispose()  # which leaves everything in the file itself
    assert site.url.database is not None
    with Path(site.url.database).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    found = looked(tmp_path, site)
    assert found["database"].level == "broken"
    assert "is damaged" in found["database"].text and "backup" in found["database"].text


def test_tables_that_are_missing_or_of_others(lite: Engine, tmp_path: Path) -> None:
    found = looked(tmp_path, lite)
    assert found["database"].level == "ok"
    assert found["schema"].level == "broken"
    assert "init-db" in found["schema"].text
    assert not any(what.startswith("room") for what in found)
    with lite.begin() as connection:
        connection.execute(text("CREATE TABLE wp_posts (id INTEGER)"))
    assert "another program" in looked(tmp_path, lite)["schema"].text


@pytest.mark.parametrize(("hours", "seconds"), [(0, -60), (0, 60), (3, 0), (0, 6)])
@ON_MARIADB
def test_clocks_that_differ(engine: Engine, tmp_path: Path, hours: int, seconds: int) -> None:
    off = timedelta(hours=hours, seconds=seconds)
    found = looked(tmp_path, engine, lambda: now() + off)["clocks"]
    assert found.level == "warning"
    assert "NTP" in found.text and "leases" in found.text


def test_clocks_that_agree(engine: Engine, tmp_path: Path) -> None:
    assert looked(tmp_path, engine, lambda: now() + timedelta(seconds=3))["clocks"].level == "ok"


@ON_MARIADB
def test_an_answer_that_takes_long_is_no_difference(engine: Engine, tmp_path: Path) -> None:
    asked: list[datetime] = []

    def clock() -> datetime:
        asked.append(now() + timedelta(minutes=len(asked)))
        return asked[-1]

    assert looked(tmp_path, engine, clock)["clocks"].level == "ok"
    assert len(asked) >= 2  # before and after; and for what is looked at besides
