"""The web service on a port: waitress, in a thread of its own, with an orderly end."""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server

from merger.errors import Broken, Refused
from merger.web.api.events import MOST_STREAMS, Connection, connection
from merger.web.app import LARGEST_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

# They make the answers; files, such as videos, are sent by the loop, and occupy none. Streams of
# events occupy one each: there are some for them alone.
_THREADS = 16 + MOST_STREAMS
_CONNECTIONS = 1000
# A body that is somewhat too large is refused by the application, in our words.
_LARGEST_BODY = 16 * LARGEST_BODY
_SERVE_S = 1.0
_ENDS_WITHIN_S = 10.0
# Whoever opens a connection is to ask for something soon, or makes room for others.
_HEADER_WITHIN_S = 10.0
_SILENT_IN_BODY_S = 10.0
_BODY_WITHIN_S = 60.0
_IDLE_S = 120.0  # between two requests; proxies count on more than a minute


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """A request that is on its way in."""

    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.begun_s = time.monotonic()


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that knows how long it has been waited for. Times are of the monotonic clock."""

    parser_class = _Request

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.opened_s = self.heard_s = time.monotonic()
        self.asked_s: float | None = None  # when it was last busy with a request
        super().__init__(*arguments, **options)

    def received(self, data: bytes) -> Any:
        self.heard_s = time.monotonic()
        return super().received(data)

    def service(self) -> None:
        self.asked_s = time.monotonic()
        super().service()
        self.asked_s = time.monotonic()

    def waits_until(self, *, is_full: bool) -> float:
        """Return until when the client has time to send more.

        Args:
            is_full: there is no room for another connection.
        """
        if self.requests or self.total_outbufs_len:  # it is the client that waits, or reads
            return math.inf
        request: _Request | None = self.request
        if request is not None and request.headers_finished:
            return min(self.heard_s + _SILENT_IN_BODY_S, request.begun_s + _BODY_WITHIN_S)
        if self.asked_s is None:
            return self.opened_s + _HEADER_WITHIN_S
        if request is not None:
            return request.begun_s + _HEADER_WITHIN_S
        return self.asked_s + (_HEADER_WITHIN_S if is_full else _IDLE_S)


class Server:
    """Answers requests in a thread of its own, from its start until it is stopped.

    Raises:
        Refused: the host is not an address of this machine.
        Broken: nothing can listen on the port.
    """

    def __init__(self, app: WSGIApplication, host: str, port: int) -> None:
        self._map: dict[int, Any] = {}
        self._looked_s = 0.0
        self._stopping = threading.Event()

        def stoppable(environ: Any, start_response: Any) -> Any:
            is_gone = environ["waitress.client_disconnected"]
            connection.set(Connection(self._stopping, is_gone))
            return app(environ, start_response)

        self._server = create_server(
            stoppable, map=self._map, sockets=[_listen(host, port)], threads=_THREADS, ident=None,
            connection_limit=_CONNECTIONS, max_request_body_size=_LARGEST_BODY,
            clear_untrusted_proxy_headers=False,  # the application does that
            channel_request_lookahead=1,  # a client that goes is noticed while it is answered
        )  # fmt: skip
        self._server.channel_class = _Channel
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
        """Answer the requests that have come, accept no more, and end."""
        self._stopping.set()
        if self.lives:
            with suppress(OSError):  # it has just ended
                self._server.pull_trigger()
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._serve(_SERVE_S)
                self._end_overdue()
            self._finish()
        except Exception:  # the server's last resort
            log.exception("a bug in this program; the web service ends")
        finally:
            self._server.task_dispatcher.shutdown()
            for channel in list(self._server.active_channels.values()):
                channel.handle_close()  # with its temporary files
            wasyncore.close_all(self._map, ignore_all=True)

    def _serve(self, within_s: float) -> None:
        wasyncore.loop(within_s, use_poll=True, map=self._map, count=1)

    def _end_overdue(self) -> None:
        """End connections that were waited for long enough; once a second, for there are many."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _SERVE_S:
            return
        self._looked_s = now_s
        is_full = self._server.in_connection_overflow
        for channel in self._server.active_channels.values():
            if channel.waits_until(is_full=is_full) < now_s:
                channel.will_close = True  # as soon as it is served next, which is now

    def _finish(self) -> None:
        wasyncore.dispatcher.close(self._server)  # no new connections; its trigger still works
        until = time.monotonic() + _ENDS_WITHIN_S
        while time.monotonic() < until and any(
            channel.requests or channel.total_outbufs_len
            for channel in self._server.active_channels.values()
        ):
            self._serve(0.1)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0 is any free one."""
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except socket.gaierror as error:
        raise Refused("host", "web.host", host=host) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise Broken("port", "web.port", host=host, port=port, why=why) from error
