"""Connects to a source: to the very host that was checked, and nowhere else."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import av
import av.container

from merger.errors import Refused, Temporary
from merger.i18n import Message, Param
from merger.network.addresses import LOCAL, NotAllowed, Rules, networks
from merger.network.resolve import allowed_addresses
from recorders.rtsp.redirects import refuse_redirects
from recorders.rtsp.wire import Ended, Job, emit

_OPEN_S, _READ_S = 10.0, 5.0  # without an answer; without a packet
_PORTS = {"rtsp": 554, "rtsps": 322}


class ConnectionOver(Exception):
    """The connection is over. ended: why, for the supervisor."""

    def __init__(self, code: str, key: str, /, **params: Param) -> None:
        super().__init__(code)
        self.ended = Ended(code, Message(key, **params))


def connect(job: Job) -> av.container.InputContainer:
    """Connect to a source. Raises MergerError, av.FFmpegError."""
    parts = urlsplit(job.url)  # as everybody would: `address_of` has refused the rest
    port = parts.port or _PORTS[parts.scheme]
    rules = Rules("cameras", networks(job.allowed))
    host = resolve(parts.hostname or "", port, rules)
    bracketed = f"[{host}]" if ":" in host else host
    user_and_password = ""
    if job.credentials:
        user, _, password = job.credentials.partition(":")
        user_and_password = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    with refuse_redirects(_report_redirect):
        container = av.open(
            f"{parts.scheme}://{user_and_password}{bracketed}:{port}{path}",
            options={
                "rtsp_transport": "tcp",
                "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls,udp",
                "analyzeduration": "2000000",
            },
            timeout=(_OPEN_S, _READ_S),
            metadata_errors="replace",
        )
    assert isinstance(container, av.container.InputContainer)
    # Should FFmpeg have followed a camera elsewhere all the same, nothing of it is recorded.
    try:
        for peer in _peers():
            rules.check(peer, [peer])
    except NotAllowed as error:
        container.close()
        raise refusal(error) from error
    return container


def _report_redirect(place: str | None) -> None:
    where = place or Message("recorders.no_address")
    emit(Ended("address", Message("recorders.rtsp.redirected", place=where), is_lasting=True))


def _peers() -> Iterator[str]:
    """Yield the addresses that this process is connected to."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if not stat.S_ISSOCK(link.stat().st_mode):
                continue
            with socket.socket(fileno=os.dup(int(link.name))) as other:
                peer = other.getpeername()
            if isinstance(peer, tuple):
                yield str(peer[0])


def refusal(error: NotAllowed) -> Refused:
    """Return the error of a camera that is not connected to."""
    if error.kind in LOCAL:
        # What answers there (a database, another service) trusts who is that near.
        return Refused("address", "recorders.rtsp.local_host", host=error.host)
    what = Message(f"network.kind.{error.kind}")
    return Refused(
        "address", "recorders.rtsp.refused_host", host=error.host, address=error.address, what=what
    )


def resolve(host: str, port: int, rules: Rules) -> str:
    """Return the one address of a host that is to be connected to, as its name says now.

    Raises Temporary where the name is not known now, Refused where it leads where no camera may be.
    """
    try:
        return allowed_addresses(host, port, rules)[0]
    except NotAllowed as error:
        raise refusal(error) from error
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Temporary("host", "recorders.rtsp.no_host", host=host, why=why) from error
