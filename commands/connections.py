"""Which hosts the service is to connect to, and whether it may: for `init-db` and `check`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from merger.db import connection_rules, schema
from merger.db.connection_rules import Hosts
from merger.errors import MergerError
from merger.i18n import Message
from merger.monitoring.findings import Finding, Level, findings_of
from merger.network.addresses import NotAllowed, Purpose, Rules, literal_of
from merger.network.resolve import allowed_addresses
from merger.network.targets import WEB, Unclear, scheme_and_host, target_of
from merger.rooms import store
from recorders.rtsp.address import SCHEMES

if TYPE_CHECKING:
    from merger.config import Settings

_LOOKED_UP_AT_ONCE = 16  # name servers that are away keep each waiting for seconds


@dataclass(frozen=True)
class Use:
    """A URL that the service is to connect to, and where it is written."""

    purpose: Purpose
    url: str
    where: Message | str


def remember_hosts(settings: Settings, engine: Engine) -> None:
    """Keep the hosts that are in use and would be refused now, unless that was done before."""
    if connection_rules.has_earlier_hosts(engine):
        return
    uses = list(_uses(settings, engine))
    with ThreadPoolExecutor(_LOOKED_UP_AT_ONCE) as pool:
        looked_up = pool.map(lambda use: _refused_host(settings, use), uses)
        found: dict[Purpose, dict[str, str]] = {}
        for use, pair in zip(uses, looked_up, strict=True):
            if pair is not None:
                host, address = pair
                found.setdefault(use.purpose, {})[host] = address
    connection_rules.keep_earlier_hosts(engine, found)


def remember_no_hosts(engine: Engine) -> None:
    """Keep that no hosts were in use, where there were no tables yet."""
    connection_rules.keep_earlier_hosts(engine, {})


def findings(settings: Settings, engine: Engine) -> list[Finding]:
    """Return which hosts go on working only because they were in use, or are written literally."""
    try:
        if schema.state(engine) != "current":
            return []  # which is a finding of its own
    except MergerError:
        return []
    return findings_of("addresses", lambda: _findings(settings, engine))


def _findings(settings: Settings, engine: Engine) -> Iterator[Finding]:
    for use in _uses(settings, engine):
        try:
            host = _host(use)
        except Unclear:
            unclear = Message("network.unclear", place=scheme_and_host(use.url))
            finding: Finding | None = _finding(use, "broken", unclear)
        else:
            earlier = connection_rules.earlier_hosts(engine, use.purpose)
            listed = connection_rules.listed_rules(settings, use.purpose)
            try:
                finding = _finding_of(use, host, listed, earlier)
            except (OSError, UnicodeError):
                finding = None  # its name is not known now
        # Of a camera that is refused, its room tells.
        if finding is not None and (use.purpose != "cameras" or finding.level != "broken"):
            yield finding


def _finding_of(use: Use, host: str, listed: Rules, earlier: Hosts) -> Finding | None:
    address = literal_of(host) or earlier.get(host)
    if address is None:
        return None  # a name that nothing is known against
    refusal = _refusal(listed, host, address)
    if refusal is None:
        return None
    allowed = replace(listed, earlier=frozenset(earlier))
    if use.purpose != "cameras":
        allowed = allowed.trusting(host)
    if allowed.refused_kind(host, refusal.address):
        return _finding(use, "broken", refusal.message)
    return _finding(use, "warning", Message("network.goes_on", why=refusal.message))


def _refusal(rules: Rules, host: str, address: str = "") -> NotAllowed | None:
    """Return why a host is not allowed, at an address or wherever it is now.

    Raises OSError, UnicodeError where nobody knows that.
    """
    try:
        if address:
            rules.check(host, [address])
        else:
            allowed_addresses(host, 0, rules)
    except NotAllowed as error:
        return error
    return None


def _finding(use: Use, level: Level, why: Message) -> Finding:
    return Finding("addresses", level, Message("network.of", where=use.where, why=why))


def _refused_host(settings: Settings, use: Use) -> tuple[str, str] | None:
    """Return the host of a use with an address for which it is refused; None where it is not."""
    try:
        host = _host(use)
    except Unclear:
        return None
    try:
        refusal = _refusal(connection_rules.listed_rules(settings, use.purpose), host)
    except (OSError, UnicodeError):
        return host, ""  # perhaps it is away today
    return (host, refusal.address) if refusal else None


def _host(use: Use) -> str:
    return target_of(use.url, SCHEMES if use.purpose == "cameras" else WEB).host


def _uses(settings: Settings, engine: Engine) -> Iterator[Use]:
    for room in store.stored_rooms(engine):
        for source in room.sources:
            if source.kind == "rtsp":
                where = Message("rooms.place.source_of_room", source=source.name, room=room.name)
                yield Use("cameras", source.address.partition("#")[0], where)
    if settings.webhook_url:
        yield Use("webhooks", settings.webhook_url, "MERGER_WEBHOOK_URL")
    if settings.oidc_issuer:
        yield Use("oidc", settings.oidc_issuer, "MERGER_OIDC_ISSUER")
    if url := settings.timetable_url.reveal():
        yield Use("timetables", url, "MERGER_TIMETABLE_URL")
