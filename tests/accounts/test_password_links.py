"""The life of a link with which somebody sets their password."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import select

from merger.accounts import password_links, users
from merger.accounts.password_links import LASTS
from merger.accounts.users import Account
from merger.db.engine import reading
from merger.errors import Conflict, Invalid, NotFound
from models import PasswordLink
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

ANN, BOB = "ann@example.org", "bob@example.org"
PASSWORD = "correct horse battery"
SECOND = timedelta(seconds=1)


def add(site: Site, email: str = ANN) -> int:
    user, _ = users.invite_user(site.engine, email, None, "user")
    return int(user["id"])


def make(site: Site, user: int) -> str:
    return password_links.create_token(site.engine, user, site.clock)


def use(site: Site, token: str, password: str = PASSWORD) -> str:
    return password_links.set_password(site.engine, token, password, site.clock).email


def can_sign_in(site: Site, email: str = ANN, password: str = PASSWORD) -> bool:
    return users.authenticate(site.engine, email, password) is not None


def test_a_password_is_set_once(site: Site) -> None:
    user = add(site)
    before = users.user_of_session(site.engine, user, 1)
    token, other = make(site, user), make(site, user)
    assert before is not None and not can_sign_in(site)
    assert password_links.address_of_token(site.engine, token, site.clock) == ANN
    with pytest.raises(Invalid, match="at least 10 characters"):
        use(site, token, "short")  # which does not use it up
    assert use(site, token) == ANN and can_sign_in(site)
    assert users.user_of_session(site.engine, user, 1) is None  # all sessions have ended
    for used in (token, other):
        with pytest.raises(NotFound, match="no longer valid"):
            use(site, used, "another password")
    assert can_sign_in(site)
    with reading(site.engine) as session:
        assert session.scalars(select(PasswordLink)).all() == []


def test_the_tables_do_not_hold_it(site: Site) -> None:
    token = make(site, add(site))
    assert len(token) == 43  # 256 bits, 6 in each letter
    with site.engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM password_links").all())
    assert token not in stored


# What ends a link, and what does not.
WAYS: list[tuple[str, Callable[[Site, int], object], bool]] = [
    ("nothing", lambda site, user: None, True),
    ("almost three days", lambda site, user: wait(site, LASTS - SECOND), True),
    ("three days", lambda site, user: wait(site, LASTS), False),
    ("a week", lambda site, user: wait(site, LASTS + timedelta(days=4)), False),
    ("uninvited", lambda site, user: users.change_user(site.engine, user, {"invited": False}), False),
    ("uninvited and invited again", lambda site, user: invited_again(site, user), False),
    ("another role", lambda site, user: users.change_user(site.engine, user, {"role": "editor"}), True),
    ("another password", lambda site, user: users.set_password(site.engine, user, "another one, longer"), False),
    ("signed out", lambda site, user: users.end_sessions(site.engine, user), True),
    ("deleted", lambda site, user: users.delete_user(site.engine, user), False),
    ("a link of another", lambda site, user: use(site, make(site, add(site, BOB))), True),
]  # fmt: skip


def wait(site: Site, length: timedelta) -> None:
    site.clock += length


def invited_again(site: Site, user: int) -> None:
    users.change_user(site.engine, user, {"invited": False})
    users.change_user(site.engine, user, {"invited": True})


@ON_SQLITE
@pytest.mark.parametrize(("act", "lives"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS])
def test_what_ends_a_link(site: Site, act: Callable[[Site, int], object], lives: bool) -> None:
    user = add(site)
    token = make(site, user)
    act(site, user)
    if lives:
        assert use(site, token) == ANN
    else:
        with pytest.raises(NotFound):
            password_links.address_of_token(site.engine, token, site.clock)
        with pytest.raises(NotFound):
            use(site, token)


@ON_SQLITE
@pytest.mark.parametrize("token", ["", "x", "x" * 43, "\ud800", "' OR 1=1", "é" * 100_000])
def test_what_is_no_link(site: Site, token: str) -> None:
    make(site, add(site))
    with pytest.raises(NotFound):
        use(site, token)


@BOTH_DATABASES
def test_at_the_same_time_it_is_used_once(site: Site) -> None:
    token, start = make(site, add(site)), Barrier(4)

    def race(n: int) -> bool:
        start.wait()
        try:
            use(site, token, f"a password of number {n}")
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(race, range(4)))
    assert sum(won) == 1
    assert can_sign_in(site, password=f"a password of number {won.index(True)}")


@ON_SQLITE
def test_who_may_not_sign_in_gets_none(site: Site) -> None:
    user = add(site)
    users.change_user(site.engine, user, {"invited": False})
    with pytest.raises(Conflict, match="not allowed to sign in"):
        make(site, user)
    domains = ("example.org",)
    token = password_links.create_token(site.engine, user, site.clock, domains)
    with pytest.raises(NotFound):  # the domain is gone
        use(site, token)
    done = password_links.set_password(site.engine, token, PASSWORD, site.clock, domains)
    assert done.email == ANN


@ON_SQLITE
def test_who_gets_one_by_asking(site: Site) -> None:
    """Whoever signs in with a password, or was invited to; a mailbox alone opens no account else."""
    engine, now, domains = site.engine, site.clock, ("example.edu",)

    def gets(email: str) -> bool:
        found = password_links.create_token_for_address(engine, email, now, domains)
        return found is not None

    add(site)
    assert gets(ANN) and not gets("nobody@example.org")
    account = Account("https://issuer.example", "1")
    by_domain = users.admit(engine, account, "eve@example.edu", None, domains, now)
    assert not gets("eve@example.edu")  # signs in through the organisation alone
    users.set_password(engine, by_domain.user, PASSWORD)
    assert gets("eve@example.edu")
    users.admit(engine, Account("https://issuer.example", "2"), ANN, None, domains, now)
    assert not gets(ANN)
    bob = add(site, BOB)
    users.set_password(engine, bob, PASSWORD)
    users.change_user(engine, bob, {"invited": False})
    assert not gets(BOB)
