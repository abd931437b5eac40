"""Loads a file from Zoom: from its hosts alone, in pieces, and on where a connection broke off."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from merger.errors import Broken, Temporary
from merger.i18n import Message
from merger.network.addresses import NOT_PUBLIC, NotAllowed, Rules, address_of
from merger.network.session import guard
from merger.network.targets import Unclear, scheme_and_host, target_of
from recorders import base
from recorders.zoom.api import TIMEOUT_S, Bearer, Client, pause_s

_MOST_REDIRECTS = 5
_PIECE = 1 << 16  # bytes; of one that breaks off, nothing is kept
_FRUITLESS = 4  # tries in a row without any progress
_BROKE_OFF = (requests.RequestException, HTTPError, ConnectionError, TimeoutError)


class NotThere(Exception):
    """The address is no longer good: it has expired, or the file is deleted, or not for us."""

    def __init__(self, why: Message) -> None:
        super().__init__(str(why))
        self.why = why


def download(
    client: Client, url: str, partial: Path, size_bytes: int, cancelled: Callable[[], bool]
) -> None:
    """Load a file as a whole.

    It is shorter than expected where Zoom says in the end that there is no more of it.

    Args:
        size_bytes: that it should have; 0 where nobody knows.

    Raises:
        NotThere: the address gives no file.
        Broken: the address is not one of Zoom's.
        Cancelled, Temporary, OSError: as everywhere.
    """
    fruitless = most_bytes = 0
    partial.touch()
    while fruitless < _FRUITLESS:
        try:
            with guard(requests.Session(), rules_of(client.account.hosts)) as session:
                is_complete = _load_more(client, session, url, partial, size_bytes, cancelled)
        except _BROKE_OFF:
            is_complete = False
        except NotAllowed as error:
            key, host, address = "recorders.zoom.local_host", error.host, error.address
            raise Broken("source", key, host=host, address=address) from error
        if is_complete:
            return
        # What was there before, and is loaded anew, is no progress.
        there = partial.stat().st_size
        fruitless = 0 if there > most_bytes else fruitless + 1
        most_bytes = max(most_bytes, there)
        if fruitless:
            client.pause(pause_s(fruitless))
    raise Temporary("source_away", "recorders.zoom.interrupted", file=partial.name)


def _load_more(
    client: Client,
    session: requests.Session,
    url: str,
    partial: Path,
    size_bytes: int,
    cancelled: Callable[[], bool],
) -> bool:
    """Load what is missing of a file; return whether it is complete now, as far as Zoom knows."""
    there = partial.stat().st_size
    headers = {"Accept-Encoding": "identity"}  # lengths are of the file itself
    if there:
        headers["Range"] = f"bytes={there}-"
    with _follow(client, session, url, headers) as response:
        if response.status_code == 416:
            if _total_bytes(response) == there:
                return True  # the list of files says another size, but there is no more
            partial.write_bytes(b"")  # what is there is not the beginning of what it is now
            return False
        if response.status_code in (429, 500, 502, 503, 504):
            client.wait(response, 1)
            return False
        is_page = response.headers.get("Content-Type", "").lower().startswith("text/html")
        if response.status_code not in (200, 206) or is_page:
            key = "recorders.zoom.page" if is_page else "recorders.zoom.status"
            raise NotThere(Message(key, status=response.status_code))
        resumes = response.status_code == 206 and _start_of(response) == there
        whole = (there if resumes else 0) + int(response.headers.get("Content-Length") or 0)
        with partial.open("ab" if resumes else "wb") as file:
            for block in response.iter_content(min(base.BLOCK, _PIECE)):
                base.stop_if(cancelled)
                file.write(block)
                file.flush()
        # Whoever truncates an answer may well announce it with the length that it then has.
        return partial.stat().st_size >= max(size_bytes, whole)


def _start_of(response: requests.Response) -> int:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _total_bytes(response: requests.Response) -> int:
    """Return how long a file is, as a refusal to give more of it says (RFC 9110, 14.4)."""
    match = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _follow(
    client: Client, session: requests.Session, url: str, headers: dict[str, str]
) -> requests.Response:
    """Return what an address gives, in the end; every address on the way is one of Zoom's."""
    for _ in range(_MOST_REDIRECTS):
        check_address(url, client.account.hosts)
        response = session.get(
            url, headers=headers, auth=Bearer(client.token()), stream=True, timeout=TIMEOUT_S,
            allow_redirects=False,
        )  # fmt: skip
        to = response.headers.get("Location")
        if not response.is_redirect or to is None:
            return response
        response.close()
        url = urljoin(url, to)
    raise Temporary("source_away", "recorders.zoom.circles")


# --- where a file may come from -------------------------------------------------------------------


def check_address(url: str, hosts: tuple[str, ...]) -> None:
    """Raise Broken for an address that is not below one of some hosts, and over TLS.

    An address of a machine that stands there literally may be without.
    """
    try:
        target = target_of(url)
    except Unclear as error:
        raise _foreign(
            scheme_and_host(url) if url else Message("recorders.no_address"), hosts
        ) from error
    if address_of(target.host) is not None:
        is_fine = target.host in hosts
    else:
        below = any(target.host == top or target.host.endswith(f".{top}") for top in hosts)
        is_fine = below and target.scheme == "https"
    if not is_fine:
        raise _foreign(f"{target.scheme}://{target.host}", hosts)


def _foreign(place: str | Message, hosts: tuple[str, ...]) -> Broken:
    return Broken("source", "recorders.zoom.foreign_host", place=place, hosts=hosts)


def rules_of(hosts: tuple[str, ...]) -> Rules:
    """Return where a file may come from: the Internet, and addresses among some hosts.

    A name that leads to one of those is not meant.
    """
    literals = (address for host in hosts if (address := address_of(host)) is not None)
    listed = tuple(map(ipaddress.ip_network, literals))
    return Rules("zoom", listed, refused=NOT_PUBLIC, is_literal=True)
