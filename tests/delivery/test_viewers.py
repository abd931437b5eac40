"""Who asks for a video that is delivered already may read it in Drive soon after."""

from __future__ import annotations

from dataclasses import replace

import pytest

from google_apis.drive.destination import DriveDestination
from google_apis.drive.folders import Folders
from google_apis.http import Google as Client
from merger.db.key_value import KeyValueStore
from merger.delivery.viewers import grant_new_viewers
from merger.service import Service
from merger.worker.run import run_record
from tests.fakes.google import Google
from tests.fakes.google_answers import Asked, Fault
from tests.support.databases import ON_SQLITE
from tests.support.site import Site


@pytest.fixture
def service(site: Site, client: Client) -> Service:
    site.add_room()
    site.film("speaker")
    to = DriveDestination(client, Folders(client, KeyValueStore(site.engine)))
    return replace(site.service, destinations=(to,))


def readers(google: Google) -> list[str]:
    [file] = [one for one in google.drive.files.values() if one["mimeType"] == "video/mp4"]
    return [one["emailAddress"] for one in file["permissions"]]


def test_who_asks_afterwards(site: Site, service: Service, google: Google) -> None:
    site.ask(users=("first@example.edu",))
    held = site.claim()
    assert held is not None and run_record(service, held, lambda: False) == "delivered"
    assert readers(google) == ["first@example.edu"]
    assert site.ask(users=("second@example.edu", "nobody@example.org")) == 1
    for _ in range(2):
        grant_new_viewers(service, site.clock)
    assert readers(google) == ["first@example.edu", "second@example.edu"]
    assert site.events().count("note") == 1
    made = len(google.history)
    grant_new_viewers(service, site.clock)
    assert len(google.history) == made


def asked_for(google: Google, email: str) -> int:
    """Return how often Drive was asked to let somebody read."""
    return sum("/permissions" in line and email in line for line in google.history)


@ON_SQLITE
def test_who_was_let_in_is_kept_though_it_fails_for_the_next(
    site: Site, service: Service, google: Google
) -> None:
    site.ask(users=("first@example.edu",))
    held = site.claim()
    assert held is not None and run_record(service, held, lambda: False) == "delivered"
    site.ask(users=("second@example.edu", "third@example.edu"))
    original = google.faults.next

    def next_fault(asked: Asked) -> Fault | None:
        if b"third" in asked.body:
            google.faults.add("permissions", "503")
        return original(asked)

    google.faults.next = next_fault  # type: ignore[method-assign]
    for _ in range(2):
        grant_new_viewers(service, site.clock)
    google.faults.next = original  # type: ignore[method-assign]
    grant_new_viewers(service, site.clock)
    assert readers(google) == ["first@example.edu", "second@example.edu", "third@example.edu"]
    assert asked_for(google, "second@example.edu") == 1


@ON_SQLITE
def test_what_is_wrong_with_us_locks_nobody_out(
    site: Site, service: Service, google: Google
) -> None:
    site.ask(users=("first@example.edu",))
    held = site.claim()
    assert held is not None and run_record(service, held, lambda: False) == "delivered"
    site.ask(users=("second@example.edu",))
    google.faults.add("permissions", "401", times=3)
    for _ in range(2):
        grant_new_viewers(service, site.clock)
    assert readers(google) == ["first@example.edu", "second@example.edu"]
    assert "note" not in site.events()


@ON_SQLITE
def test_google_is_away(site: Site, service: Service, google: Google) -> None:
    site.ask(users=("first@example.edu",))
    held = site.claim()
    assert held is not None and run_record(service, held, lambda: False) == "delivered"
    site.ask(users=("second@example.edu",))
    google.faults.add("permissions", "503", times=50)
    grant_new_viewers(service, site.clock)
    assert readers(google) == ["first@example.edu"]
    google.faults.waiting.clear()
    grant_new_viewers(service, site.clock)
    assert readers(google) == ["first@example.edu", "second@example.edu"]
