"""What `check` says of servers and cameras elsewhere, and what `verify` leaves behind."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
import requests

from commands.base import now
from merger.db.engine import writing
from merger.i18n import Message
from merger.live import bookings
from merger.live.source_status import SourceSign, write_sign
from merger.monitoring import integrity
from merger.notifications import smtp
from models import ROLES, Room, Source
from recorders.rtsp.address import CAMERAS
from recorders.rtsp.wire import Arriving, Ended
from recorders.supervisor import looking
from recorders.supervisor.looking import Seen
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

pytestmark = ON_SQLITE


@pytest.fixture(autouse=True)
def quick_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders are tried elsewhere."""
    monkeypatch.setattr("merger.monitoring.doctor.look_at_ffmpeg", lambda _: iter(()))


def found(site: Site, *options: str, code: int = 0) -> list[tuple[str, str, str]]:
    """Return what `check` says: what, level and text."""
    done = site.run("check", "--json", *options)
    assert done.returncode == code, (done.stdout, done.stderr)
    return [(f["what"], f["level"], f["text"]) for f in json.loads(done.stdout)["findings"]]


def of(site: Site, what: str, *options: str, code: int = 0) -> list[tuple[str, str]]:
    return [(level, text) for name, level, text in found(site, *options, code=code) if name == what]


def test_mail_without_an_address_to_link_to(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "check_server", lambda _: Message("notifications.mail_ok", host="m"))
    site.environ |= {"MERGER_MAIL_SERVER": "smtp://m", "MERGER_MAIL_FROM": "a@example.org"}
    [(level, text)] = of(site, "mail links")
    assert level == "warning" and text.startswith("set MERGER_WEB_ADDRESS; without it, emails")
    assert of(site, "mail") == [("ok", "the mail server m accepts our login")]
    site.environ["MERGER_WEB_ADDRESS"] = "https://lectures.example.edu"
    assert of(site, "mail links") == []
    assert of(site, "mail", "--here") == []


@pytest.mark.parametrize(
    ("answer", "level", "told"),
    [
        (204, "ok", "https://chat.example.edu answers"),
        (405, "ok", "https://chat.example.edu answers"),  # it takes POST alone
        (requests.ConnectTimeout(), "warning", "cannot be reached (ConnectTimeout); correct MERGER_WEBHOOK_URL"),
        (requests.exceptions.SSLError(), "warning", "cannot be reached (SSLError)"),
    ],
)  # fmt: skip
def test_the_webhook(
    site: Site, monkeypatch: pytest.MonkeyPatch, answer: Any, level: str, told: str
) -> None:
    sent: list[str] = []

    def send(_: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append(str(request.method))
        assert request.body is None and options["timeout"] == (3.0, 3.0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, response.raw = answer, io.BytesIO()
        return response

    monkeypatch.setattr("merger.network.session._Adapter.send", send)
    site.environ |= {
        "MERGER_WEBHOOK_URL": "https://chat.example.edu/hook", "MERGER_WEBHOOK_SECRET": "hush",
    }  # fmt: skip
    [(how, text)] = of(site, "webhook")
    assert how == level and told in text
    assert sent == ["HEAD"]


def add_cameras(site: Site, *names: str) -> None:
    row = Room(name="504", zone="Europe/Moscow", chunk_s=1800)
    row.sources = [
        Source(name=name, role=ROLES[n], kind="rtsp", address=f"rtsp://10.0.5.{n}/live")
        for n, name in enumerate(names)
    ]
    writing(site.engine, lambda session: session.add(row))


def test_cameras_that_send_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    add_cameras(site, "fine", "off", "refuses", "recorded")
    looked: list[str] = []

    def look(which: Any, _: Any) -> list[Seen]:
        whys = {
            "off": (Message("recorders.no_answer"), False),
            "refuses": (Message("recorders.rtsp.credentials"), True),
        }
        looked.extend(camera.source.name for camera in which)
        return [Seen(camera, *whys.get(camera.source.name, (None, False))) for camera in which]

    monkeypatch.setattr(looking, "look_at_cameras", look)
    write_sign(site.settings, 4, SourceSign(now()))
    said = of(site, "cameras", code=1)
    # Who is being recorded is left alone: some cameras serve but one.
    assert looked == ["fine", "off", "refuses"]
    assert said[0][0] == "warning" and "'off' in room '504' sends no picture: it does not" in said[0][1]  # fmt: skip
    assert said[1][0] == "broken" and "refuses the login" in said[1][1]
    assert said[2] == ("ok", "2 cameras send pictures")
    assert of(site, "cameras", "--here") == []


class Process:
    """Stands in for a process that looks at a camera."""

    says: tuple[Any, ...] = ()
    ended: tuple[str, ...] = ()

    def __init__(self, job: Any) -> None:
        assert job.look and job.url == "rtsp://10.0.5.0/live"
        self.has_ended = bool(self.says)

    def read_messages(self) -> list[Any]:
        return list(self.says)

    def kill(self) -> None:
        Process.ended += ("killed",)

    def close(self) -> int:
        Process.ended += ("closed",)
        return 0


@pytest.mark.parametrize(
    ("says", "why", "is_lasting"),
    [
        ((Ended("seen", Message("recorders.rtsp.seen")),), None, False),
        ((Arriving(7), Ended("seen", Message("recorders.rtsp.seen"))), None, False),
        ((Ended("credentials", Message("recorders.rtsp.credentials"), True),),
         Message("recorders.rtsp.credentials"), True),
        ((Ended("away", Message("recorders.no_answer")),), Message("recorders.no_answer"), False),
        ((Arriving(7),), Message("recorders.no_answer"), False),  # and then it died
        ((), Message("recorders.no_answer"), False),  # not in time
    ],
)  # fmt: skip
def test_a_look_at_a_camera(
    site: Site, monkeypatch: pytest.MonkeyPatch, says: Any, why: Any, is_lasting: bool
) -> None:
    add_cameras(site, "camera")
    monkeypatch.setattr(Process, "says", says)
    monkeypatch.setattr(Process, "ended", ())
    monkeypatch.setattr(looking, "Child", Process)
    monkeypatch.setattr(looking, "_START_S", 0.0)
    [seen] = looking.look_at_cameras(bookings.cameras(site.engine, "rtsp"), CAMERAS, 0.0)
    assert (seen.why, seen.is_lasting) == (why, is_lasting)
    assert Process.ended == ("killed", "closed")


def test_lines_are_aligned(site: Site) -> None:
    site.add_room()
    whats = [what for what, _, _ in found(site, "--here")]
    lines = site.run("check", "--here").stdout.splitlines()
    width = min(max(map(len, whats)), 40)
    assert len(lines) == len(whats) > 8
    for what, line in zip(whats, lines, strict=True):
        assert line[9 : 11 + max(width, len(what))] == f"{what:{width}}  "


def test_what_was_verified_is_kept(site: Site) -> None:
    assert integrity.last_result(site.engine) is None
    assert site.run("verify").returncode == 0
    first = integrity.last_result(site.engine)
    assert first is not None and first.wrong == ()
    site.environ["MERGER_OUTPUT"] = str(site.folder / "share")
    assert site.run("verify").returncode == 1
    second = integrity.last_result(site.engine)
    assert second is not None and second.at - first.at < timedelta(hours=1)
    assert [message.key for message in second.wrong] == ["monitoring.folder_missing"]
