"""Messages: written together with what they tell, sent at most once (mail) or at least (webhook)."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook, WebhookVerificationError

from merger import failpoints
from merger.accounts import profile, users
from merger.daemon.daemon import background_jobs_are_due
from merger.daemon.housekeeping import forget_old
from merger.db.engine import reading, writing
from merger.delivery import ledger
from merger.errors import Broken, Refused
from merger.i18n import verbatim
from merger.live import bookings
from merger.notifications.sender import TOO_OLD, send_due
from merger.records import actions, outbox
from merger.records.processing import queue
from merger.records.processing.queue import Claim
from models import Notification, Room, User
from tests.fakes.mail_server import MailServer, mail_served
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

ANN, BOB = "ann@example.edu", "bob@example.edu"
MINUTE = timedelta(minutes=1)


@dataclass
class Hook:
    """A chat bot: what it was told, and how it answers."""

    answers: list[int] = field(default_factory=list)
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def hook() -> Iterator[Hook]:
    one = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            one.calls.append((dict(self.headers.items()), body))
            self.send_response(one.answers.pop(0) if one.answers else 200)
            self.send_header("Location", one.address)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.address = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield one
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_served() as server:
        yield server


@pytest.fixture
def told(site: Site, mails: MailServer, hook: Hook) -> Site:
    """A service that tells people, with a record of two of them."""
    site.environ |= {
        "MERGER_MAIL_SERVER": f"smtp://127.0.0.1:{mails.port}",
        "MERGER_MAIL_FROM": "lectures@example.edu",
        "MERGER_WEBHOOK_URL": hook.address, "MERGER_WEBHOOK_SECRET": "hush",
    }  # fmt: skip
    site.add_room()
    site.ask(users=(ANN, BOB))
    return site


def rows(site: Site) -> list[Notification]:
    with reading(site.engine) as session:
        found = list(session.scalars(select(Notification).order_by(Notification.id)))
        session.expunge_all()
        return found


def statuses(site: Site) -> dict[str, str]:
    return {row.recipient: row.status for row in rows(site)}


def deliver(site: Site) -> Claim:
    held = site.claim()
    assert held is not None
    ledger.complete_record(site.lease(held), None, 0)
    return held


def fail(site: Site, error: Any = None) -> None:
    held = site.claim()
    assert held is not None
    site.lease(held).fail(error or Refused("speaker", "there is no speaker"))


def send(site: Site) -> int:
    return send_due(site.service, site.clock)


def recipients(mails: MailServer) -> list[str]:
    return [str(mail["To"]) for mail in mails.mails]


def test_everybody_is_told_once_that_it_is_ready(told: Site, mails: MailServer, hook: Hook) -> None:
    assert not background_jobs_are_due(told.service, told.clock)
    held = deliver(told)
    assert background_jobs_are_due(told.service, told.clock)
    assert send(told) == 3 and send(told) == 0
    assert recipients(mails) == [ANN, BOB]
    assert all("is ready" in mail["Subject"] for mail in mails.mails)
    assert len({mail["Message-ID"] for mail in mails.mails}) == 2
    assert statuses(told) == {"": "sent", ANN: "sent", BOB: "sent"}
    assert told.events().count("told") == 3
    shown = told.details()["messages"]
    assert {one["status"] for one in shown} == {"sent"} and len(shown) == 3
    [(headers, body)] = hook.calls
    stamp, code = (part.partition("=")[2] for part in headers["X-Merger-Signature"].split(","))
    wanted = hmac.new(b"hush", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert code == wanted and json.loads(body)["type"] == "record.ready"
    # The same call once more, as after a lost answer of the database.
    ledger.complete_record(told.lease(held), None, 0)
    assert len(rows(told)) == 3


def test_a_failure_is_told_with_its_reason(told: Site, mails: MailServer) -> None:
    people_language = lambda s: s.scalars(select(User).where(User.email == BOB)).one()  # noqa: E731
    with reading(told.engine) as session:
        bob = people_language(session).id
    profile.remember_language(told.engine, bob, "ru")
    fail(told)
    send(told)
    subjects = {str(mail["To"]): str(mail["Subject"]) for mail in mails.mails}
    assert "recording failed" in subjects[ANN] and "Не удалось" in subjects[BOB]
    body = mails.mails[0].get_body(("plain",))
    assert body is not None and "there is no speaker" in body.get_content()


def test_a_worker_that_died_too_often_is_told(told: Site, mails: MailServer) -> None:
    for _ in range(3):
        held = told.claim()
        assert held is not None
        queue.take_back_crashed(told.engine, held, told.clock, verbatim("it died"))
        told.clock += timedelta(hours=1)
    assert told.row().status == "failed"
    send(told)
    assert len(mails.mails) == 2


def test_what_is_tried_again_is_not_told(told: Site) -> None:
    held = told.claim()
    assert held is not None
    told.lease(held).defer(told.clock, Broken("storage", "away"))
    assert rows(told) == []


def test_a_room_without_mails(told: Site, mails: MailServer, hook: Hook) -> None:
    writing(told.engine, lambda s: setattr(s.get_one(Room, 1), "mails", False))
    deliver(told)
    send(told)
    assert mails.mails == [] and len(hook.calls) == 1


def user_of(site: Site, email: str) -> int:
    found = users.get_user_by_address(site.engine, email)
    assert found is not None
    return int(found["id"])


@pytest.mark.parametrize("kind", ["ready", "failed"])
def test_who_does_not_want_mails_gets_none(
    told: Site, mails: MailServer, hook: Hook, kind: str
) -> None:
    profile.change_profile(told.engine, user_of(told, ANN), {"notifications": {kind: False}})
    other = "failed" if kind == "ready" else "ready"
    profile.change_profile(told.engine, user_of(told, BOB), {"notifications": {other: False}})
    (deliver if kind == "ready" else fail)(told)
    send(told)
    assert recipients(mails) == [BOB] and len(hook.calls) == 1


def test_mails_name_the_page_to_those_who_may_sign_in(told: Site, mails: MailServer) -> None:
    told.environ["MERGER_WEB_ADDRESS"] = "https://lectures.example.edu"
    users.change_user(told.engine, user_of(told, ANN), {"invited": True})
    deliver(told)
    send(told)
    for mail in mails.mails:
        body = mail.get_body(("plain",))
        assert body is not None
        assert ("example.edu/account" in body.get_content()) == (mail["To"] == ANN)


def test_an_editor_may_do_without_news_of_silent_sources(told: Site, mails: MailServer) -> None:
    for email, wants in (("eve@example.edu", True), ("ada@example.edu", False)):
        users.invite_user(told.engine, email, None, "editor")
        changes = {"notifications": {"silent": wants}}
        profile.change_profile(told.engine, user_of(told, email), changes)
    bookings.add_to_histories(told.engine, [1], told.clock, "silent", verbatim("it is silent"))
    send(told)
    assert recipients(mails) == ["eve@example.edu"]


def test_a_silent_source_is_told_to_editors(told: Site, mails: MailServer) -> None:
    users.invite_user(told.engine, "eve@example.edu", None, "editor")
    users.invite_user(told.engine, "ida@example.edu", None, "user")
    assert users.create_first_account(told.engine) is not None  # its address leads nowhere
    silent, away = verbatim("camera is silent"), verbatim("camera was away")
    for _ in range(2):
        bookings.add_to_histories(told.engine, [1, 99], told.clock, "silent", silent)
        bookings.add_to_histories(told.engine, [1], told.clock, "outage", away)
    send(told)
    assert recipients(mails) == ["eve@example.edu"]
    body = mails.mails[0].get_body(("plain",))
    assert body is not None and "camera is silent" in body.get_content()
    with reading(told.engine) as session:
        ann = session.scalars(select(User).where(User.email == ANN)).one().id
    shown = json.dumps(told.details()["events"])
    assert "eve@example.edu" not in shown
    from merger.records import views

    assert views.record_details(told.engine, 1, ann)["messages"] == []


@pytest.mark.parametrize(
    ("command", "answer", "status"),
    [
        ("MAIL", "451 later", "pending"), ("RCPT", "450 greylisted", "pending"),
        ("RCPT", "550 nobody of that name", "failed"), ("DATA", "452 no room", "pending"),
        ("DATA", "554 spam", "failed"), ("DATA", "lost", "unknown"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_take_it(
    told: Site, mails: MailServer, command: str, answer: str, status: str
) -> None:
    deliver(told)
    mails.answers[command] = [answer]
    send(told)
    assert statuses(told) == {"": "sent", ANN: status, BOB: "sent"}
    before = recipients(mails).count(ANN)
    told.clock += 2 * MINUTE
    send(told)
    after = recipients(mails).count(ANN)
    assert after - before == (status == "pending")
    assert recipients(mails).count(BOB) == 1
    if status != "pending":
        assert "untold" in told.events()
        assert rows(told)[1].error_message


def test_a_server_that_is_away_is_waited_for(told: Site, mails: MailServer, hook: Hook) -> None:
    deliver(told)
    port = mails.port
    told.environ["MERGER_MAIL_SERVER"] = "smtp://127.0.0.1:9"
    send(told)
    assert statuses(told)[ANN] == "pending"
    assert not background_jobs_are_due(told.service, told.clock)
    told.environ["MERGER_MAIL_SERVER"] = f"smtp://127.0.0.1:{port}"
    told.clock += 2 * MINUTE
    send(told)
    assert recipients(mails) == [ANN, BOB]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://169.254.169.254/latest", "MERGER_ALLOWED_NETWORKS as webhooks=169.254.169.254"),
        ("http://evil.example\\.example.edu/hook", "can be read in more than one way"),
        ("http://127.1/hook", "can be read in more than one way"),
    ],
)
def test_a_webhook_that_is_not_called_keeps_no_mail_back(told: Site, url: str, why: str) -> None:
    told.environ["MERGER_WEBHOOK_URL"] = url
    deliver(told)
    send(told)
    assert statuses(told) == {"": "pending", ANN: "sent", BOB: "sent"}
    assert why in str(rows(told)[0].error_message)


@BOTH_DATABASES
@pytest.mark.parametrize("place", ["post.taken", "post.sent"])
@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_crash_sends_no_mail_twice_and_each_call_at_least_once(
    told: Site,
    mails: MailServer,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    when: int,
) -> None:
    class Crash(Exception):
        pass

    deliver(told)
    left = when

    def crash(name: str) -> None:
        nonlocal left
        left -= name == place
        if name == place and left == 0:
            raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "hook", crash)
        with pytest.raises(Crash):
            send(told)
    for _ in range(3):
        told.clock += 11 * MINUTE
        send(told)
    assert max(map(recipients(mails).count, (ANN, BOB))) == 1
    assert 1 <= len(hook.calls) <= 2
    assert len({json.loads(body)["id"] for _, body in hook.calls}) == 1
    found = statuses(told)
    assert found[""] == "sent" and set(found.values()) <= {"sent", "unknown"}
    assert list(found.values()).count("unknown") == (when > 1)


@pytest.mark.parametrize("secret", ["hush", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
@pytest.mark.parametrize("old", ["yes", "no"])
def test_a_call_is_verified_as_the_standard_says(
    told: Site, hook: Hook, secret: str, old: str
) -> None:
    told.environ |= {"MERGER_WEBHOOK_SECRET": secret, "MERGER_WEBHOOK_OLD_HEADERS": old}
    hook.answers = [500]
    told.clock = datetime.now(UTC)  # verifiers accept no old calls
    deliver(told)
    send(told)
    told.clock += 2 * MINUTE
    send(told)
    verifier = Webhook(secret if secret.startswith("whsec_") else secret.encode())
    bodies = [verifier.verify(body, headers) for headers, body in hook.calls]
    assert len(bodies) == 2 and hook.calls[0][1] == hook.calls[1][1]  # the same bytes again
    assert bodies[0]["type"] == "record.ready" and bodies[0]["data"]["record"] == 1
    assert datetime.fromisoformat(bodies[0]["timestamp"]) == rows(told)[0].created_at
    assert len({headers["webhook-id"] for headers, _ in hook.calls}) == 1
    headers, body = hook.calls[0]
    assert ("X-Merger-Signature" in headers) == ("record" in bodies[0]) == (old == "yes")
    later = str(int(headers["webhook-timestamp"]) + 1)
    for changed in ({"webhook-id": "other"}, {"webhook-timestamp": later}):
        with pytest.raises(WebhookVerificationError):
            verifier.verify(body, {**headers, **changed})
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body.replace(b"Lecture", b"lecture"), headers)


@pytest.mark.parametrize("answer", [500, 404, 302])
def test_a_hook_that_does_not_take_it_is_called_again(told: Site, hook: Hook, answer: int) -> None:
    hook.answers = [answer]
    deliver(told)
    send(told)
    assert len(hook.calls) == 1 and statuses(told)[""] == "pending"  # no redirect was followed
    told.clock += 2 * MINUTE
    send(told)
    assert len(hook.calls) == 2 and statuses(told)[""] == "sent"


def test_what_is_too_old_is_not_told(told: Site, mails: MailServer, hook: Hook) -> None:
    deliver(told)
    told.clock += TOO_OLD + MINUTE
    send(told)
    assert mails.mails == [] and hook.calls == []
    assert set(statuses(told).values()) == {"failed"}


def test_without_a_server_nothing_waits(told: Site) -> None:
    for name in ("MERGER_MAIL_SERVER", "MERGER_WEBHOOK_URL"):
        told.environ[name] = ""
    deliver(told)
    assert not background_jobs_are_due(told.service, told.clock)
    assert send(told) == 0
    forget_old(told.service, told.clock)
    assert rows(told) == []


def test_a_deleted_record_takes_its_messages_along(told: Site) -> None:

    deliver(told)
    actions.withdraw(told.engine, 1, told.clock)
    assert rows(told) == [] and send(told) == 0


@BOTH_DATABASES
def test_several_daemons_share_the_work(
    told: Site, mails: MailServer, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(told)
    sent_by_other: list[int] = []
    is_first = True

    def other(name: str) -> None:
        nonlocal is_first
        if name == "post.taken" and is_first:
            is_first = False
            sent_by_other.append(send(told))  # in the middle of the first one's

    monkeypatch.setattr(failpoints, "hook", other)
    send(told)
    assert sent_by_other == [2]
    assert sorted(recipients(mails)) == [ANN, BOB] and len(hook.calls) == 1


@ON_SQLITE
def test_mails_may_all_go_to_one_address(told: Site, mails: MailServer) -> None:
    told.environ["MERGER_MAIL_REDIRECT"] = "me@example.edu"
    deliver(told)
    send(told)
    assert recipients(mails) == ["me@example.edu"] * 2


@BOTH_DATABASES
def test_messages_are_in_the_same_transaction(told: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no message can be written")

    held = told.claim()
    assert held is not None
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "add_ready", broken)
        with pytest.raises(RuntimeError):
            ledger.complete_record(told.lease(held), None, 0)
    assert told.row().status == "running" and rows(told) == []
