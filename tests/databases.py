"""Databases for tests: SQLite files, and a MariaDB server of one's own; and the fixtures with them."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql
import pytest
from sqlalchemy import Engine

from merger.db import schema
from merger.db.engine import connect

USER, PASSWORD = "merger", "sehr-geheim"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # where users do not look
_START_S, _STOP_S = 60, 30

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
        self._server: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Make the data folder of a server, which takes half a second."""
        done = subprocess.run(
            [
                program("mariadb-install-db") or "mariadb-install-db", "--no-defaults", *_as_root(),
                f"--datadir={self.folder / 'data'}", "--skip-test-db", "--skip-name-resolve",
                "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"mariadb-install-db failed:\n{done.stdout}")

    def start(self) -> None:
        """Start the server and wait until it answers.

        It dies with the *thread* that calls this: call it in the main thread.
        """
        setpriv = shutil.which("setpriv")
        command = [
            *([setpriv, "--pdeathsig", "KILL"] if setpriv else []),
            program("mariadbd") or "mariadbd", "--no-defaults", *_as_root(),
            f"--datadir={self.folder / 'data'}", f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}", f"--port={self.port}", "--bind-address=127.0.0.1",
            "--skip-name-resolve", "--skip-log-bin", "--performance-schema=off",
            "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M", "--innodb-buffer-pool-dump-at-shutdown=off",
            # A test that forgets a transaction fails, rather than making the next wait for a day.
            "--lock-wait-timeout=20",
        ]  # fmt: skip
        with open(self.folder / "log", "ab") as log:
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
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
        name = connect(url).url.database
        self.execute(f"DROP DATABASE {name}")

    def execute(self, statement: str, *values: object) -> Sequence[Any]:
        """Run a statement as the server's root; return its rows."""
        admin = pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)
        with admin, admin.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

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


def _as_root() -> list[str]:
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
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.install()
    server.start()
    yield server
    server.kill()
    shutil.rmtree(server.folder)


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'database.sqlite'}"
        return
    server: MariaDB = request.getfixturevalue("mariadb")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with its tables."""
    engine = connect(database_url)
    schema.upgrade(engine)
    yield engine
    engine.dispose()
