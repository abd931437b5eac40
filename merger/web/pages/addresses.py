"""Mail addresses of people, as they are typed into a field."""

from __future__ import annotations

import re

from merger.accounts.external import known_addresses
from merger.errors import Refused
from merger.mail_address import Lookalike, email_of, is_deliverable
from merger.records import requests
from merger.web.auth import service
from merger.web.language import Phrases
from merger.web.pages.base import Errors, field_problem, phrases_of_error

_BETWEEN_ADDRESSES = re.compile(r"[\s,;]+")


def parse_addresses(text: str, errors: Errors) -> tuple[str, ...]:
    """Return the addresses of people in the form in which they are kept; add what is wrong."""
    typed = [word for word in _BETWEEN_ADDRESSES.split(text) if word]
    if len(typed) > requests.MOST_USERS:
        errors["users"] = field_problem("too_many", most=requests.MOST_USERS)
        return ()
    bad: list[str] = []
    odd: Phrases = ()
    found: dict[str, str] = {}  # as it is kept, and as it was typed
    for address in typed:
        try:
            found[email_of(address, is_known=True)] = address
        except Refused as error:
            bad.append(address)
            odd = odd or (phrases_of_error(error) if isinstance(error, Lookalike) else ())
    unreachable = [address for address in found if not is_deliverable(address)]
    known = known_addresses(service().engine, unreachable) if unreachable else set()
    bad += [found.pop(address) for address in unreachable if address not in known]
    if bad:
        errors["users"] = odd or field_problem("address", count=len(bad), given=", ".join(bad))
    return tuple(found)
