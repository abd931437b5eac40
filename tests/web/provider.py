"""An OpenID provider on a port of this machine, which does what a test says, right or wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "merger-tests", "client-s3cret"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})


@dataclass
class Provider:
    """Everybody who comes is signed in at once.

    claims: beside those of the subject, or instead of them; None leaves one out. broken: paths that
    are answered with something else, by status and body. denies: whether the person says no.
    """

    claims: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: KEY)
    denies: bool = False
    broken: dict[str, tuple[int, str]] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        at = self.address
        told = {
            "issuer": at, "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token", "jwks_uri": f"{at}/keys",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }  # fmt: skip
        return told | ({"userinfo_endpoint": f"{at}/userinfo"} if self.userinfo else {})

    def authorize(self, query: dict[str, str]) -> str:
        """Return where a person is sent back to."""
        assert query["client_id"] == CLIENT and query["response_type"] == "code"
        assert {"openid", "email"} <= set(query["scope"].split())
        assert query["code_challenge_method"] == "S256" and query["nonce"] and query["state"]
        if self.denies:
            answer = {"error": "access_denied", "error_description": "<b>no</b>"}
        else:
            code = f"code-{len(self._codes)}"
            self._codes[code] = query
            answer = {"code": code}
        return f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Return what is given for a code: once, to who asked for it, with their verifier."""
        asked = self._codes.pop(form.get("code", ""), None)
        who = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or who != f"{CLIENT}:{SECRET}"
            or form["redirect_uri"] != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.address, "sub": "7", "aud": CLIENT, "iat": now, "exp": now + 60,
            "nonce": asked["nonce"], "email": "Ann@Example.org", "email_verified": True,
            "name": "Ann Example", **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": signed}

    def answer(self, method: str, path: str, text: str, authorization: str) -> tuple[int, str]:
        self.asked.append(path)
        if path in self.broken:
            return self.broken[path]
        if path == "/token" and method == "POST":
            form = {name: values[0] for name, values in parse_qs(text).items()}
            status, document = self.token(form, authorization)
            return status, json.dumps(document)
        documents = {
            "/.well-known/openid-configuration": self.metadata,
            "/keys": lambda: KeySet([KEY]).as_dict(private=False),
            "/userinfo": lambda: self.userinfo,
        }
        return (200, json.dumps(documents[path]())) if path in documents else (404, "{}")


@contextmanager
def provided(host: str = "127.0.0.1") -> Iterator[Provider]:
    """Run a provider at an address of this machine."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            if where.path == "/authorize" and where.path not in provider.broken:
                query = {name: values[0] for name, values in parse_qs(where.query).items()}
                self._send(302, "", Location=provider.authorize(query))
                return
            self._send(*provider.answer("GET", where.path, "", ""))

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            authorization = self.headers.get("Authorization", "")
            self._send(*provider.answer("POST", self.path, text, authorization))

        def _send(self, status: int, text: str, **headers: str) -> None:
            body = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    provider.address = f"http://{host}:{server.server_port}"
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
