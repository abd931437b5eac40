"""Databases for tests: SQLite files, and a MariaDB server of one's own; and the fixtures with them."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql
import pytest
from pymysql.cursors import Cursor
from sqlalchemy import Engine

from merger.db import schema
from merger.db.engine import connect

USER, PASSWORD = "merger", "sehr-geheim"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # where users do not look
_START_S, _STOP_S = 600, 600

_MEMORY = Path("/dev/shm")  # a file system in memory, where there is one
_PREFIX = "merger-tests-"
_SERVER_NEEDS = 1 << 30  # bytes, and some to spare

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_MARIADB = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)


def program(name: str) -> str | None:
    return shutil.which(name, path=_PATH)


class MariaDB:
    """A server with data of its own in a folder, whose path must be short: a socket lies in there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self.port = _free_port()
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._idle: list[str] = []  # databases with their tables and without rows
        self._tables: dict[str, str] = {}  # of those
        self._server: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Make the data folder of a server, which takes half a second."""
        done = subprocess.run(
            [
                program("mariadb-install-db") or "mariadb-install-db", "--no-defaults", *_user(),
                f"--datadir={self.folder / 'data'}", "--skip-test-db", "--skip-name-resolve",
                "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env=self._environment(),
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"mariadb-install-db failed:\n{done.stdout}")

    def _environment(self) -> dict[str, str]:
        """Return an environment with a folder for temporary files that no other server empties.

        Each does so when it starts, and several processes of tests start theirs at the same time.
        """
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return {**os.environ, "TMPDIR": str(folder)}

    def start(self) -> None:
        """Start the server and wait until it answers.

        It dies with the *thread* that calls this: call it in the main thread.
        """
        setpriv = shutil.which("setpriv")
        command = [
            *([setpriv, "--pdeathsig", "KILL"] if setpriv else []),
            program("mariadbd") or "mariadbd", "--no-defaults", *_user(),
            f"--datadir={self.folder / 'data'}", f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}", f"--port={self.port}", "--bind-address=127.0.0.1",
            "--skip-name-resolve", "--skip-log-bin", "--performance-schema=off",
            # What is committed outlives the server, which is killed here, but not the machine.
            "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M", "--innodb-buffer-pool-dump-at-shutdown=off",
            # A test that forgets a transaction fails, rather than making the next wait for a day.
            "--lock-wait-timeout=20",
        ]  # fmt: skip
        with open(self.folder / "log", "ab") as log:
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
                env=self._environment(),
            )  # fmt: skip
        until = time.monotonic() + _START_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > until:
                self.kill()
                said = (self.folder / "log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"mariadbd did not start:\n{said}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server as an operator would."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(_STOP_S)
            self._server = None

    def kill(self) -> None:
        """Kill the server as a power cut would."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(_STOP_S)
            self._server = None

    def restart(self) -> None:
        """Stop the server and start it anew, at the same addresses."""
        self.stop()
        self.start()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Kill the server for a while."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def url(self, database: str, user: str = USER, password: str = PASSWORD) -> str:
        """Return the address of a database, there or not.

        Over TCP: PyMySQL leaves a socket open where no server is behind a socket file.
        """
        who = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"mysql+pymysql://{who}@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """Create an empty database, as the operator is told to, and return its address."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database."""
        self.execute(f"DROP DATABASE {_name_in(url)}")

    def borrow(self) -> str:
        """Return the address of a database that has its tables and no rows.

        Migrations take most of a second: what is given back is emptied and lent again.
        """
        if self._idle:
            return self._idle.pop()
        url = self.create()
        engine = connect(url)
        schema.upgrade(engine)
        engine.dispose()
        if not self._tables:
            with self._as_root(_name_in(url)) as cursor:
                self._tables = {name: made for name, made, _ in _tables(cursor)}
        return url

    def give_back(self, url: str) -> None:
        """Empty a borrowed database, or drop it where a test has changed its tables."""
        with self._as_root(_name_in(url)) as cursor:
            found = _tables(cursor)
            if {name: made for name, made, _ in found} == self._tables:
                cursor.execute("SET foreign_key_checks = 0")
                for name, _, is_used in found:
                    if is_used:
                        cursor.execute(f"TRUNCATE `{name}`")
                self._idle.append(url)
                return
        self.drop(url)

    def execute(self, statement: str, *values: object) -> Sequence[Any]:
        """Run a statement as the server's root; return its rows."""
        with self._as_root() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    @contextmanager
    def _as_root(self, database: str | None = None) -> Iterator[Cursor]:
        root = pymysql.connect(
            unix_socket=str(self.socket), user="root", autocommit=True, database=database
        )
        with root, root.cursor() as cursor:
            yield cursor

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port)):
                pass
        except ConnectionRefusedError:
            return False
        who = f"'{USER}'@'127.0.0.1'"
        self.execute(f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY %s", PASSWORD)
        self.execute(f"GRANT ALL ON *.* TO {who}")
        return True


def _name_in(url: str) -> str:
    return url.rpartition("/")[2]


def _tables(cursor: Cursor) -> list[tuple[str, str, bool]]:
    """Return the tables of a database: name, statement that makes it, and whether it was written to.

    What the table of the schema's version holds counts as part of its statement.
    """
    cursor.execute("SHOW TABLES")
    found = []
    for (name,) in cursor.fetchall():
        cursor.execute(f"SHOW CREATE TABLE `{name}`")
        made, counters = re.subn(r" AUTO_INCREMENT=\d+", "", cursor.fetchall()[0][1])
        cursor.execute(f"SELECT * FROM `{name}` LIMIT 2")
        rows = cursor.fetchall()
        if name == schema.VERSION_TABLE:
            found.append((name, f"{made} {rows}", False))
        else:
            found.append((name, made, bool(counters or rows)))
    return found


def _user() -> list[str]:
    return ["--user=root"] if os.getuid() == 0 else []


def _free_port() -> int:
    # Below those that the system hands out: so it is free again after the server was away.
    while True:
        port = random.randint(20000, 30000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB server for all tests of a run; they skip where MariaDB is not installed."""
    if program("mariadbd") is None or program("mariadb-install-db") is None:
        message = (
            "MariaDB is not installed: apt-get install mariadb-server-core mariadb-client-core"
        )
        if os.environ.get("TESTS_NEED_MARIADB") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with _folder_of_a_server(tmp_path_factory) as folder:
        server = MariaDB(folder)
        server.install()
        server.start()
        yield server
        server.kill()


@contextmanager
def _folder_of_a_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a folder, in memory where there is room: a server writes much, and reads it again."""
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _SERVER_NEEDS:
        _forget_killed_runs()
        with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=_MEMORY) as text:
            yield Path(text)
        return
    folder = tmp_path_factory.mktemp("mariadb")
    yield folder
    shutil.rmtree(folder)


def _forget_killed_runs() -> None:
    """Remove what runs left in memory that could not tidy up."""
    for folder in _MEMORY.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def upgraded_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file that has its tables: migrations take half a second, a copy none."""
    path = tmp_path_factory.mktemp("upgraded") / "database.sqlite"
    engine = connect(f"sqlite:///{path}")
    schema.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database: empty, or with its tables for whoever asks for `engine`, too."""
    has_tables = "engine" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "database.sqlite"
        if has_tables:
            shutil.copyfile(request.getfixturevalue("upgraded_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    server: MariaDB = request.getfixturevalue("mariadb")
    url = server.borrow() if has_tables else server.create()
    yield url
    if has_tables:
        server.give_back(url)
    else:
        server.drop(url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with its tables."""
    engine = connect(database_url)
    yield engine
    engine.dispose()
