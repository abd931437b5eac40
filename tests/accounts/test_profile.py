"""What people choose for themselves, and when they were seen last."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from merger.accounts import profile, users
from merger.db.engine import reading
from merger.errors import Invalid
from models import User
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ann(site: Site) -> int:
    user, _ = users.invite_user(site.engine, "ann@example.org", "Анна Ли", "user")
    return int(user["id"])


def language_of(site: Site, user: int) -> str | None:
    with reading(site.engine) as session:
        return session.get_one(User, user).language


def test_what_is_chosen_is_kept(site: Site, ann: int) -> None:
    all_mails = {"ready": True, "failed": True, "access": True}
    nothing = {"language": None, "zone": None, "notifications": all_mails}
    assert profile.get_profile(site.engine, ann) == nothing
    changes = {"language": "ru", "zone": "Europe/Berlin", "notifications": {"ready": False}}
    chosen = profile.change_profile(site.engine, ann, changes)
    assert chosen == {**changes, "notifications": {**all_mails, "ready": False}}
    assert profile.change_profile(site.engine, ann, {}) == chosen
    back = profile.change_profile(
        site.engine, ann, {"zone": None, "notifications": {"ready": True}}
    )
    assert back == {**nothing, "language": "ru"}


@ON_SQLITE
def test_only_who_looks_after_rooms_hears_of_silent_sources(site: Site, ann: int) -> None:
    users.change_user(site.engine, ann, {"role": "editor"})
    assert "silent" in profile.get_profile(site.engine, ann)["notifications"]


@ON_SQLITE
@pytest.mark.parametrize(
    "changes", [{"language": "tlh"}, {"zone": "Mars/Olympus"}, {"zone": "../etc/passwd"}]
)
def test_what_there_is_not_cannot_be_chosen(site: Site, ann: int, changes: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        profile.change_profile(site.engine, ann, changes)
    assert refused.value.code == next(iter(changes))


@ON_SQLITE
def test_a_language_that_is_read_does_not_replace_one_that_is_chosen(site: Site, ann: int) -> None:
    profile.remember_language(site.engine, ann, "ru")
    assert language_of(site, ann) == "ru"
    assert profile.get_profile(site.engine, ann)["language"] is None
    profile.change_profile(site.engine, ann, {"language": "en"})
    profile.remember_language(site.engine, ann, "ru")
    assert language_of(site, ann) == "en"
    profile.change_profile(site.engine, ann, {"language": None})
    assert language_of(site, ann) == "en"  # until another one is read
    profile.remember_language(site.engine, ann, "ru")
    assert language_of(site, ann) == "ru"


def test_that_somebody_was_seen_is_written_once_an_hour(site: Site, ann: int) -> None:
    written: list[str] = []

    @event.listens_for(site.engine, "before_cursor_execute")
    def listen(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE"):
            written.append(statement)

    def seen() -> str | None:
        users.user_of_session(site.engine, ann, 1, now=site.clock)
        at = users.get_user(site.engine, ann)["last_seen_at"]
        assert at is None or isinstance(at, str)
        return at

    first = site.clock.isoformat()
    for _ in range(3):
        assert seen() == first
        site.clock += 19 * MINUTE
    assert len(written) == 1
    site.clock += 3 * MINUTE
    assert seen() == site.clock.isoformat() and len(written) == 2
    users.user_of_session(site.engine, ann, 2, now=site.clock + 90 * MINUTE)  # an old session
    assert len(written) == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["ann@example.org", "bob_b@example.com"]), ("ANN@", ["ann@example.org"]),
        ("анна", ["ann@example.org"]), ("ЛИ", ["ann@example.org"]), ("b_b", ["bob_b@example.com"]),
        ("%", []), ("n_e", []), ("example", ["ann@example.org", "bob_b@example.com"]),
    ],
)  # fmt: skip
def test_people_are_found(site: Site, ann: int, text: str, found: list[str]) -> None:
    users.invite_user(site.engine, "bob_b@example.com", None, "user")
    assert [one["email"] for one in users.list_users(site.engine, search=text)] == found
