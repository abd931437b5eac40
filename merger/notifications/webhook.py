"""The webhook: a signed POST to a program such as a chat bot, at least once for each message.

It has the form of Standard Webhooks, https://www.standardwebhooks.com/, and for receivers that are
older the headers and fields of before: docs/decisions/0017-standard-webhooks.md.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from standardwebhooks import Webhook

from merger.errors import Broken, Temporary
from merger.i18n import Message
from merger.network.addresses import Rules
from merger.network.session import guard
from merger.network.targets import Unclear, scheme_and_host, target_of

WEBHOOKS = Rules("webhooks")
_TIMEOUT_S = (5.0, 15.0)  # to connect, and for the answer
_CHECKED_WITHIN_S = 3.0  # each
_PREFIX = "whsec_"  # of secrets that the standard's tools make; the rest is base64


def body_of(
    identity: str, kind: str, facts: Mapping[str, Any], at: datetime, web: str, *, old: bool
) -> bytes:
    """Return the body of a call: the same bytes whenever the same message is sent again. Pure.

    Args:
        identity: of the message.
        at: when it happened.
        web: the address of the web service, or empty.
        old: whether the fields of before are there, too.
    """
    data = {**facts, "page": f"{web}/records/{facts['record']}" if web else None}
    if isinstance(text := facts.get("text"), Mapping):  # programs find a sentence there
        data |= {"text": text["text"], "text_message": {k: text[k] for k in ("key", "params")}}
    body = {"type": f"record.{kind}", "timestamp": at.isoformat(), "data": data}
    if old:
        body |= {"id": identity, "record": data}
    return json.dumps(body, ensure_ascii=False).encode()


def headers_of(
    identity: str, secret: str, body: bytes, now: datetime, *, old: bool
) -> dict[str, str]:
    """Return the headers that sign a body. Pure.

    Args:
        identity: of the message.
        secret: text, whose UTF-8 is the key; or whsec_ and base64.
        old: whether the headers of before are there, too.
    """
    signer = Webhook(secret if secret.startswith(_PREFIX) else secret.encode())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signer.sign(identity, now.astimezone(UTC), body.decode()),
    }
    if old:
        headers |= {
            "X-Merger-Event": identity, "X-Merger-Signature": _old_signature(secret, body, now),
        }  # fmt: skip
    return headers


def _old_signature(secret: str, body: bytes, now: datetime) -> str:
    """Return `t=<unix time>,v1=<HMAC-SHA256 of "t.body", hexadecimal>`."""
    stamp = str(int(now.timestamp()))
    signed = stamp.encode() + b"." + body
    return f"t={stamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def call_webhook(
    url: str, headers: Mapping[str, str], body: bytes, rules: Rules = WEBHOOKS
) -> None:
    """Call once. Raises Temporary for anything but an answer of 2xx.

    Args:
        rules: where the webhook may be; an address in the URL itself is allowed, too.
    """
    status = _send("POST", url, rules, _TIMEOUT_S, data=body, headers=dict(headers))
    if not 200 <= status < 300:
        raise Temporary("webhook", "notifications.webhook_answers", status=status)


def check_webhook(url: str, rules: Rules = WEBHOOKS) -> Message:
    """Return that somebody answers there, whatever they say to HEAD; nothing is sent.

    Raises Temporary where nobody does within a few seconds, or it may not be connected to.
    """
    _send("HEAD", url, rules, (_CHECKED_WITHIN_S, _CHECKED_WITHIN_S))
    return Message("notifications.webhook_ok", place=scheme_and_host(url))


def _send(method: str, url: str, rules: Rules, timeout: tuple[float, float], **more: Any) -> int:
    """Send a request, and return the status of its answer. Raises Temporary without an answer."""
    try:
        with guard(requests.Session(), rules.trusting(target_of(url).host)) as session:
            session.trust_env = False  # no password out of ~/.netrc
            # Its body is not read: it may be long, or never end.
            answer = session.request(
                method, url, timeout=timeout, allow_redirects=False, stream=True, **more
            )
            answer.close()
    except Unclear as error:
        raise Temporary("webhook", "notifications.webhook_unclear") from error
    except Broken as error:  # Temporary, because it is sent once somebody has put that right
        raise Temporary("webhook", error.message) from error
    except requests.RequestException as error:
        raise Temporary(
            "webhook", "notifications.webhook_away", why=type(error).__name__
        ) from error
    return answer.status_code
