"""Google's stand-in and a client of it."""

from tests.google_apis.conftest import client, google, pauses

__all__ = ["client", "google", "pauses"]
