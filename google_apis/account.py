"""The account that we use at Google, in values that settings can hold; and the client of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from merger.errors import Broken

if TYPE_CHECKING:  # Google's libraries take a fifth of a second, which every worker would pay
    from google_apis.http import Google


@dataclass(frozen=True)
class Account:
    """An account at Google.

    credentials: a JSON file. subject: the user for whom a service account acts. root: an address
    that stands in for Google; empty: Google itself.
    """

    credentials: Path | None = None
    subject: str = ""
    root: str = ""

    def google(self) -> Google:
        """Return the client, one in each process. Raises Broken without credentials."""
        if self.credentials is None:
            raise Broken("google_credentials", "google.no_credentials")
        return _google(self)


@lru_cache(maxsize=8)
def _google(account: Account) -> Google:
    from google_apis.auth import credentials_from
    from google_apis.http import Google

    assert account.credentials is not None
    return Google(credentials_from(account.credentials, account.subject), account.root)
