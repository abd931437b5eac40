"""The pages and mails on which what needs leave is asked for, allowed and refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from merger.notifications.sender import send_due
from merger.web.app import create_web
from tests.fakes.mail_server import MailServer, mail_served
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.pages.reader import LECTURE, Reader

pytestmark = ON_SQLITE
LINK = re.compile(r"https://lectures\.example\.org(/access/1\?token=[\w-]+)")


@dataclass
class Asking:
    """A service that asks, and the mails that it sends. Ann has a lecture that is over."""

    web: Web
    mails: MailServer

    def reader(self, who: str | None, language: str = "en") -> Reader:
        client = self.web.signed_in(who) if who else self.web.app.test_client()
        return Reader(client, language)

    def sent(self) -> dict[str, str]:
        """Send what is due; return the texts of all mails by their recipients and subjects."""
        send_due(self.web.site.service, self.web.site.clock)
        found = {}
        for mail in self.mails.mails:
            body = mail.get_body(("plain",))
            assert body is not None
            found[f"{mail['To']}: {mail['Subject']}"] = body.get_content()
        return found

    def link(self) -> str:
        """Return where the mail to Ann leads."""
        found = LINK.search(self.sent()[f"ann@example.org: {ASKED}"])
        assert found is not None
        return found[1]


ASKED = "Someone asks for a recording: 504, 2026-11-20 10:05"


@pytest.fixture
def asking(web: Web) -> Iterator[Asking]:
    with mail_served() as mails:
        web.site.environ |= {
            "MERGER_ACCESS": "ask", "MERGER_MAIL_SERVER": f"smtp://127.0.0.1:{mails.port}",
            "MERGER_MAIL_FROM": "lectures@example.org",
            "MERGER_WEB_ADDRESS": "https://lectures.example.org",
        }  # fmt: skip
        web.app = create_web(web.site.service)
        web.app.config["SESSION_COOKIE_SECURE"] = web.app.config["WTF_CSRF_SSL_STRICT"] = False
        users = ("ann@example.org",)
        web.site.ask(from_s=300, until_s=4800, users=users, profile="720p", name="Algebra")
        yield Asking(web, mails)


def test_a_request_waits_and_both_see_it(asking: Asking) -> None:
    bob, ann, ada = (asking.reader(who) for who in ("bob", "ann", "ada"))
    page = bob.done("/request", "/request", LECTURE)
    assert "We are asking ann@example.org" in page and "Algebra" not in page
    assert "Waiting for the permission of ann@example.org" in bob.get("/records")
    for reader in (ann, ada):
        assert "bob@example.org asks for this recording" in reader.get("/records")
        assert "Algebra" in reader.get("/access/1")
    assert "added you" not in page
    done = ann.done("/records", "/access/1", {"allow": "yes"})
    assert "They get the recording" in done and "is waiting" not in done
    assert "Algebra" in bob.get("/records/1")
    assert "allowed by ann@example.org" in ann.get("/records/1")
    again = bob.done("/request", "/request", LECTURE)
    assert "we've added you to it" in again


def test_the_link_in_the_mail_is_enough(asking: Asking) -> None:
    asking.reader("bob").done("/request", "/request", LECTURE)
    text = asking.sent()[f"ann@example.org: {ASKED}"]
    assert "bob@example.org" in text and "Матан" not in text  # nothing that they wrote
    link, anybody = asking.link(), asking.reader(None)
    assert "bob@example.org asks for this recording" in anybody.get(link)
    assert "Waiting" in asking.reader("bob").get("/access/1")  # opening it changes nothing
    path, token = link.split("?token=")
    refused = anybody.send(link, path, {"token": token, "allow": "no"})
    assert refused.status_code == 200 and "Refused. We tell them." in refused.text
    assert asking.web.site.details(1)["users"] == ["ann@example.org"]
    answer = asking.sent()["bob@example.org: Your request was refused: 504, 2026-11-20 10:05"]
    assert "ann@example.org has not allowed" in answer and "ask an editor" in answer
    assert "Allow" not in anybody.get(link)
    again = asking.reader("bob").wrong("/request", "/request", LECTURE)
    assert "you were refused this time" in again


def test_the_link_allows_and_the_mail_leads_to_the_recording(asking: Asking) -> None:
    asking.reader("bob").done("/request", "/request", LECTURE)
    link, anybody = asking.link(), asking.reader(None)
    path, token = link.split("?token=")
    done = anybody.send(link, path, {"token": token, "allow": "yes"})
    assert done.status_code == 200 and "Allowed. They get the recording." in done.text
    answer = asking.sent()["bob@example.org: You get the recording: 504, 2026-11-20 10:05"]
    assert "https://lectures.example.org/records/1" in answer
    assert asking.web.site.details(1)["users"] == ["ann@example.org", "bob@example.org"]


def test_another_link_shows_nothing(asking: Asking) -> None:
    asking.reader("bob").done("/request", "/request", LECTURE)
    anybody = asking.reader(None)
    anybody.get("/access/1?token=wrong", 404)
    assert anybody.client.get("/access/1").headers["Location"].startswith("/login?")
    assert (
        anybody.send("/login", "/access/1", {"token": "wrong", "allow": "yes"}).status_code == 404
    )
    asking.web.add("carl", "user")
    asking.reader("carl").get("/access/1", 404)


def test_a_request_is_withdrawn(asking: Asking) -> None:
    bob = asking.reader("bob", "ru")
    assert "Мы спрашиваем ann@example.org" in bob.done("/request", "/request", LECTURE)
    assert "Запрос отозван" in bob.done("/records", "/access/1/withdraw")
    assert "Allow" not in asking.reader("ann").get("/access/1")
    assert asking.reader("ann").send("/account", "/access/1/withdraw").status_code == 404


def test_the_form_proposes_what_needs_no_leave(asking: Asking) -> None:
    # It is 15:00 there.
    assert 'value="15:30"' in asking.reader("bob").get("/request")
    assert 'value="14:30"' in asking.reader("eve").get("/request")


ROOM = {
    "name": "504", "zone": "UTC", "chunk": "20m", "both_after": "1m", "early": "1m", "late": "2m", "mails": "on",
    "sources-0-name": "speaker", "sources-0-role": "speaker", "sources-0-kind": "folder",
    "sources-0-address": "/tmp", "sources-0-is_known": "1",
}  # fmt: skip


def test_the_page_of_a_room_says_who_may(asking: Asking) -> None:
    eve, form = asking.reader("eve"), "/rooms/1/edit"
    chosen = {"requesters": "named", "requesters_names": "@staff.example.org carl@example.org"}
    wrong = eve.wrong(form, form, {**ROOM, "requesters": "named", "requesters_names": "@"})
    assert "isn&#39;t a domain" in wrong or "isn't a domain" in wrong
    eve.done(form, form, {**ROOM, **chosen, "watchers": "everybody"})
    page = eve.get(form)
    assert 'value="@staff.example.org, carl@example.org"' in page
    # Who may not request there is not offered the room, nor its pictures.
    assert "There are no rooms yet" in asking.reader("bob").get("/request")
    assert "Algebra" in asking.reader("bob").get("/records?whose=all")
    watched = asking.reader("bob").get("/records/1")
    assert "Algebra" in watched and "ann@example.org" not in watched
    assert "<form" not in watched.split("<main")[1].split("</main>")[0]
    # They look at it and at how it comes on, and cannot so much as ask to stop it.
    for page in ("row", "status"):
        asking.reader("bob").get(f"/records/1/{page}")
    asking.reader("bob").get("/records/1/cancel", 404)
