"""Secrets that were typed into a form and stay in it, where nobody can read them.

A form with a mistake in it is shown again, without the passwords that were typed; sealed, they are
in there all the same, and come back with it. Only whoever typed them can send them back, in the
session in which they did, and only for a while: docs/decisions/0040-typed-secrets-are-sealed.md.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING

from flask import current_app

from merger.web.auth import current_principal, service

if TYPE_CHECKING:  # who types no secret does not pay for it
    from cryptography.fernet import Fernet

LASTS = timedelta(hours=1)
_PURPOSE = b"merger: secrets in forms"  # no other key is derived for it


def seal(text: str) -> str:
    """Return a text as a form may hold it."""
    data = f"{_sealed_for()} {text}".encode()
    return _fernet().encrypt_at_time(data, int(service().now().timestamp())).decode()


def unseal(sealed: str) -> str | None:
    """Return a text that was sealed; None where it was too long ago, or by somebody else."""
    from cryptography.fernet import InvalidToken

    now_s = int(service().now().timestamp())
    try:
        data = _fernet().decrypt_at_time(sealed.encode(), LASTS // timedelta(seconds=1), now_s)
    except InvalidToken:
        return None
    sealed_for, _, text = data.decode().partition(" ")
    return text if sealed_for == _sealed_for() else None


def _sealed_for() -> str:
    who = current_principal()
    return f"{who.user}:{who.session_number}"


def _fernet() -> Fernet:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    secret = str(current_app.secret_key).encode()
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)
    return Fernet(base64.urlsafe_b64encode(key))
