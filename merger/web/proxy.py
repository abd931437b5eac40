"""Which proxy is trusted to say where a request comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_FORWARDED = ("HTTP_X_FORWARDED_", "HTTP_FORWARDED")


class BehindProxy:
    """An application that trusts the X-Forwarded-… of one address, and removes those of others.

    Done here, it is the same under every server.

    Args:
        app: the application.
        trusted: the address of the proxy; empty for none, `*` for any.
    """

    def __init__(self, app: WSGIApplication, trusted: str) -> None:
        self._app = app
        self._trusting = ProxyFix(app, x_for=1, x_proto=1, x_host=1, x_port=1)
        self._trusted = trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._trusted and self._trusted in ("*", environ.get("REMOTE_ADDR")):
            return self._trusting(environ, start_response)
        for name in [name for name in environ if name.startswith(_FORWARDED)]:
            del environ[name]
        return self._app(environ, start_response)
