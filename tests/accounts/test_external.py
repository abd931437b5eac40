"""People from outside whom users name: asked once, by a mail; until they confirm, nothing else comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from threading import Barrier
from urllib.parse import urlsplit

import pytest

from google_apis.drive.destination import DriveDestination
from google_apis.drive.folders import Folders
from google_apis.http import Google as Client
from merger.accounts import users
from merger.accounts.external import Requester
from merger.db.engine import reading
from merger.db.key_value import KeyValueStore
from merger.delivery import ledger
from merger.delivery.viewers import grant_new_viewers
from merger.errors import Invalid
from merger.notifications.sender import send_due
from merger.records import actions, requests
from merger.records.processing.jobs import job_from_row
from merger.timeline.clock import utc
from merger.worker.run import run_record
from models import Record, RecordUser, User
from tests.conftest import START
from tests.fakes.google import Google
from tests.fakes.mail_server import MailServer, mail_served
from tests.google_apis.conftest import client, google, pauses
from tests.intake.calendared import calendared_room
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site
from tests.web.browsing import Browser
from tests.web.markup import check_markup

__all__ = ["client", "google", "pauses"]

ANN, EVE, STRANGER = "ann@example.edu", "eve@example.edu", "stranger@example.com"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
SPAM = "Buy cheap watches at https://evil.example"


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_served() as server:
        yield server


@pytest.fixture
def service(site: Site, mails: MailServer) -> Site:
    """A service of example.edu, which sends mails."""
    site.environ |= {
        "MERGER_MAIL_SERVER": f"smtp://127.0.0.1:{mails.port}",
        "MERGER_MAIL_FROM": "lectures@example.edu", "MERGER_OIDC_DOMAINS": "example.edu",
        "MERGER_WEB_ADDRESS": "http://localhost",
    }  # fmt: skip
    site.add_room()
    return site


def by(site: Site, email: str = ANN, most: int | None = 20) -> Requester:
    """Return somebody who requests records over the web."""
    user, _ = users.invite_user(site.engine, email, None, "user")
    return Requester(user["id"], None, ("example.edu",), most)


def ask(site: Site, *emails: str, who: Requester | None = None, **changes: object) -> int:
    return site.ask(users=emails, naming=who or by(site), **changes)


def unconfirmed(site: Site, record: int = 1) -> list[str]:
    found: list[str] = site.details(record)["unconfirmed_users"]
    return found


def deliver(site: Site) -> None:
    held = site.claim()
    assert held is not None
    ledger.complete_record(site.lease(held), None, 0)


def sent(site: Site, mails: MailServer) -> list[EmailMessage]:
    """Send what is due, and return it."""
    before = len(mails.mails)
    send_due(site.service, site.clock)
    return mails.mails[before:]


def text_of(mail: EmailMessage) -> str:
    return "\n".join(
        str(part.get_content()) for part in mail.walk() if part.get_content_maintype() == "text"
    )


def link_in(mail: EmailMessage) -> str:
    found = re.search(r"http://localhost(/confirm\?token=[\w-]+)", text_of(mail))
    assert found
    return found[1]


def confirm(site: Site, link: str) -> str:
    """Open a link in a browser, and press its button."""
    browser = Browser(site)
    page = browser.get(link)
    assert page.status_code == 200, page.text
    check_markup(page.text, "en")
    done = browser.post("/confirm", token=urlsplit(link).query.removeprefix("token="))
    assert done.status_code == 200
    return done.text


def test_a_stranger_is_asked_once_and_gets_nothing_until_they_confirm(
    service: Site, mails: MailServer
) -> None:
    ask(service, ANN, "bob@example.edu", STRANGER, name=SPAM)
    assert unconfirmed(service) == [STRANGER]
    [asked] = sent(service, mails)
    assert asked["To"] == STRANGER and asked["Subject"] == "Confirm your email address"
    assert not re.search("watches|evil|ann|504|Lecture, ", text_of(asked) + asked["Subject"])
    deliver(service)
    assert [mail["To"] for mail in sent(service, mails)] == [ANN, "bob@example.edu"]
    link = link_in(asked)
    assert STRANGER in Browser(service).get(link).text
    assert unconfirmed(service) == [STRANGER]  # mail programs open links by themselves
    assert sent(service, mails) == []
    service.clock += MINUTE
    assert "The address is confirmed." in confirm(service, link)
    assert unconfirmed(service) == [] and service.row().updated_at == service.clock
    [told] = sent(service, mails)  # of what was delivered meanwhile
    assert told["To"] == STRANGER and SPAM in told["Subject"]
    assert "The address is confirmed." in Browser(service).get(link).text
    assert "The address is confirmed." in confirm(service, link) and sent(service, mails) == []


@ON_SQLITE
def test_a_failure_is_not_told_to_a_stranger_and_no_worker_gives_them_access(
    service: Site, mails: MailServer
) -> None:
    ask(service, ANN, STRANGER)
    with reading(service.engine) as session:
        assert job_from_row(session, session.get_one(Record, 1)).users == (ANN,)
    sent(service, mails)
    held = service.claim()
    assert held is not None
    service.lease(held).fail(Invalid("speaker", "there is no speaker"))
    assert [mail["To"] for mail in sent(service, mails)] == [ANN]


@ON_SQLITE
def test_drive_lets_a_stranger_read_once_they_have_confirmed(
    service: Site, mails: MailServer, google: Google, client: Client
) -> None:
    to = DriveDestination(client, Folders(client, KeyValueStore(service.engine)))
    drive = replace(service.service, destinations=(to,))
    google.drive.domain = ""  # of whom it knows: everybody
    service.film("speaker")
    ask(service, ANN)
    held = service.claim()
    assert held is not None and run_record(drive, held, lambda: False) == "delivered"
    ask(service, STRANGER)
    grant_new_viewers(drive, service.clock)

    def readers() -> list[str]:
        [file] = [one for one in google.drive.files.values() if one["mimeType"] == "video/mp4"]
        return [one["emailAddress"] for one in file["permissions"]]

    assert readers() == [ANN]
    asked = [mail for mail in sent(service, mails) if mail["To"] == STRANGER]
    service.clock += 30 * DAY
    confirm(service, link_in(asked[0]))
    grant_new_viewers(drive, service.clock)
    assert readers() == [ANN, STRANGER]


@ON_SQLITE
def test_a_stranger_gets_one_mail_whatever_is_requested_and_removed(
    service: Site, mails: MailServer
) -> None:
    who = by(service)
    record = ask(service, ANN, STRANGER, who=who)
    assert len(sent(service, mails)) == 1
    actions.withdraw(service.engine, record, service.clock)
    for n in range(3):
        ask(service, ANN, STRANGER, who=who, from_s=-60.0 * n)
        ask(service, EVE, STRANGER, who=by(service, EVE), from_s=-60.0 * n)
        service.clock += MINUTE
        assert sent(service, mails) == []


@ON_SQLITE
def test_a_mail_that_was_not_sent_is_sent_later(service: Site, mails: MailServer) -> None:
    ask(service, ANN, STRANGER)
    mails.answers["RCPT"] = ["451 later"]
    assert sent(service, mails) == []
    service.clock += 2 * MINUTE
    [asked] = sent(service, mails)
    confirm(service, link_in(asked))


@ON_SQLITE
def test_whom_the_server_refused_is_asked_when_they_are_named_again(
    service: Site, mails: MailServer
) -> None:
    ask(service, ANN, STRANGER)
    mails.answers["RCPT"] = ["550 no such mailbox"]
    assert sent(service, mails) == []
    assert service.details()["messages"][0]["kind"] == "confirm"
    ask(service, ANN, STRANGER)
    assert [mail["To"] for mail in sent(service, mails)] == [STRANGER]


@ON_SQLITE
def test_without_an_address_of_the_service_there_is_no_link(
    service: Site, mails: MailServer
) -> None:
    service.environ["MERGER_WEB_ADDRESS"] = ""
    ask(service, ANN, STRANGER)
    assert sent(service, mails) == []
    assert "set MERGER_WEB_ADDRESS" in service.details()["messages"][0]["error"]
    said = service.run("check").stdout
    assert re.search(r"warning +mail links .*MERGER_WEB_ADDRESS", said)


@ON_SQLITE
def test_a_wrong_link_is_told(service: Site) -> None:
    for link in ("/confirm", "/confirm?token=", "/confirm?token=wrong"):
        answer = Browser(service).get(link)
        assert answer.status_code == 404 and "this link is not valid" in answer.text
    assert Browser(service).post("/confirm", token="wrong").status_code == 404
    assert Browser(service).client.post("/confirm", data={"token": "x"}).status_code == 400


# --- who is not asked -----------------------------------------------------------------------------


@ON_SQLITE
def test_readers_of_today_stay_readers(service: Site, mails: MailServer) -> None:
    """Whoever is a user already, such as by an installation of the version before."""
    service.ask(users=(ANN, STRANGER))
    ask(service, "bob@example.edu", STRANGER, from_s=-60.0)
    assert unconfirmed(service, 1) == unconfirmed(service, 2) == []
    deliver(service)
    assert STRANGER in [mail["To"] for mail in sent(service, mails)]


@ON_SQLITE
def test_the_word_of_editors_calendars_and_the_operator_is_enough(
    service: Site, mails: MailServer
) -> None:
    ask(service, ANN, STRANGER)  # who is to be asked, as far as Ann is concerned
    ask(service, EVE, STRANGER, who=by(service, EVE, None))
    assert unconfirmed(service) == []
    said = service.said(
        "request", "--room", "504", "--start", "2026-11-21T10:00", "--end", "2026-11-21T11:00",
        "--user", "of-command@example.com",
    )  # fmt: skip
    assert said["unconfirmed_users"] == []
    service.environ["MERGER_WEB_ADDRESS"] = ""
    assert sent(service, mails) == []


@ON_SQLITE
def test_the_organiser_of_an_event_is_not_asked(site: Site) -> None:
    room = calendared_room(site)
    room.reader.whole = [room.calendar_event(owner=STRANGER)]
    room.read()
    assert room.users() == [STRANGER] and unconfirmed(site) == []
    ask(site, ANN, "other@example.com", from_s=-60.0)
    room.whole(room.calendar_event(owner="other@example.com"))
    assert unconfirmed(site, 2) == []


@ON_SQLITE
def test_who_is_invited_or_signs_in_has_confirmed(service: Site) -> None:
    ask(service, ANN, STRANGER, "other@example.com")
    users.invite_user(service.engine, STRANGER, None, "user")
    assert unconfirmed(service) == ["other@example.com"]
    account = users.Account("https://id.example.com", "7")
    domains = ("example.edu", "example.com")
    service.clock += MINUTE
    users.admit(service.engine, account, "other@example.com", None, domains, service.clock)
    assert unconfirmed(service) == [] and service.row().updated_at == service.clock


# --- how many -------------------------------------------------------------------------------------


def strangers(first: int, count: int) -> list[str]:
    return [f"{n}@example.com" for n in range(first, first + count)]


@ON_SQLITE
def test_nobody_names_more_strangers_than_twenty_a_day(service: Site, mails: MailServer) -> None:
    who = by(service)
    with pytest.raises(Invalid, match=r"at most 20 new people .* \(20 left today\)") as caught:
        ask(service, ANN, *strangers(0, 100), who=who)
    assert caught.value.code == "users"
    with reading(service.engine) as session:
        assert [user.email for user in session.query(User)] == [ANN]
        assert session.query(Record).count() == session.query(RecordUser).count() == 0
    ask(service, ANN, *strangers(0, 20), who=who)
    colleagues = [f"{n}@example.edu" for n in range(50)]
    ask(service, ANN, *colleagues, *strangers(0, 20), who=who, from_s=-60.0)  # known by now
    with pytest.raises(Invalid, match=r"\(0 left today\)"):
        ask(service, ANN, *strangers(20, 1), who=who, from_s=-60.0)
    ask(service, EVE, *strangers(20, 1), who=by(service, EVE))
    ask(service, EVE, *strangers(21, 40), who=by(service, EVE, None))
    assert len(sent(service, mails)) == 21
    # What was named stays named, though its record is gone.
    actions.withdraw(service.engine, 1, service.clock)
    with pytest.raises(Invalid, match=r"\(0 left today\)"):
        ask(service, ANN, *strangers(100, 1), who=who)
    with pytest.raises(Invalid):
        name_more(service, who, DAY - MINUTE)
    name_more(service, who, DAY + MINUTE)


def name_more(site: Site, who: Requester, later: timedelta) -> None:
    """Name twenty more strangers, some time after `ask` did."""
    start = utc(START) - DAY
    request = requests.Request(
        "504", start, start + timedelta(hours=1), users=(ANN, *strangers(200, 20)), naming=who
    )
    requests.request_record(site.engine, request, utc(START) + later)


@BOTH_DATABASES
def test_strangers_who_are_named_at_the_same_time_are_counted(site: Site) -> None:
    who = by(site, most=3)
    for n in range(4):
        site.add_room(f"hall {n}")
    ready = Barrier(4, timeout=600)

    def name(n: int) -> int:
        ready.wait()
        try:
            ask(site, ANN, *strangers(10 * n, 2), who=who, room=f"hall {n}")
        except Invalid:
            return 0
        return 2

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(name, range(4))) == 2


@ON_SQLITE
def test_the_operator_says_how_many(service: Site) -> None:
    who = by(service, most=0)
    ask(service, ANN, "bob@example.edu", who=who)
    with pytest.raises(Invalid):
        ask(service, ANN, STRANGER, who=who)
