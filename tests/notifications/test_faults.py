"""Mail servers and chat bots that go wrong at every step, over real sockets; addresses that are odd."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from merger.accounts import users as people
from merger.config import load
from merger.db.engine import reading, writing
from merger.errors import Broken, MergerError, Refused, Temporary
from merger.i18n import verbatim
from merger.live import bookings
from merger.mail_address import normal_form
from merger.notifications import sender, smtp, webhook
from merger.notifications.mail import compose
from merger.notifications.sender import send_due
from merger.notifications.smtp import Away, Server, Unknown
from merger.records import views
from models import Notification, User
from tests.fakes.mail_server import mail_served
from tests.notifications.test_mail import LETTER, NOW
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.waiting import DEADLINE_S

IMPATIENT_S = 2.0  # with who says nothing more, but hears what was said before
LINE, BODY, CLOSE, HANG = "a line is read", "the mail is read", "closed", "nothing more is said"
Step = str | bytes


@dataclass
class Script:
    """A server that says what a test tells it to. heard: what it was sent, in all connections."""

    steps: tuple[Step, ...]
    port: int = 0
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def play(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, suppress(OSError):
            for step in self.steps:
                if isinstance(step, bytes):
                    connection.sendall(step)
                elif step == LINE:
                    self.heard.append(lines.readline())
                elif step == BODY:
                    while (line := lines.readline()) not in (b".\r\n", b""):
                        self.heard.append(line)
                elif step == HANG:
                    self.over.wait()
            connection.shutdown(socket.SHUT_WR)
            lines.read()


@contextmanager
def scripted(*steps: Step) -> Iterator[Script]:
    """Serve on a free port of this machine; each connection hears the same."""
    script = Script(steps)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        script.port = listener.getsockname()[1]
        players: list[threading.Thread] = []

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                if script.over.is_set():
                    connection.close()
                    return
                script.connections += 1
                players.append(threading.Thread(target=script.play, args=(connection,)))
                players[-1].start()

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield script
        finally:
            script.over.set()
            socket.create_connection(("127.0.0.1", script.port)).close()
            for thread in (server, *players):
                thread.join()


def patience(steps: tuple[Step, ...]) -> float:
    return IMPATIENT_S if HANG in steps else DEADLINE_S


def played_by(script: Script, **changes: object) -> Server:
    server = Server("127.0.0.1", script.port, False, timeout_s=patience(script.steps))
    return replace(server, **changes)  # type: ignore[arg-type]


# --- what a server says, and what it means --------------------------------------------------------

HELLO: tuple[Step, ...] = (b"220 here\r\n", LINE, b"250 hello\r\n")
OK: tuple[Step, ...] = (LINE, b"250 fine\r\n")
MAIL: tuple[Step, ...] = (*HELLO, *OK, *OK, LINE, b"354 go on\r\n", BODY)


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ((CLOSE,), Away), ((b"421 busy\r\n",), Away), ((b"554 no\r\n",), Away), ((HANG,), Away),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), Away), ((b"220 " + b"x" * 20_000,), Away),
        ((b"220 here\r\n", LINE, CLOSE), Away),
        ((*HELLO, LINE, b"451 later\r\n"), Temporary), ((*HELLO, LINE, HANG), Away),
        ((*HELLO, LINE, b"530 who are you?\r\n"), Broken),
        ((*HELLO, *OK, LINE, b"450 greylisted\r\n"), Temporary),
        ((*HELLO, *OK, LINE, b"550 nobody\r\n"), Refused), ((*HELLO, *OK, LINE, CLOSE), Away),
        ((*HELLO, *OK, *OK, LINE, b"451 later\r\n"), Temporary),
        ((*HELLO, *OK, *OK, LINE, b"554 no\r\n"), Refused),
        ((*MAIL, b"452 no room\r\n"), Temporary), ((*MAIL, b"554 spam\r\n"), Refused),
        ((*MAIL, CLOSE), Unknown), ((*MAIL, HANG), Unknown), ((*MAIL, b"what?\r\n"), Unknown),
        ((*MAIL, b"354 more\r\n"), Unknown),
        ((*MAIL, b"250 taken\r\n", CLOSE), None), ((*MAIL, b"250 taken\r\n", HANG), None),
    ],
)  # fmt: skip
def test_what_a_server_says(steps: tuple[Step, ...], wanted: type[MergerError] | None) -> None:
    with scripted(*steps) as script:
        if wanted is None:
            smtp.send(played_by(script), compose(LETTER, NOW))
            return
        with pytest.raises(MergerError) as caught:
            smtp.send(played_by(script), compose(LETTER, NOW))
        assert type(caught.value) is wanted


def test_a_server_that_speaks_no_tls_gets_no_password() -> None:
    with scripted(*HELLO, LINE, HANG) as script:
        with pytest.raises(Broken, match="offers no TLS"):
            smtp.send(played_by(script, user="u", password="hush"), compose(LETTER, NOW))
        assert b"AUTH" not in b"".join(script.heard).upper()
    with scripted(HANG) as script, pytest.raises(Away):
        smtp.send(played_by(script, tls=True), compose(LETTER, NOW))


def test_a_name_that_no_host_has() -> None:
    with pytest.raises(Broken, match="MERGER_MAIL_SERVER"):
        smtp.send(Server("a..b", 25, False), compose(LETTER, NOW))


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["пользователь@example.edu", "a..b@example.edu", "a.@example.edu", "x:y@example.edu",
     "a[b]@example.edu", "a\\b@example.edu", "ann(bob)@example.edu", "a\x00b@example.edu",
     f"a@{'x' * 70}.edu"],
)  # fmt: skip
def test_an_address_that_no_mail_can_be_sent_to(address: str) -> None:
    assert normal_form(address) == address  # it may be in the tables
    with pytest.raises(Refused, match="no email can be sent to"):
        compose(replace(LETTER, recipient=address), NOW)


def test_a_domain_may_be_written_in_any_letters() -> None:
    with scripted(*MAIL, b"250 taken\r\n") as script:
        smtp.send(played_by(script), compose(replace(LETTER, recipient="a@пример.рф"), NOW))
        assert b"rcpt TO:<a@xn--e1afmkfd.xn--p1ai>\r\n" in script.heard


@pytest.mark.parametrize("address", ["smtp://mail.example.edu:99999", "smtps://h.example.edu:0"])
def test_a_port_is_a_port(address: str) -> None:
    with pytest.raises(Refused, match="write a URL like smtp"):
        load({"MERGER_MAIL_SERVER": address, "MERGER_MAIL_FROM": "lectures@example.edu"})


# --- one message and the others -------------------------------------------------------------------


def told(site: Site, port: int, *users: str) -> Site:
    """Return a service with a delivered record of these users."""
    site.environ |= {
        "MERGER_MAIL_SERVER": f"smtp://127.0.0.1:{port}",
        "MERGER_MAIL_FROM": "lectures@example.edu",
    }
    site.add_room()
    site.film("speaker")
    site.ask(users=users)
    assert site.work() == "delivered"
    return site


def mails(site: Site) -> dict[str, str]:
    with reading(site.engine) as session:
        rows = session.scalars(select(Notification).where(Notification.channel == "mail"))
        return {row.recipient: row.status for row in rows}


@ON_SQLITE
def test_an_odd_address_does_not_stop_the_others(site: Site) -> None:
    with mail_served() as server:
        told(site, server.port, "a..b@example.edu", "ann(bob)@example.edu", "bob@example.edu")
        assert send_due(site.service, site.clock) == 1
        assert [mail["To"] for mail in server.mails] == ["bob@example.edu"]
    assert mails(site) == {
        "a..b@example.edu": "failed", "ann(bob)@example.edu": "failed", "bob@example.edu": "sent"
    }  # fmt: skip


@ON_SQLITE
def test_a_mistake_of_ours_does_not_stop_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real: Callable[..., object] = compose

    def mistaken(letter: object, now: object) -> object:
        if getattr(letter, "recipient", "") == "ann@example.edu":
            raise RuntimeError("a mistake")
        return real(letter, now)

    monkeypatch.setattr(sender, "compose", mistaken)
    with mail_served() as server:
        told(site, server.port, "ann@example.edu", "bob@example.edu")
        assert send_due(site.service, site.clock) == 1
    assert mails(site) == {"ann@example.edu": "unknown", "bob@example.edu": "sent"}
    assert [r.levelno for r in caplog.records if r.name == sender.__name__] == [logging.ERROR]


@ON_SQLITE
def test_a_server_that_hangs_is_asked_once_in_a_pass(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = smtp.server_of
    monkeypatch.setattr(
        smtp, "server_of", lambda *given: replace(real(*given), timeout_s=IMPATIENT_S)
    )
    users = [f"user{n}@example.edu" for n in range(5)]
    with scripted(HANG) as script:
        told(site, script.port, *users)
        for passes in (1, 2):
            for _ in range(2):
                assert send_due(site.service, site.clock) == 0
                assert script.connections == passes
            site.clock += timedelta(minutes=5)
    assert set(mails(site).values()) == {"pending"}


@ON_SQLITE
def test_who_put_a_message_off_is_respected(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another daemon may have tried, and put off, what was due when we looked."""
    with mail_served() as server:
        told(site, server.port, "ann@example.edu")
        real = sender._list_due

        def slowly(*given: object) -> object:
            found = real(*given)  # type: ignore[arg-type]
            later = update(Notification).values(due_at=site.clock + timedelta(hours=1))
            writing(site.engine, lambda session: session.execute(later))
            return found

        monkeypatch.setattr(sender, "_list_due", slowly)
        assert send_due(site.service, site.clock) == 0 and server.mails == []


@ON_SQLITE
def test_users_do_not_read_which_editors_were_perhaps_told(site: Site) -> None:
    told(site, 9, "ann@example.edu")
    people.invite_user(site.engine, "eve@example.edu", None, "editor")
    bookings.add_to_histories(site.engine, [1], site.clock, "silent", verbatim("camera is silent"))
    lost = update(Notification).values(status="sending", due_at=site.clock)
    writing(site.engine, lambda session: session.execute(lost))
    site.clock += timedelta(minutes=11)
    site.environ["MERGER_MAIL_SERVER"] = ""
    send_due(site.service, site.clock)
    assert mails(site) == {"ann@example.edu": "unknown", "eve@example.edu": "unknown"}
    with reading(site.engine) as session:
        ann = session.scalars(select(User).where(User.email == "ann@example.edu")).one().id
    assert "eve@" not in str(views.record_details(site.engine, 1, ann))


# --- chat bots ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "is_taken"),
    [
        # A body that never ends is not waited for.
        ((LINE, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", HANG), True),
        ((LINE, b"HTTP/1.1 204 No Content\r\n\r\n"), True),
        ((LINE, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"), False),
        ((LINE, b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), False),
        ((LINE, HANG), False), ((LINE, CLOSE), False), ((LINE, b"220 mail here\r\n"), False),
    ],
)  # fmt: skip
def test_what_a_chat_bot_says(
    steps: tuple[Step, ...], is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_TIMEOUT_S", (patience(steps),) * 2)
    with scripted(*steps) as script:
        url = f"http://127.0.0.1:{script.port}/hook"
        if is_taken:
            webhook.call_webhook(url, {}, b"{}")
            return
        with pytest.raises(Temporary):
            webhook.call_webhook(url, {}, b"{}")
