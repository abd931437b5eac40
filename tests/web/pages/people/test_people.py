"""The page of people: who may sign in, as what, and with which password."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.orm import Session

from merger.accounts import users
from merger.db.engine import writing
from merger.errors import Refused
from models import User
from tests.support.databases import ON_SQLITE
from tests.web.conftest import PASSWORD, Web
from tests.web.pages.reader import error_at, reader

pytestmark = ON_SQLITE


def test_people_are_invited_changed_and_removed(web: Web) -> None:
    ada = reader(web, "ada")
    invited = {"email": "New@example.org", "name": "New", "role": "user"}
    made = ada.send("/people", "/people", invited)
    assert made.status_code == 200 and "new@example.org can now sign in." in made.text
    assert "Link for new@example.org" in made.text
    assert "can already sign in" in ada.done("/people", "/people", invited)
    page = ada.wrong("/people", "/people", {**invited, "email": "nobody"})
    assert "'nobody' isn't a valid email address" in error_at(page, "email")
    page = ada.wrong("/people", "/people", {**invited, "email": "x@x.org", "name": "x" * 256})
    assert "longer than 255 characters" in error_at(page, "name")
    new = users.get_user_by_address(web.site.engine, "new@example.org")
    assert new is not None
    ada.done("/people", f"/people/{new['id']}", {"role": "editor"})
    told = users.get_user(web.site.engine, new["id"])
    assert (told["role"], told["invited"]) == ("editor", False)
    assert "Deleted." in ada.done("/people", f"/people/{new['id']}/delete")
    assert users.get_user_by_address(web.site.engine, "new@example.org") is None


def test_the_last_administrator_stays_one(web: Web) -> None:
    ada, number = reader(web, "ada", "ru"), web.ids["ada"]
    page = ada.wrong("/people", f"/people/{number}", {"role": "user", "invited": "on"})
    assert "последний администратор" in error_at(page, f"role-{number}")
    page = ada.wrong("/people", f"/people/{number}", {"role": "admin"})  # invited no more
    assert "последний администратор" in error_at(page, f"role-{number}")
    assert ada.send("/people", f"/people/{number}/delete").status_code == 409


def test_an_administrator_who_is_locked_out_is_none_to_be_left_with(web: Web) -> None:
    engine, ada, eve = web.site.engine, web.ids["ada"], web.ids["eve"]
    users.change_user(engine, eve, {"role": "admin", "invited": False})
    for act in (
        lambda: users.change_user(engine, ada, {"role": "user"}),
        lambda: users.change_user(engine, ada, {"invited": False}),
        lambda: users.delete_user(engine, ada),
    ):
        with pytest.raises(Refused, match="the last administrator"):
            act()
    page = reader(web, "ada").wrong("/people", f"/people/{ada}", {"role": "user", "invited": "on"})
    assert "the last administrator" in error_at(page, f"role-{ada}")
    users.delete_user(engine, ada, ("example.org",))  # of which Eve is: she may sign in


def test_many_people_have_pages(web: Web) -> None:
    for n in range(120):
        users.invite_user(web.site.engine, f"{n}@example.org", None, "user")
    ada = reader(web, "ada")
    following = re.search(r'rel="next" href="([^"]+)"', ada.get("/people"))
    assert following and "119@example.org" in ada.get(following[1])


def test_who_is_invited_no_more_is_locked_out(web: Web) -> None:
    """By password, by a session, and by a key; named in the domains, they may all the same."""
    ann = {"Authorization": f"Bearer {web.keys['ann']}"}
    session = web.signed_in("ann")
    assert session.get("/records").status_code == 200
    users.change_user(web.site.engine, web.ids["ann"], {"invited": False})
    assert session.get("/records").status_code != 200
    assert users.authenticate(web.site.engine, "ann@example.org", PASSWORD) is None
    assert web.app.test_client().get("/api/v1/records", headers=ann).status_code == 401
    key, now, domains = web.keys["ann"], web.site.clock, ("Example.org",)
    assert users.authenticate(web.site.engine, "ann@example.org", PASSWORD, domains) is not None
    assert users.user_of_key(web.site.engine, key, now, domains) is not None


def test_who_may_sign_in_by_domain_keeps_what_they_are(web: Web) -> None:
    engine, domains = web.site.engine, ("example.org",)
    users.change_user(engine, web.ids["eve"], {"invited": False})
    told, is_new = users.invite_user(engine, "eve@example.org", None, "user", domains)
    assert (told["role"], is_new) == ("editor", False)  # no step down, without a word
    # Saved with a box that was never ticked: no session ends, and nobody is refused.
    before = users.get_user(engine, web.ids["eve"])
    session = users.authenticate(engine, "eve@example.org", PASSWORD, domains)
    assert session is not None
    changed = users.change_user(engine, web.ids["eve"], {"role": "user", "invited": False})
    assert changed == {**before, "role": "user"}
    number = session.session_number
    assert users.user_of_session(engine, web.ids["eve"], number, domains) is not None
    users.change_user(engine, web.ids["ada"], {"invited": False}, domains)
    last = users.change_user(engine, web.ids["ada"], {"role": "admin", "invited": False}, domains)
    assert (last["role"], last["invited"]) == ("admin", False)  # the only one, by domain
    with pytest.raises(Refused, match="the last administrator"):
        users.change_user(engine, web.ids["ada"], {"role": "user"}, domains)


def test_a_session_ends_with_the_domain(web: Web) -> None:
    engine = web.site.engine
    asker = users.authenticate(engine, "eve@example.org", PASSWORD)
    assert asker is not None
    number = asker.session_number
    users.change_user(engine, web.ids["eve"], {"invited": False})

    def begin(session: Session) -> None:  # as of one who never was invited
        session.get_one(User, web.ids["eve"]).session_number = number

    writing(engine, begin)
    assert users.user_of_session(engine, web.ids["eve"], number, ("example.org",)) is not None
    assert users.user_of_session(engine, web.ids["eve"], number) is None
