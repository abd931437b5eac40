"""Whether Google lets us in, for `app.py check`."""

from __future__ import annotations

from google_apis.account import Account
from google_apis.auth import describe_credentials
from merger.i18n import Message


def check_access(account: Account) -> Message:
    """Return as whom Google knows us. Raises MergerError where it does not let us in."""
    google = account.google()
    about = google.call(google.collection("drive", "v3", "about").get(fields="user,storageQuota"))
    user = (about.get("user") or {}).get("emailAddress", "?")
    return Message("google.access", user=user, credentials=describe_credentials(google.credentials))
