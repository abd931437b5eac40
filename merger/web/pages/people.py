"""The pages of people: who may sign in, and one's own keys and password."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request
from sqlalchemy import select

from merger.accounts import users
from merger.accounts.permissions import SCOPES, Principal
from merger.db.engine import reading
from merger.errors import Refused
from merger.web import auth, guessing
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.base import (
    Answer,
    Errors,
    blueprint,
    field_problem,
    form,
    number_after,
    phrases_of_error,
)
from models import USER_ROLES, User

PAGE = 100  # users


@blueprint.get("/people")
def people_page() -> Answer:
    """Show who may sign in, and as what."""
    require_principal("people")
    return _people_form({}, {})


@blueprint.post("/people")
def invite() -> Answer:
    """Let somebody sign in."""
    require_principal("people")
    typed = {name: request.form.get(name, "").strip() for name in ("email", "name", "role")}
    try:
        user, is_new = users.invite_user(
            service().engine, typed["email"], typed["name"] or None, typed["role"],
            service().settings.oidc_domains,
        )  # fmt: skip
    except Refused as error:
        return _people_form(typed, {error.code: phrases_of_error(error)})
    flash(t("people.invited" if is_new else "people.there_already", email=user["email"]))
    return redirect("/people", 303)


@blueprint.post("/people/<int:user>")
def change(user: int) -> Answer:
    """Change what somebody may."""
    require_principal("people")
    changes = {"role": request.form.get("role", ""), "invited": "invited" in request.form}
    try:
        changed = users.change_user(
            service().engine, user, changes, service().settings.oidc_domains
        )
    except Refused as error:
        if error.code not in ("role", "invited"):
            raise
        return _people_form({}, {f"role-{user}": phrases_of_error(error)})
    flash(t("people.changed", email=changed["email"]))
    return redirect("/people", 303)


@blueprint.post("/people/<int:user>/release")
def release(user: int) -> Answer:
    """Unbind somebody from the account with which they sign in."""
    require_principal("people")
    released = users.release_accounts(service().engine, user)
    flash(t("people.released", email=released["email"]))
    return redirect("/people", 303)


@blueprint.post("/people/<int:user>/delete")
def remove(user: int) -> Answer:
    """Remove somebody with their keys; records stay."""
    require_principal("people")
    users.delete_user(service().engine, user, service().settings.oidc_domains)
    flash(t("people.deleted"))
    return redirect("/people", 303)


def _people_form(typed: dict[str, str], errors: Errors) -> Answer:
    found = users.list_users(service().engine, number_after(), PAGE + 1)
    return form(
        "people.html", errors, typed=typed, people=found[:PAGE], roles=USER_ROLES,
        next=f"/people?after={found[PAGE - 1]['id']}" if len(found) > PAGE else None,
    )  # fmt: skip


# --- one's own keys and password ------------------------------------------------------------------


@blueprint.get("/keys")
def keys_page() -> Answer:
    """Show one's own keys."""
    return _keys_form(require_principal("read"), {})


@blueprint.post("/keys")
def make_key() -> Answer:
    """Make a key, which is shown on this page alone, once."""
    who = require_principal("write")
    scopes = [scope for scope in request.form.getlist("scopes") if who.may(scope)]
    name = request.form.get("name", "")
    try:
        _, key = users.create_key(service().engine, who.user, name, scopes, service().now())
    except Refused as error:
        return _keys_form(
            who, {error.code: field_problem(f"key_{error.code}")}, name=name, scopes=scopes
        )
    return _keys_form(who, {}, key=key)


@blueprint.post("/keys/<int:key>/revoke")
def revoke(key: int) -> Answer:
    """End one of one's own keys for good."""
    who = require_principal("write")
    users.revoke_key(service().engine, key, service().now(), who.user)
    flash(t("keys.revoked_now"))
    return redirect("/keys", 303)


@blueprint.post("/keys/password")
def change_password() -> Answer:
    """Change one's own password, which signs one out everywhere else."""
    who = require_principal("read")
    current, new = (request.form.get(name, "") for name in ("current", "password"))
    domains = service().settings.oidc_domains
    right = guessing.guess_password(
        who.email,
        lambda: users.authenticate(service().engine, who.email, current, domains),
        session=f"session {who.session_number}",
    )
    if right is None:
        return _keys_form(who, {"current": field_problem("password")})
    if len(new) < users.SHORTEST_PASSWORD:
        return _keys_form(
            who, {"password": field_problem("too_short", shortest=users.SHORTEST_PASSWORD)}
        )
    users.set_password(service().engine, who.user, new)
    signed_in = users.authenticate(service().engine, who.email, new, domains)
    assert signed_in is not None
    auth.sign_in(signed_in)
    flash(t("keys.password_changed"))
    return redirect("/keys", 303)


def _keys_form(who: Principal, errors: Errors, key: str | None = None, **typed: Any) -> Answer:
    return form(
        "keys.html", errors, keys=users.list_keys(service().engine, who.user), key=key, typed=typed,
        scopes=[scope for scope in SCOPES if who.may(scope)], has_password=_has_password(who),
        shortest=users.SHORTEST_PASSWORD,
    )  # fmt: skip


def _has_password(who: Principal) -> bool:
    with reading(service().engine) as session:
        query = select(User.password_hash.is_not(None)).where(User.id == who.user)
        return bool(session.scalar(query))
