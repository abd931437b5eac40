"""Whether Google lets us work, for `app.py check`."""

from __future__ import annotations

from google_apis.account import Account
from google_apis.auth import describe_credentials
from merger.errors import MergerError


def check_access(account: Account) -> tuple[bool, str]:
    """Return whether Google knows us, and as whom, or what to do, in a sentence."""
    try:
        google = account.google()
        about = google.call(google.service("drive", "v3").about().get(fields="user,storageQuota"))
    except MergerError as error:
        return False, str(error)
    user = (about.get("user") or {}).get("emailAddress", "?")
    return True, f"Drive knows us as {user}: {describe_credentials(google.credentials)}"
