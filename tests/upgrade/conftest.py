"""An installation of the version before, unpacked: the fixture, on either database."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, inspect, text

import app
from tests.support.site import ROOT, Site
from tests.upgrade.make import DATABASE, FOLDER, HERE, KEPT, move
from tests.web.conftest import Web

ARCHIVE = HERE / "before-house.tar.xz"
_VERSIONS = "merger_version"

Rows = dict[str, list[dict[str, Any]]]


@dataclass
class Installation:
    """A service of the version before.

    kept: what that version said of itself, and what its users know; before: all rows of its tables.
    """

    site: Site
    kept: Mapping[str, Any]
    before: Rows

    def record(self, name: str) -> int:
        return int(self.kept["names"][name])

    def upgrade(self) -> None:
        """Run `init-db` of today."""
        self.run("init-db")

    def run(self, *arguments: str) -> str:
        """Run a command of today in this process, and return what it prints."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
            for name, value in self.site.variables.items():
                patch.setenv(name, value)
            assert app.main(arguments) == 0
        return said.getvalue()

    @cached_property
    def web(self) -> Web:
        """Return the web service of today, and the keys that people have from before."""
        return Web(self.site, dict(self.kept["keys"]))

    def said(self, path: str) -> Any:
        """Return what the API says today, to an administrator."""
        answer = self.web.api("ada", "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def rows(self) -> Rows:
        engine = create_engine(self.site.url)
        with engine.connect() as connection:
            found = {name: _rows(connection, name) for name in inspect(engine).get_table_names()}
        engine.dispose()
        return found

    def files(self) -> dict[str, str]:
        """Return all files of the data folder, but for those of a database, by their SHA-256."""
        data = self.site.settings.data
        return {
            str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in data.rglob("*")
            if path.is_file() and not path.name.startswith(DATABASE.name)
        }


def put_off_the_queue(installation: Installation) -> None:
    """Have nothing be due of what was queued by the version before."""
    with installation.site.engine.begin() as connection:
        connection.execute(text("UPDATE records SET run_after = '2099-01-01 00:00:00.000000'"))


def _rows(connection: Connection, table: str) -> list[dict[str, Any]]:
    found = connection.exec_driver_sql(f"SELECT * FROM {table}").mappings()
    return [{name: _plain(value) for name, value in row.items()} for row in found]


def _plain(value: Any) -> Any:
    """Return a value as SQLite has it."""
    return f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value


def _copy(source: Path, url: str) -> None:
    """Make the tables of then in another database, and fill them with the rows of a file."""
    engine = create_engine(url)
    with closing(sqlite3.connect(source)) as rows, engine.connect() as connection:
        rows.row_factory = sqlite3.Row
        [(revision,)] = rows.execute(f"SELECT version_num FROM {_VERSIONS}").fetchall()
        config = Config()
        config.set_main_option("script_location", str(ROOT / "migrations"))
        config.attributes |= {"connection": connection, "version_table": _VERSIONS}
        command.upgrade(config, revision)
        connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
        for table in inspect(engine).get_table_names():
            if table == _VERSIONS:
                continue
            # All but those that the database computes.
            known = rows.execute(f"PRAGMA table_xinfo({table})").fetchall()
            columns = [column["name"] for column in known if column["hidden"] == 0]
            names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
            values = [tuple(row) for row in rows.execute(f"SELECT {names} FROM {table}")]
            if values:
                connection.exec_driver_sql(
                    f"INSERT INTO {table} ({names}) VALUES ({places})", values
                )
        connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1")
        connection.commit()
    engine.dispose()


@pytest.fixture
def installation(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    """What the version before has left, at the time when it ended."""
    folder = tmp_path / "installation"
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    move(folder, FOLDER, str(folder))
    kept = json.loads((folder / KEPT).read_text())
    is_file = database_url.startswith("sqlite:")
    url = f"sqlite:///{folder / DATABASE}" if is_file else database_url
    if not is_file:
        _copy(folder / DATABASE, url)
        (folder / DATABASE).unlink()
    site = Site(folder, url, clock=datetime.fromisoformat(kept["clock"]))
    made = Installation(site, kept, {})
    made.before = made.rows()
    yield made
    site.engine.dispose()
