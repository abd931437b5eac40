"""A session against real servers on this machine: what is sent to whom, and what to nobody."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from merger.errors import Broken
from merger.network.addresses import NotAllowed, Rules, networks
from merger.network.session import guard

pytestmark = pytest.mark.quick


@dataclass
class Heard:
    """A server. to: where it redirects. connections: how many there were; asked: the paths."""

    address: str = ""
    to: str = ""
    connections: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def served(host: str, to: str = "") -> Iterator[Heard]:
    heard = Heard(to=to)

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            heard.connections += 1
            super().setup()

        def do_GET(self) -> None:
            heard.asked.append(self.path)
            self.send_response(302 if heard.to else 200)
            self.send_header("Location", heard.to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    heard.address = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def here() -> Iterator[Heard]:
    with served("127.0.0.1") as one:
        yield one


@pytest.fixture
def elsewhere() -> Iterator[Heard]:
    with served("127.0.0.2") as one:
        yield one


def session(*listed: str) -> requests.Session:
    made = guard(requests.Session(), Rules("oidc", networks(",".join(listed))))
    made.trust_env = False
    return made


def get(url: str, *listed: str) -> requests.Response:
    with session(*listed) as made:
        return made.get(url, timeout=60)


def test_what_is_listed_is_asked_and_nothing_else(here: Heard, elsewhere: Heard) -> None:
    assert get(f"{here.address}/a", "127.0.0.1").status_code == 200
    with pytest.raises(NotAllowed, match=r"MERGER_ALLOWED_NETWORKS as oidc=127\.0\.0\.2"):
        get(f"{elsewhere.address}/b", "127.0.0.1")
    assert (here.asked, elsewhere.connections) == (["/a"], 0)


def test_each_redirect_is_looked_at(here: Heard, elsewhere: Heard) -> None:
    here.to = f"{elsewhere.address}/b"
    assert get(here.address, "127.0.0.0/8").status_code == 200
    assert elsewhere.asked == ["/b"]
    with pytest.raises(NotAllowed):
        get(here.address, "127.0.0.1")
    assert elsewhere.connections == 1 and len(here.asked) == 2


@pytest.mark.parametrize(
    "form", ["http://127.2:{}/", "http://0x7f000002:{}/", "http://2130706434:{}/", "http://a\\@127.0.0.2:{}/"]
)  # fmt: skip
def test_a_redirect_that_is_unclear(here: Heard, elsewhere: Heard, form: str) -> None:
    here.to = form.format(elsewhere.address.rpartition(":")[2])
    with pytest.raises((Broken, requests.exceptions.InvalidURL)):
        get(here.address, "127.0.0.0/8")
    assert elsewhere.connections == 0 and here.asked == ["/"]


def test_a_name_that_leads_to_another_address_the_second_time(
    here: Heard, elsewhere: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks a second time: what was checked is what is connected to."""
    port = int(here.address.rpartition(":")[2])
    answers = ["127.0.0.1", "127.0.0.2"]
    real = socket.getaddrinfo

    def told(host: Any, *more: Any, **options: Any) -> Any:
        if host == "rebinding.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", told)
    url = f"http://rebinding.example:{port}/x"
    assert get(url, "127.0.0.1").status_code == 200
    assert (here.asked, answers) == (["/x"], ["127.0.0.2"])
    with pytest.raises(NotAllowed, match=r"rebinding\.example leads to 127\.0\.0\.2"):
        get(url, "127.0.0.1")
    assert here.asked == ["/x"] and elsewhere.connections == 0


def test_whoever_is_connected_to_is_looked_at_before_anything_is_sent(here: Heard) -> None:
    """0.0.0.0 is allowed here, but those who connect to it find themselves at 127.0.0.1."""
    port = here.address.rpartition(":")[2]
    with pytest.raises(NotAllowed, match=r"0\.0\.0\.0 leads to 127\.0\.0\.1"):
        get(f"http://0.0.0.0:{port}/", "0.0.0.0")
    assert get(f"http://0.0.0.0:{port}/", "0.0.0.0", "127.0.0.1").status_code == 200
    assert here.asked == ["/"]


def test_several_addresses_are_tried(here: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(here.address.rpartition(":")[2])

    def told(host: Any, *_: Any, **__: Any) -> Any:
        found = ("127.0.0.3", "127.0.0.1") if host == "two.example" else (host,)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in found]

    monkeypatch.setattr(socket, "getaddrinfo", told)
    assert get(f"http://two.example:{port}/", "127.0.0.0/8").status_code == 200
    with pytest.raises(NotAllowed):
        get(f"http://two.example:{port}/", "127.0.0.1")


def test_an_unknown_name_is_away_and_not_refused() -> None:
    with pytest.raises(requests.ConnectionError):
        get("http://no-such-host.invalid/")


def test_kept_connections_are_those_that_were_checked(here: Heard) -> None:
    with ExitStack() as stack:
        made = stack.enter_context(session("127.0.0.1"))
        for path in ("/a", "/b"):
            made.get(here.address + path, timeout=60)
    assert here.asked == ["/a", "/b"]
