"""Where a URL leads, read so that every parser reads the same; all others are refused. Pure."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from merger.logs import printable

WEB = ("http", "https")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([/?#].*)?", re.DOTALL)
_AUTHORITY = re.compile(
    r"(\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.~-]+)?\]|[^\[\]:%@\\]+)(?::([0-9]{0,5}))?"
)
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
# As inet_aton reads them, and so every name server's client: 127.1, 0x7f.1, 2130706433, 010.0.0.1.
_NUMBER = r"(0x[0-9a-f]*|[0-9]+)"
_NUMBERS = re.compile(rf"{_NUMBER}(\.{_NUMBER})*\.?")
_LONGEST_NAME, _LONGEST_SHOWN = 253, 100


class Unclear(ValueError):
    """A text is no URL, or one that two programs might read differently."""


@dataclass(frozen=True)
class Target:
    """Where a URL leads. host: in lower case and ASCII, without a dot at its end."""

    scheme: str
    host: str
    port: int | None = None


def target_of(url: str, schemes: Collection[str] = WEB) -> Target:
    """Return where a URL of some schemes leads. Raises Unclear.

    For the schemes of the web the answer is urllib3's, which will connect.
    """
    match = _URL.fullmatch(url)
    if match is None or not url.isprintable() or re.search(r"\s", url):
        raise Unclear("not a URL")
    scheme = match[1].lower()
    authority = _AUTHORITY.fullmatch(match[2])
    if scheme not in schemes or authority is None:
        raise Unclear("not a URL")
    target = Target(scheme, _host(authority[1]), int(authority[2]) if authority[2] else None)
    if target.port is not None and not 1 <= target.port <= 65535:
        raise Unclear("no port")
    if scheme in WEB:
        _require_same(target, url)
    return target


def scheme_and_host(url: str) -> str:
    """Return the scheme and host of any text, for people, without what may be a password."""
    match = _URL.match(url)
    if match is None:
        return "?"
    return printable(f"{match[1]}://{match[2].rpartition('@')[2]}"[:_LONGEST_SHOWN])


def _require_same(target: Target, url: str) -> None:
    """Raise Unclear where the library that connects reads a URL in another way."""
    # It takes a twentieth of a second to import, and whoever has no such URL does without.
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        read = parse_url(url)
    except LocationParseError as error:
        raise Unclear("not a URL") from error
    if Target(read.scheme or "", _host(read.host or ""), read.port) != target:
        raise Unclear("read in two ways")


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    name = _ascii(text).lower()
    if _NUMBERS.fullmatch(name):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise Unclear("an odd IPv4 address") from error
    name = name.removesuffix(".")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise Unclear("no host")
    return name


def _ipv6(text: str) -> str:
    address, percent, zone = text.partition("%")
    try:
        ip = ipaddress.IPv6Address(address)
    except ValueError as error:
        raise Unclear("no IPv6 address") from error
    if not percent:
        return str(ip)
    if not ip.is_link_local:
        raise Unclear("a zone where none belongs")
    return f"{ip}%{zone.removeprefix('25')}"


def _ascii(name: str) -> str:
    """Return a name as name servers are asked for it."""
    if name.isascii():
        return name
    import idna

    # Letters that stand for others (fullwidth, circled, a kelvin sign, another dot) are mapped by
    # one program and not by the next, and the two standards differ about some: all are refused.
    try:
        if unicodedata.normalize("NFKC", name) != name or re.search("[\u3002\uff0e\uff61]", name):
            raise Unclear("letters that stand for others")
        encoded = idna.encode(name.lower()).decode()
        if name.lower().encode("idna").decode() != encoded:
            raise Unclear("read in two ways")
    except Unclear:
        raise
    except ValueError as error:  # a UnicodeError
        raise Unclear("no host") from error
    return encoded
