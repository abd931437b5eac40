"""The server: where it listens, whom it believes, and how it ends."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from flask import Flask, request

from merger.errors import Broken, Refused
from merger.web import server as server_module
from merger.web.app import LARGEST_BODY, create_web
from merger.web.proxy import BehindProxy
from merger.web.server import Server, _Channel
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.waiting import DEADLINE_S, happens, until

HOST = "127.0.0.1"
SPOOFED = {
    "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "lectures.example.edu",
    "X-Forwarded-Proto": "https", "Forwarded": "for=192.0.2.8;host=evil.example",
}  # fmt: skip


@contextmanager
def serving(app: Any, host: str = HOST, proxy: str = "") -> Iterator[Server]:
    server = Server(BehindProxy(app, proxy), host, 0)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def app_of(view: Callable[[], Any]) -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/", "view", view, methods=["GET", "POST"])
    return app


def seen() -> dict[str, Any]:
    forwarded = [name for name, _ in request.headers if "forwarded" in name.lower()]
    return {"from": request.remote_addr, "url": request.url, "left": forwarded}


@pytest.mark.parametrize("proxy", ["", "192.0.2.1"])
def test_what_anybody_may_have_written_is_not_believed(proxy: str) -> None:
    with serving(app_of(seen), proxy=proxy) as server:
        told = requests.get(server.address, headers=SPOOFED, timeout=600).json()
    assert told == {"from": HOST, "url": server.address, "left": []}


def test_the_proxy_is_believed() -> None:
    with serving(app_of(seen), proxy=HOST) as server:
        told = requests.get(server.address, headers=SPOOFED, timeout=600).json()
        assert told["from"] == "192.0.2.7"
        assert told["url"] == "https://lectures.example.edu/"
        # What it was sent itself, before its own word, is not.
        chain = {"X-Forwarded-For": "10.0.0.1, 192.0.2.7"}
        assert (
            requests.get(server.address, headers=chain, timeout=600).json()["from"] == "192.0.2.7"
        )


@ON_SQLITE
def test_every_server_believes_the_proxy_alone(site: Site) -> None:
    """Ten wrong keys of one address keep no other waiting; nobody can take another's address."""
    site.environ["MERGER_TRUSTED_PROXY"] = "192.0.2.1"
    client = create_web(site.service).test_client()  # any server calls the application like this

    def guess(at: str, client_of: str) -> int:
        return client.get(
            "/api/v1/records",
            headers={"X-Forwarded-For": client_of, "key": "wrong"},
            environ_overrides={"REMOTE_ADDR": at},
        ).status_code

    for _ in range(10):
        assert guess("192.0.2.1", "192.0.2.7") == 401
    assert guess("192.0.2.1", "192.0.2.7") == 429
    assert guess("192.0.2.1", "192.0.2.8") == 401
    for n in range(10):
        assert guess("192.0.2.2", f"192.0.2.{n + 10}") == 401
    assert guess("192.0.2.2", "192.0.2.99") == 429


def test_the_server_does_not_say_what_it_is() -> None:
    with serving(app_of(lambda: "ok")) as server:
        assert "Server" not in requests.get(server.address, timeout=600).headers


def test_a_port_that_another_has() -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Broken, match=f"cannot listen on {HOST}, port {port}.*MERGER_PORT"):
            Server(app_of(seen), HOST, port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "256.1.1.1", "a b"])
def test_an_address_that_is_none(host: str) -> None:
    with pytest.raises(Refused, match="MERGER_HOST"):
        Server(app_of(seen), host, 0)


def test_an_address_of_another_machine() -> None:
    with pytest.raises(Broken, match=r"cannot listen on 192\.0\.2\.1"):
        Server(app_of(seen), "192.0.2.1", 0)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_an_address_of_ipv6() -> None:
    with serving(app_of(seen), host="::1") as server:
        assert server.address.startswith("http://[::1]:")
        assert requests.get(server.address, timeout=600).status_code == 200


def test_what_is_asked_before_the_end_is_answered() -> None:
    begun, may_end = threading.Event(), threading.Event()
    text = "x" * 5_000_000  # more than what is sent at once

    def slow() -> str:
        begun.set()
        may_end.wait(30)
        return text

    answers: list[str] = []
    with serving(app_of(slow)) as server:
        ask = threading.Thread(
            target=lambda: answers.append(requests.get(server.address, timeout=600).text)
        )
        ask.start()
        happens(begun)
        stop = threading.Thread(target=server.stop)
        stop.start()
        until = time.monotonic() + 10
        while time.monotonic() < until:  # nobody new gets in
            try:
                requests.get(server.address, timeout=0.2)
            except requests.ConnectionError:
                break
            except requests.Timeout:
                continue
        assert server.lives
        may_end.set()
        ask.join()
        stop.join()
    assert answers == [text]
    assert not server.lives
    server.stop()  # again is as good


def test_connections_that_are_kept_open_do_not_delay_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("merger.web.server._ENDS_WITHIN_S", DEADLINE_S)
    with requests.Session() as client, serving(app_of(lambda: "ok")) as server:
        assert client.get(server.address, timeout=600).text == "ok"
        port = int(server.address.rstrip("/").rpartition(":")[2])
        with socket.create_connection((HOST, port)) as silent:
            silent.send(b"GET / HT")
            begun = time.monotonic()
            server.stop()
            assert time.monotonic() - begun < DEADLINE_S


def test_a_body_without_end_is_not_kept() -> None:
    with serving(app_of(lambda: "ok")) as server:
        assert requests.post(server.address, data=b"x" * LARGEST_BODY, timeout=600).text == "ok"
        sent = 0

        def endless() -> Iterator[bytes]:
            nonlocal sent
            while sent < 1000 * LARGEST_BODY:
                sent += 1 << 16
                yield b"x" * (1 << 16)

        with suppress(requests.ConnectionError):  # it is hung up on
            assert requests.post(server.address, data=endless(), timeout=600).status_code == 413
        assert sent < 100 * LARGEST_BODY


def test_many_slow_readers_leave_room_for_others() -> None:
    """Each downloads something large and does not read it."""
    text = "x" * 3_000_000
    with serving(app_of(lambda: text)) as server:
        port = int(server.address.rstrip("/").rpartition(":")[2])
        readers = []
        for _ in range(40):
            reader = socket.create_connection((HOST, port))
            reader.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            readers.append(reader)
        assert len(requests.get(server.address, timeout=600).text) == len(text)
        for reader in readers:
            reader.close()


# --- connections on which nothing comes -----------------------------------------------------------


def channel(**changes: Any) -> Any:
    """Return what the server knows of a connection that was opened at 100 s."""
    known = {"requests": [], "total_outbufs_len": 0, "request": None, "opened_s": 100.0,
             "heard_s": 100.0, "asked_s": None, **changes}  # fmt: skip
    return SimpleNamespace(**known)


def coming(begun_s: float, *, is_body: bool = False) -> Any:
    return SimpleNamespace(begun_s=begun_s, headers_finished=is_body)


@pytest.mark.parametrize(
    ("known", "until_s"),
    [
        ({}, 110),  # nothing was ever asked
        ({"request": coming(105), "heard_s": 109}, 110),  # a header that drips in
        ({"request": coming(105, is_body=True), "heard_s": 109}, 119),
        ({"request": coming(105, is_body=True), "heard_s": 164}, 165),  # a body that drips in
        ({"asked_s": 200}, 320),  # kept open between two requests
        ({"asked_s": 200, "heard_s": 319}, 320),  # empty lines are no request
        ({"asked_s": 200, "request": coming(300), "heard_s": 309}, 310),
        ({"requests": ["one"]}, math.inf),  # it waits for us
        ({"total_outbufs_len": 5}, math.inf),  # it reads
    ],
)
def test_how_long_a_client_is_waited_for(known: dict[str, Any], until_s: float) -> None:
    assert _Channel.waits_until(channel(**known), is_full=False) == until_s


def test_where_there_is_no_room_for_another_nobody_keeps_a_connection_open() -> None:
    assert _Channel.waits_until(channel(asked_s=200), is_full=True) == 210


@pytest.mark.parametrize(
    "began", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n"]
)
def test_a_connection_on_which_a_request_drips_in_is_ended(
    monkeypatch: pytest.MonkeyPatch, began: bytes
) -> None:
    for name in ("_HEADER_WITHIN_S", "_BODY_WITHIN_S", "_SERVE_S"):
        monkeypatch.setattr(server_module, name, 0.05)
    with serving(app_of(lambda: "ok")) as server, socket.socket() as client:
        client.connect((HOST, int(server.address.rstrip("/").rpartition(":")[2])))
        client.sendall(began)
        client.settimeout(0.02)

        def is_ended() -> bool:
            try:
                if began:
                    client.send(b"x")
                return client.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        until(is_ended)
