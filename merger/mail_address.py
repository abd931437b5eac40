"""Email addresses: the one form in which each is kept and compared. Pure."""

from __future__ import annotations

import re
import unicodedata

from merger.errors import Invalid

_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")
_LONGEST = 254
_FIRST_DOMAIN = "localhost"


class Lookalike(Invalid):
    """An address has characters that only look like ordinary ones."""


def normal_form(text: str) -> str:
    """Return an address as it is compared.

    Letters that Unicode holds equal become one. What would become ASCII by that stays as it is: to
    take it for ASCII would make the mailbox of one person the account of another.

    Args:
        text: an address or a domain, as somebody wrote it.
    """
    typed = text.strip()
    if _lookalikes(typed):
        return typed
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed).lower())


def email_of(text: str, field: str = "email", *, is_known: bool = False) -> str:
    """Return an email address in the form in which it is stored.

    Args:
        text: as somebody wrote it.
        field: which the error names.
        is_known: it may be in the tables, or somebody has verified it: its domain may be any.

    Raises:
        Lookalike: Unicode takes some of its characters for those of ASCII.
        Invalid: it is no address.
    """
    refuse_lookalikes(text, field)
    address = normal_form(text)
    # What is not printable has no look at all, such as a space of no width.
    if not _ADDRESS.fullmatch(address) or not address.isprintable() or len(address) > _LONGEST:
        raise Invalid(field, "accounts.not_an_address", text=text)
    if not is_known and not is_deliverable(address):
        raise Invalid(field, "accounts.no_domain", text=text)
    return address


def is_deliverable(address: str) -> bool:
    """Return whether mail could reach the domain of an address from anywhere, by its form.

    That of the first account, which gets no mail, is as good.
    """
    domain = address.rpartition("@")[2]
    first, *others = domain.split(".")
    if not others:
        return domain == _FIRST_DOMAIN
    last = others[-1]
    # The marks are vowels, in the scripts of India.
    are_letters = all(c.isalpha() or unicodedata.category(c) in ("Mn", "Mc") for c in last)
    is_top = len(last) > 1 and (are_letters or last.startswith("xn--"))
    return bool(first) and all(others) and is_top


def refuse_lookalikes(text: str, field: str = "email") -> None:
    """Raise Lookalike for an address with characters that Unicode takes for those of ASCII."""
    if odd := _lookalikes(text.strip()):
        raise Lookalike(field, "accounts.lookalikes", text=text, letters=odd)


def _lookalikes(text: str) -> tuple[str, ...]:
    """Return the characters that Unicode takes for ASCII ones, each once."""
    return tuple(
        dict.fromkeys(
            c for c in text
            if not c.isascii() and any(n.isascii() for n in unicodedata.normalize("NFKC", c))
        )
    )  # fmt: skip
