"""Google's stand-in, for viewers of what lies in Drive."""

from tests.google_apis.conftest import client, google, pauses

__all__ = ["client", "google", "pauses"]
