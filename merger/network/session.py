"""The HTTP session that connects only where rules allow: each URL, each address, each redirect."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from merger.errors import Broken
from merger.network.addresses import Rules
from merger.network.resolve import allowed_addresses
from merger.network.targets import Unclear, scheme_and_host, target_of

AnySession = TypeVar("AnySession", bound=requests.Session)


def guard(session: AnySession, rules: Rules) -> AnySession:
    """Have a session connect only where rules allow; return it.

    Its requests raise NotAllowed, before anything is sent, and Broken for a URL that is unclear.
    Where the environment names a proxy, that is what is connected to, and only the URL is checked.
    """
    adapter = _Adapter(rules)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class _Adapter(HTTPAdapter):
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._rules)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        """Send a request; one that follows a redirect comes here, too."""
        url = request.url or ""
        try:
            target = target_of(url)
        except Unclear as error:
            raise Broken("address", "network.unclear", place=scheme_and_host(url)) from error
        self._rules.check_literal(target.host)
        return super().send(request, *args, **options)


def _pools(rules: Rules) -> dict[str, Any]:
    """Return the kinds of connections whose peers are checked."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, super()._new_conn, rules)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, super()._new_conn, rules)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connect(connection: Any, connect: Callable[[], socket.socket], rules: Rules) -> socket.socket:
    """Connect to an address that was checked, and look who is there before anything is sent."""
    name = connection._dns_host  # what is connected to, and whose certificate is checked later
    try:
        *others, last = allowed_addresses(name, connection.port, rules)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    try:
        peer = _first_that_answers(connection, connect, others, last)
    finally:
        connection._dns_host = name
    try:
        rules.check(connection.host.lower(), [str(peer.getpeername()[0])])
    except Exception:
        peer.close()
        raise
    return peer


def _first_that_answers(
    connection: Any, connect: Callable[[], socket.socket], others: list[str], last: str
) -> socket.socket:
    for address in others:
        connection._dns_host = address
        with suppress(NewConnectionError, ConnectTimeoutError):
            return connect()
    connection._dns_host = last
    return connect()
