"""The web service on a port: waitress, in a thread of its own, that ends in order."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.server import create_server

from merger.errors import Broken, Refused
from merger.web.app import LARGEST_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

# Answers are made in these; files, such as videos, are sent by the loop, and hold none.
_THREADS = 16
_CONNECTIONS = 1000
# What is somewhat too large is refused by the application, in our words.
_LARGEST_BODY = 16 * LARGEST_BODY
_LOOK_S = 1.0
_ENDS_WITHIN_S = 10.0


class Server:
    """Answers requests in a thread of its own, from its start until it is stopped.

    Raises Broken where the port cannot be had, Refused for an address that is none.
    """

    def __init__(self, app: WSGIApplication, host: str, port: int) -> None:
        self._map: dict[int, Any] = {}
        self._server = create_server(
            app, map=self._map, sockets=[_bound(host, port)], threads=_THREADS, ident=None,
            connection_limit=_CONNECTIONS, max_request_body_size=_LARGEST_BODY,
            clear_untrusted_proxy_headers=False,  # the application knows whom it believes
        )  # fmt: skip
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web")

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        host, port = self._server.effective_host, self._server.effective_port
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    @property
    def lives(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Answer what was asked before, and nothing more."""
        self._stopping.set()
        if self.lives:
            with suppress(OSError):  # it has just ended by itself
                self._server.pull_trigger()
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._look(_LOOK_S)
            self._finish()
        except Exception:  # the one place of the server
            log.exception("a mistake in this program; the web service ends")
        finally:
            self._server.task_dispatcher.shutdown()
            for channel in list(self._server.active_channels.values()):
                channel.handle_close()  # with what was kept in files for it
            wasyncore.close_all(self._map, ignore_all=True)

    def _look(self, within_s: float) -> None:
        wasyncore.loop(within_s, use_poll=True, map=self._map, count=1)

    def _finish(self) -> None:
        wasyncore.dispatcher.close(self._server)  # nobody new; its trigger still wakes us
        until = time.monotonic() + _ENDS_WITHIN_S
        while time.monotonic() < until and any(
            channel.requests or channel.total_outbufs_len
            for channel in self._server.active_channels.values()
        ):
            self._look(0.1)


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0 is any that is free."""
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except socket.gaierror as error:
        raise Refused("host", f"{host!r} is no address of this machine (MERGER_HOST)") from error
    except OSError as error:
        message = (
            f"nothing can listen on {host}, port {port} ({error.strerror}); end the program that"
            " does, or choose others (MERGER_HOST and MERGER_PORT, --host and --port)"
        )
        raise Broken("port", message) from error
