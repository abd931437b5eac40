"""Whose word counts for where a request comes from: the trusted proxy's, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_SAID = ("HTTP_X_FORWARDED_", "HTTP_FORWARDED")


class BehindProxy:
    """An application that believes the X-Forwarded-… of one address; those of others are removed.

    trusted: that address; empty: nobody's; `*`: everybody's. It is the same under every server.
    """

    def __init__(self, app: WSGIApplication, trusted: str) -> None:
        self._app = app
        self._believing = ProxyFix(app, x_for=1, x_proto=1, x_host=1, x_port=1)
        self._trusted = trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._trusted and self._trusted in ("*", environ.get("REMOTE_ADDR")):
            return self._believing(environ, start_response)
        for name in [name for name in environ if name.startswith(_SAID)]:
            del environ[name]
        return self._app(environ, start_response)
