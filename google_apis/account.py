"""As whom we are at Google, in values that a setting can hold; and the client of it."""

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
    """credentials: a JSON file. subject: for whom a service account acts. root: where Google is."""

    credentials: Path | None = None
    subject: str = ""
    root: str = ""

    def google(self) -> Google:
        """Return the client, one in each process. Raises Broken without credentials."""
        if self.credentials is None:
            message = "there are no credentials for Google; set MERGER_GOOGLE_CREDENTIALS"
            raise Broken("google_credentials", message)
        return _google(self)


@lru_cache(maxsize=8)
def _google(account: Account) -> Google:
    from google_apis.auth import credentials_from
    from google_apis.http import Google

    assert account.credentials is not None
    return Google(credentials_from(account.credentials, account.subject), account.root)
