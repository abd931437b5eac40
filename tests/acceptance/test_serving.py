"""The web service as its operator starts it: web, run, accounts; real processes, real HTTP."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from merger.accounts import password_links, users
from tests.conftest import MOSCOW
from tests.support.databases import ON_SQLITE
from tests.support.site import LENGTH_S, ROOT, Site
from tests.support.waiting import until

PASSWORD = "correct horse battery"
# Of a day that is over whatever this machine's clock says.
BEGIN = datetime(2024, 11, 20, 10, 0, tzinfo=MOSCOW)


@dataclass
class Running:
    """A process of the service that answers requests. said: what it has printed so far."""

    process: subprocess.Popen[bytes]
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.decode())

    @property
    def text(self) -> str:
        return "".join(self.said)

    @property
    def address(self) -> str:
        """Where it listens, once it does."""

        def told() -> re.Match[str] | None:
            found = re.search(r"listening on (http://[^\s\"]+)", self.text)
            assert found or self.process.poll() is None, self.text
            return found

        found = until(told)
        assert found is not None
        return found[1].rstrip("/")

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.address}{path}", timeout=600, **options)

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        self._reader.join()
        return code


@contextmanager
def started(site: Site, *command: str) -> Iterator[Running]:
    with site.process(sys.executable, "app.py", *command) as process:
        running = Running(process)
        try:
            yield running
        finally:
            process.kill()
            running._reader.join()


def signed_in(address: str, email: str, password: str) -> requests.Session | None:
    """Sign in as a person would; return the session, or None where that was refused."""
    client = requests.Session()
    page = client.get(f"{address}/login", timeout=600).text
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found
    form = {"csrf_token": found[1], "email": email, "password": password}
    answer = client.post(f"{address}/login", data=form, timeout=600, allow_redirects=False)
    assert answer.status_code in (303, 403)
    if answer.status_code == 303:
        return client
    client.close()
    return None


def test_the_first_start_makes_an_account(site: Site) -> None:
    with started(site, "web", "--port", "0") as web:
        assert web.get("/healthz").text == "ok\n"
        # In a file that nobody else can read, and not in the log.
        file = site.settings.first_password
        assert file.stat().st_mode & 0o777 == 0o600
        password = file.read_text().strip()
        assert "admin@localhost" in web.text and str(file) in web.text
        assert password not in web.text
        client = signed_in(web.address, "admin@localhost", password)
        assert client is not None
        with client:
            assert client.get(f"{web.address}/api/v1/users", timeout=600).status_code == 200
        assert signed_in(web.address, "admin@localhost", "guessed") is None
        assert web.stop() == 0
    assert "POST /login 303" in web.text and "Traceback" not in web.text
    with started(site, "web", "--port", "0") as again:
        assert again.get("/healthz").status_code == 200
        assert "password" not in again.text
        assert again.stop() == 0


@ON_SQLITE
def test_with_a_provider_there_is_no_first_account(site: Site) -> None:
    site.environ |= {"MERGER_OIDC_ISSUER": "https://idp.example", "MERGER_OIDC_CLIENT_ID": "x"}
    with started(site, "web", "--port", "0") as web:
        assert "/login/oidc" in web.get("/login").text
        assert "password " not in web.text
        assert web.stop() == 0
    assert users.list_users(site.engine) == []


@ON_SQLITE
@pytest.mark.parametrize("command", ["web", "run"])
def test_a_port_that_another_has(site: Site, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = site.command(command, "--port", str(other.getsockname()[1]))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("app.py: cannot listen on 127.0.0.1, port ")
    assert "MERGER_PORT" in last and "--port" in last
    assert "is at work" not in done.stderr and "Traceback" not in done.stderr
    assert users.list_users(site.engine) == []  # and nobody's password was printed for nothing


@ON_SQLITE
def test_where_it_cannot_listen(site: Site) -> None:
    for arguments, code, words in (
        (["--host", "no-such-host.invalid"], 2, "--host: 'no-such-host.invalid' is not an address"),
        (["--port", "65536"], 2, "a whole number from 0 to 65535"),
        (["--port", "-1"], 2, "--port"),
        (["--port", "http"], 2, "--port"),
    ):
        done = site.command("web", *arguments)
        assert done.returncode == code and words in done.stderr, done.stderr


def test_without_tables_there_is_no_web(tmp_path: Path) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path}/empty.sqlite")
    done = site.command("web", "--port", "0")
    assert done.returncode == 1 and done.stderr.endswith("run: python app.py init-db\n")
    site.engine.dispose()


def test_all_in_one_process(site: Site) -> None:
    """Somebody asks over the API for a video, and gets it; then both end."""
    site.add_room()
    for source in ("speaker", "screen"):
        path = site.film(source, start=BEGIN)
        ended = (BEGIN + timedelta(seconds=LENGTH_S)).timestamp()
        os.utime(path, (ended, ended))
    user, _ = users.invite_user(site.engine, "ann@example.org", None, "admin")
    users.set_password(site.engine, user["id"], PASSWORD)
    _, key = users.create_key(site.engine, user["id"], "tests", ["read", "write"], site.clock)
    site.environ["MERGER_LOG"] = "json"
    with started(site, "run", "--port", "0") as service:
        until(lambda: service.get("/readyz").status_code == 200)
        lecture = {
            "room": "504", "start": "2024-11-20T10:00:00", "end": "2024-11-20T10:00:06",
            "profile": "540p",
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {key}"}
        asked = requests.post(
            f"{service.address}/api/v1/records", json=lecture, headers=headers, timeout=600
        )
        assert asked.status_code == 201, asked.text

        def status() -> str:
            return str(service.get("/api/v1/records/1", headers=headers).json()["status"])

        until(lambda: status() not in ("queued", "running"))
        assert status() == "delivered", service.text
        metrics = service.get("/metrics", headers=headers).text
        assert service.stop() == 0
    assert 'merger_records{stage="deliver",status="delivered"} 1.0' in metrics
    speed = re.search(r"^merger_encode_speed (\S+)$", metrics, re.MULTILINE)
    assert speed and float(speed[1]) > 0
    lines = [json.loads(line) for line in service.said]
    of_worker = [line for line in lines if line["logger"] == "merger.worker.run"]
    assert of_worker and all(line["record"] == 1 for line in of_worker)
    assert of_worker[-1]["stage"] == "deliver"
    [asked_line] = [line for line in lines if line.get("method") == "POST"]
    assert (asked_line["path"], asked_line["status"]) == ("/api/v1/records", 201)
    assert asked_line["user"] == user["id"] and asked_line["ms"] >= 0
    assert key not in service.text and PASSWORD not in service.text
    messages = [line["message"] for line in lines]
    assert any(text.startswith("the daemon ") and text.endswith(" has ended") for text in messages)


@ON_SQLITE
def test_under_another_server(site: Site) -> None:
    program = "import app; print(app.create_app().test_client().get('/healthz').text)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=False,
        env={**os.environ, **site.variables},
    )  # fmt: skip
    assert done.stdout == "ok\n\n", done.stderr
    assert users.list_users(site.engine) == []


# --- accounts -------------------------------------------------------------------------------------


def test_people_are_added_and_changed(site: Site) -> None:
    assert "--role" in site.run("user", "ann@example.org").stderr
    done = site.run("user", "Ann@Example.org", "--role", "admin")
    assert (done.returncode, done.stdout) == (0, "ann@example.org can sign in as admin\n")
    assert site.said("user", "bob@example.org", "--role", "user")["role"] == "user"
    assert site.said("user", "bob@example.org", "--role", "editor")["role"] == "editor"
    refused = site.run("user", "ann@example.org", "--role", "user")
    assert refused.returncode == 2 and "is the last administrator" in refused.stderr
    for email, role in (("nobody", "user"), ("ann@example.org", "king")):
        assert site.run("user", email, "--role", role).returncode == 2
    told = {user["email"]: user["role"] for user in users.list_users(site.engine)}
    assert told == {"ann@example.org": "admin", "bob@example.org": "editor"}


def test_a_password_through_a_pipe(site: Site) -> None:
    site.run("user", "ann@example.org", "--role", "user")
    assert site.command("set-password", "ann@example.org", input="short\n").returncode == 2
    assert site.command("set-password", "ann@example.org", input="").returncode == 2
    unknown = site.command("set-password", "eve@example.org", input=f"{PASSWORD}\n")
    assert unknown.returncode == 2
    assert "python app.py user eve@example.org --role user" in unknown.stderr
    done = site.command("set-password", "Ann@example.org", input=f" {PASSWORD} \n")
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert users.authenticate(site.engine, "ann@example.org", PASSWORD) is None
    assert users.authenticate(site.engine, "ann@example.org", f" {PASSWORD} ") is not None


@ON_SQLITE
def test_a_link_to_set_a_password(site: Site) -> None:
    assert site.run("password-link", "ann@example.org").returncode == 2  # there is nobody
    site.run("user", "ann@example.org", "--role", "user")
    site.environ["MERGER_WEB_ADDRESS"] = "https://lectures.example.edu/"
    made = site.said("password-link", "Ann@example.org")
    page, _, token = made["link"].partition("?token=")
    assert (made["email"], page) == (
        "ann@example.org",
        "https://lectures.example.edu/login/password",
    )
    now = datetime.now(UTC)
    password_links.set_password(site.engine, token, PASSWORD, now)
    assert users.authenticate(site.engine, "ann@example.org", PASSWORD) is not None
    users.change_user(site.engine, 1, {"invited": False})
    refused = site.run("password-link", "ann@example.org")
    assert refused.returncode == 2 and "allow it first" in refused.stderr


@dataclass
class Terminal:
    """A command whose standard input and output is a terminal."""

    master: int
    process: subprocess.Popen[bytes]
    shown: str = ""

    def types(self, prompt: str, text: str) -> None:
        """Wait for a prompt, and type."""
        until(lambda: self._is_over() or prompt in self.shown)
        assert prompt in self.shown, self.shown
        self.shown = ""
        os.write(self.master, text.encode())

    def ended(self, again: str = "") -> int:
        """Wait for the end. again: typed while nothing happens."""

        def is_over() -> bool:
            if self._is_over():
                return True
            os.write(self.master, again.encode())
            return False

        until(is_over)
        return self.process.wait(60)

    def _is_over(self) -> bool:
        """Read what is shown for a second; return whether nobody holds the other end any more."""
        while select.select([self.master], [], [], 1)[0]:
            try:
                self.shown += os.read(self.master, 1000).decode()
            except OSError:
                return True
        return False


@contextmanager
def terminal(site: Site, *command: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "app.py", *command], cwd=ROOT, env={**os.environ, **site.variables},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(slave), os.O_RDWR)),
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait()
        os.close(master)


@ON_SQLITE
def test_a_password_is_typed_twice_and_not_shown(site: Site) -> None:
    site.run("user", "ann@example.org", "--role", "user")
    with terminal(site, "set-password", "ann@example.org") as screen:
        screen.types("New password for ann@example.org: ", f"{PASSWORD}\n")
        screen.types("Repeat the new password: ", f"{PASSWORD}\n")
        assert screen.ended() == 0, screen.shown
        assert "has a new password" in screen.shown and PASSWORD not in screen.shown
    assert users.authenticate(site.engine, "ann@example.org", PASSWORD) is not None


@ON_SQLITE
@pytest.mark.parametrize("second", ["another one than that\n", "\x03"])
def test_a_password_that_is_mistyped_or_given_up(site: Site, second: str) -> None:
    site.run("user", "ann@example.org", "--role", "user")
    with terminal(site, "set-password", "ann@example.org") as screen:
        screen.types("New password for ann@example.org: ", f"{PASSWORD}\n")
        screen.types("Repeat the new password: ", second)
        # A signal that comes just before Python begins to read is seen with the next one only.
        assert screen.ended(again=second) == (2 if second.endswith("\n") else 130), screen.shown
        assert "nothing was changed" in screen.shown
    assert users.authenticate(site.engine, "ann@example.org", PASSWORD) is None
