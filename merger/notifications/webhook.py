"""The webhook: a signed POST to a program such as a chat bot, at least once for each message."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import requests

from merger.errors import Temporary

_TIMEOUT_S = (5, 15)  # to connect, and for the answer
_SIGNATURE = "X-Merger-Signature"


def signature(secret: str, at: datetime, body: bytes) -> str:
    """Return what a call is signed with: `t=<unix time>,v1=<HMAC-SHA256 of "t.body">`. Pure."""
    stamp = str(int(at.timestamp()))
    signed = stamp.encode() + b"." + body
    return f"t={stamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def body_of(event: str, kind: str, facts: Mapping[str, Any], address: str) -> bytes:
    """Return what is told. event: the same whenever the same is told again. Pure.

    address: of the web service, or empty.
    """
    page = f"{address}/records/{facts['record']}" if address else None
    said = {"id": event, "type": f"record.{kind}", "record": {**facts, "page": page}}
    return json.dumps(said, ensure_ascii=False).encode()


def call_webhook(url: str, secret: str, body: bytes, event: str, now: datetime) -> None:
    """Call once. Raises Temporary for anything but an answer of 2xx."""
    headers = {
        "Content-Type": "application/json", "X-Merger-Event": event,
        _SIGNATURE: signature(secret, now, body),
    }  # fmt: skip
    try:
        with requests.Session() as session:
            session.trust_env = False  # no password out of ~/.netrc
            # Its body is not read: it may be long, or never end.
            answer = session.post(
                url, data=body, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False,
                stream=True,
            )  # fmt: skip
            answer.close()
    except requests.RequestException as error:
        message = f"the webhook cannot be reached ({type(error).__name__})"
        raise Temporary("webhook", message) from error
    if not 200 <= answer.status_code < 300:
        raise Temporary("webhook", f"the webhook answers {answer.status_code}")
