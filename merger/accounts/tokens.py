"""What keys and links hold: 256 random bits, of which the tables keep a hash alone. Pure."""

from __future__ import annotations

import hashlib
import secrets


def new_token() -> str:
    """Return a text that nobody can guess, of letters that addresses may have."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return the hash under which a token is kept."""
    # It has 256 random bits: no slow hash is needed to keep it from being guessed.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
