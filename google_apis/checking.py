"""Whether Google lets us in, and for how long, for `app.py check`."""

from __future__ import annotations

import requests
from google.oauth2 import credentials as oauth

from google_apis.account import Account
from google_apis.auth import describe_credentials
from google_apis.http import TIMEOUT_S, translate_errors
from merger.i18n import Message

_DAY_S = 24 * 60 * 60


def check_access(account: Account) -> Message:
    """Return as whom Google knows us. Raises MergerError where it does not let us in."""
    google = account.google()
    about = google.call(google.collection("drive", "v3", "about").get(fields="user,storageQuota"))
    user = (about.get("user") or {}).get("emailAddress", "?")
    return Message("google.access", user=user, credentials=describe_credentials(google.credentials))


def days_left(account: Account) -> int | None:
    """Return for how many days a user's token still lasts; None where no end is known.

    Google tells with each access token, where the end was set by the user, or by the application's
    being in testing: https://developers.google.com/identity/protocols/oauth2/web-server#time-based-access

    Raises:
        MergerError: Google cannot be reached.
    """
    token = account.google().credentials
    if not isinstance(token, oauth.Credentials):
        return None
    form = {
        "grant_type": "refresh_token", "refresh_token": token.refresh_token,
        "client_id": token.client_id, "client_secret": token.client_secret,
    }  # fmt: skip
    with translate_errors():
        answer = requests.post(token.token_uri, form, timeout=TIMEOUT_S, allow_redirects=False)
    try:
        left_s = answer.json()["refresh_token_expires_in"]
    except (ValueError, TypeError, KeyError):
        return None
    return int(left_s) // _DAY_S if isinstance(left_s, int) else None
