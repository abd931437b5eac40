"""`script/demo --open`, once the lecture is merged: the service with it, for whoever was told how."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from merger.db.engine import connect, writing
from models import Record, RecordUser, Room, User
from tests.conftest import START
from tests.support.site import ROOT
from tests.support.waiting import until

VIDEO = "Sample lecture_504_2026-11-20_10-00-10-02.mp4"


@pytest.fixture
def checkout(tmp_path: Path, upgraded_sqlite: Path) -> Path:
    """A checkout in which the demo has made its video."""
    folder = tmp_path / "a checkout"
    (folder / "script").mkdir(parents=True)
    shutil.copy(ROOT / "script" / "demo", folder / "script")
    bootstrap = folder / "script" / "bootstrap"  # everything is installed
    bootstrap.write_text("#!/bin/sh\n")
    bootstrap.chmod(0o755)
    for name in (
        "app.py",
        "models.py",
        "commands",
        "google_apis",
        "merger",
        "migrations",
        "recorders",
    ):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    data = folder / "demo" / "data"
    (data / "merged").mkdir(parents=True)
    (data / "merged" / VIDEO).write_bytes(b"a video")
    (folder / "demo" / "record").write_text("1\n")
    shutil.copyfile(upgraded_sqlite, data / "merger.db")
    engine = connect(f"sqlite:///{data / 'merger.db'}")
    row = Record(
        room=Room(name="504", zone="Europe/Moscow"), start_at=START, end_at=START,
        zone="Europe/Moscow", event_name="Sample lecture", layout="side_by_side", profile="720p",
        created_at=START, updated_at=START, run_after=START, status="delivered",
        users=[RecordUser(user=User(email="demo@localhost"), position=0)],
    )  # fmt: skip
    writing(engine, lambda session: session.add(row))
    engine.dispose()
    return folder


@contextmanager
def opened(checkout: Path) -> Iterator[dict[str, str]]:
    """Start the demo; yield what it says of address, user and password; end it by Ctrl-C."""
    said = checkout / "said"
    environ = {name: text for name, text in os.environ.items() if "DISPLAY" not in name}
    environ |= {
        "MERGER_OUTPUT": "/srv/real",
        "MERGER_MAIL_SERVER": "smtp://real",
        "MERGER_PORT": "1",
    }
    with said.open("wb") as file:
        child = subprocess.Popen(
            [checkout / "script" / "demo", "--open"], env=environ, stdout=file, stderr=file,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def is_running() -> bool:
        assert child.poll() is None, said.read_text()
        return "Press Ctrl-C" in said.read_text()

    try:
        until(is_running)
        yield dict(re.findall(r"^  (address|user|password) +(.+)$", said.read_text(), re.M))
    finally:
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        try:
            child.wait(60)
        finally:
            with pytest.raises(ProcessLookupError):  # nothing of it is left
                os.killpg(child.pid, signal.SIGKILL)


def sign_in(address: str, user: str, password: str) -> requests.Response:
    """Return the page that somebody sees who opens the address and signs in."""
    with requests.Session() as browser:
        form = browser.get(address, timeout=60)
        token = re.search(r'name="csrf_token" value="([^"]+)"', form.text)
        assert token is not None
        typed = {"csrf_token": token[1], "email": user, "password": password}
        browser.post(form.url, data=typed, timeout=60)
        return browser.get(address, timeout=60)


def test_the_lecture_is_seen_in_a_browser(checkout: Path) -> None:
    with opened(checkout) as first:
        page = sign_in(first["address"], first["user"], first["password"])
        assert page.status_code == 200 and page.url == first["address"]
        assert "Sample lecture" in page.text
    file = checkout / "demo" / "password"
    assert file.read_text().strip() == first["password"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with opened(checkout) as second:
        assert second["password"] == "in the file demo/password"  # it is shown once
        page = sign_in(second["address"], second["user"], first["password"])
        assert "Sample lecture" in page.text
    assert {path.name for path in checkout.iterdir()} - {"said"} == {
        "script", "app.py", "models.py", "commands", "google_apis", "merger", "migrations",
        "recorders", ".venv", "demo",
    }  # fmt: skip
