"""A notification as a mail: subject, text and HTML, in a language, by the clock of the room.

Nothing that people wrote can become a header: names are one line, addresses were checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from merger import i18n
from merger.errors import Refused
from merger.names import clean_name
from merger.records.rules.server_paths import is_web_link, without_folders
from merger.timeline.zones import zone_named

FOLDER = Path(__file__).with_name("mail_templates")
MOST_PICTURES = 6
_LONGEST_SUBJECT = 150
# Of mails that are about their reader, and hold a link that nobody else knows.
_PAGES_OF_LINKS = {
    "confirm": "/confirm", "password": "/login/password", "invited": "/login/password",
}  # fmt: skip
_TEMPLATES = {
    **dict.fromkeys(_PAGES_OF_LINKS, "link"),
    **dict.fromkeys(("leave", "allowed", "refused"), "access"),
    "alarm": "alarm",
}


@dataclass(frozen=True)
class Letter:
    """What a mail is made of.

    identity: of the notification. facts: as the outbox holds them. sender, recipient: addresses.
    redirect: where it goes instead, or empty. web: the address of the web service, or empty.
    pictures: JPEGs of what was on the screen. token: what the link in it holds, if it has one.
    has_account: whether the reader may sign in, and change which mails they get.
    """

    identity: str
    kind: str
    recipient: str
    facts: Mapping[str, Any]
    language: str
    sender: str
    redirect: str = ""
    web: str = ""
    pictures: Sequence[bytes] = ()
    token: str = ""
    has_account: bool = False


def compose(letter: Letter, now: datetime) -> EmailMessage:
    """Return a letter as a mail that can be sent. Raises Refused for an invalid address."""
    values = _values_of(letter)
    subject = one_line(_say(letter, "subject", **values["words"]))
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _address(letter.sender, i18n.say(letter.language, "site.name"))
    mail["To"] = _address(letter.redirect or letter.recipient)
    mail["Subject"] = f"[{letter.recipient}] {subject}" if letter.redirect else subject
    mail["Date"] = now
    mail["Message-ID"] = message_id(letter.identity, letter.sender)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    template = _TEMPLATES.get(letter.kind, "mail")
    mail.set_content(_render(f"{template}.txt", letter, values))
    html = _render(f"{template}.html", letter, values)
    mail.add_alternative(html, subtype="html")
    part = mail.get_payload()[1]  # type: ignore[index]
    for n, picture in enumerate(letter.pictures[:MOST_PICTURES]):
        part.add_related(  # type: ignore[union-attr]
            picture, "image", "jpeg", cid=f"<{_cid(letter, n)}>", disposition="inline"
        )
    mail["Content-Language"] = letter.language  # last: what begins with Content- goes to a part
    return mail


def _address(text: str, name: str = "") -> Address:
    """Return an address for a header, and for the server. Raises Refused."""
    local, _, domain = text.rpartition("@")
    try:
        spec = f"{local}@{_ascii(domain)}"
        address = Address(name, addr_spec=spec)
        # A part in parentheses would be taken for a comment, and the mail go to somebody else.
        if address.addr_spec != spec:
            raise ValueError(text)
    except (ValueError, MessageError) as error:  # no ASCII before the @, two dots in a row, ...
        raise Refused("address", "notifications.no_mail_to", address=text) from error
    return address


def _ascii(domain: str) -> str:
    """Return a domain as servers know it. Raises UnicodeError for an invalid one."""
    return domain.encode("idna").decode()


def message_id(identity: str, sender: str) -> str:
    """Return the id of a mail, the same however often it is composed. Pure."""
    return f"<{identity[:40]}@{_ascii(sender.rpartition('@')[2])}>"


def one_line(text: str) -> str:
    """Return a text as one line for a header, shortened where it is too long. Pure."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST_SUBJECT else f"{line[: _LONGEST_SUBJECT - 1]}…"


def spread_evenly(pictures: Sequence[bytes], most: int = MOST_PICTURES) -> list[bytes]:
    """Return at most so many pictures, evenly from the whole of a recording. Pure."""
    if len(pictures) <= most:
        return list(pictures)
    return [pictures[n * (len(pictures) - 1) // (most - 1)] for n in range(most)]


def _cid(letter: Letter, n: int) -> str:
    # Short: Python's library would write a longer line as encoded words, and no id is read so.
    return f"{n}.{letter.identity[:20]}@mail"


def _values_of(letter: Letter) -> dict[str, Any]:
    if letter.kind in _PAGES_OF_LINKS:  # nothing that somebody else wrote
        link = f"{letter.web}{_PAGES_OF_LINKS[letter.kind]}?{urlencode({'token': letter.token})}"
        return {"words": {"email": letter.recipient}, "link": link}
    if _TEMPLATES.get(letter.kind) == "access":
        return _values_of_access(letter)
    if letter.kind == "alarm":
        why = _words(letter.language, letter.facts["text"])
        page = f"{letter.web}/operations" if letter.web else ""
        return {"words": {"why": why}, "page": page}
    facts, zone = letter.facts, zone_named(str(letter.facts["zone"]))
    start, end = (datetime.fromisoformat(facts[key]).astimezone(zone) for key in ("start", "end"))
    error = facts.get("error")
    words = {
        "name": clean_name(facts["name"]), "room": facts["room"] or "-", "day": f"{start:%Y-%m-%d}",
        "start": f"{start:%H:%M}", "end": f"{end:%H:%M}",
    }  # fmt: skip
    return {
        "words": words, "zone": zone.key, "facts": facts, "kind": letter.kind,
        "links": [link for link in facts["links"] if _is_link(link)],
        "changes": [_words(letter.language, change) for change in facts.get("changes", ())],
        "warnings": [_words(letter.language, warning) for warning in _warnings_of(facts)],
        "why": _reason(letter.language, error) if error else "",
        "hint": _hint(letter.language, error["code"]) if error else "",
        "text": _words(letter.language, facts.get("text", "")),
        "page": f"{letter.web}/records/{facts['record']}" if letter.web else "",
        "account": f"{letter.web}/account" if letter.web and letter.has_account else "",
        "pictures": [f"cid:{_cid(letter, n)}" for n in range(len(letter.pictures[:MOST_PICTURES]))],
    }  # fmt: skip


def _values_of_access(letter: Letter) -> dict[str, Any]:
    """Return the values of a mail about a request that needs leave.

    Whoever is asked reads nothing that the other has written.
    """
    facts, zone = letter.facts, zone_named(str(letter.facts["zone"]))
    start, end = (datetime.fromisoformat(facts[key]).astimezone(zone) for key in ("start", "end"))
    words = {
        "who": facts["who"], "room": facts["room"], "day": f"{start:%Y-%m-%d}",
        "start": f"{start:%H:%M}", "end": f"{end:%H:%M}", "decider": facts.get("decider", ""),
    }  # fmt: skip
    page = f"/access/{facts['access']}?{urlencode({'token': letter.token})}"
    if letter.kind != "leave":
        page = f"/records/{facts['record']}" if facts["record"] else "/records"
    return {
        "words": words, "zone": zone.key, "kind": letter.kind,
        "link": f"{letter.web}{page}" if letter.web else "",
    }  # fmt: skip


def _warnings_of(facts: Mapping[str, Any]) -> Sequence[Mapping[str, Any] | str]:
    """Return the warnings as messages, or as the sentences of rows that are older than keys."""
    return list(facts.get("warning_messages") or facts["warnings"])


def _is_link(link: Mapping[str, Any]) -> bool:
    """Return whether somebody can follow a link to a video; folders of the server they cannot."""
    return link["kind"] != "news" and is_web_link(link["link"])


def _words(language: str, message: Mapping[str, Any] | str) -> str:
    """Return a message in words; rows that are older than keys hold a sentence."""
    return i18n.render(language, without_folders(i18n.from_json(message)))


def _reason(language: str, error: Mapping[str, Any]) -> str:
    return _words(language, error if "key" in error else error["message"] or "")


def _hint(language: str, code: str) -> str:
    key = f"hint.{code}"
    return i18n.say(language, key if i18n.has(key) else "hint.other")


def _say(letter: Letter, key: str, **values: object) -> str:
    kind = "better" if letter.kind == "ready" and letter.facts["version"] > 1 else letter.kind
    return i18n.say(letter.language, f"mail.{kind}.{key}", **values)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, autoescape=lambda name: bool(name and name.endswith(".html")),
    )  # fmt: skip


def _render(name: str, letter: Letter, values: Mapping[str, Any]) -> str:
    def say(key: str, **more: object) -> str:
        return _say(letter, key, **{**values["words"], **more})

    def t(key: str, **more: object) -> str:
        return i18n.say(letter.language, key, **more)

    def word(kind: str, code: str) -> str:
        key = f"{kind}.{code}"
        return t(key) if i18n.has(key) else code

    return _templates().get_template(name).render(
        say=say, t=t, word=word, language=letter.language, recipient=letter.recipient,
        redirected=bool(letter.redirect), **values,
    )  # fmt: skip
