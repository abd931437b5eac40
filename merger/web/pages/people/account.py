"""The page of one's own account: language, time zone, mails, password and API keys."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from flask import flash, g, redirect, request
from sqlalchemy import select

from merger import i18n
from merger.accounts import profile, users
from merger.accounts.permissions import SCOPES, Principal
from merger.db.engine import reading
from merger.errors import Refused
from merger.web import auth, guessing
from merger.web.auth import require_principal, service
from merger.web.language import keep_language, t
from merger.web.login import local_path
from merger.web.pages.base import Answer, Errors, blueprint, field_problem, form, phrases_of_error
from merger.web.pages.timetable.feeds import address_of_person
from models import User


@blueprint.get("/account")
def account_page() -> Answer:
    """Show what somebody may change for themselves."""
    return _account_form(require_principal("read"), {})


@blueprint.get("/keys")
def old_keys_page() -> Answer:
    """Redirect to the page of which keys are a part now."""
    require_principal("read")
    return redirect("/account#keys", 303)


# --- what people choose ---------------------------------------------------------------------------


@blueprint.post("/account")
def change_account() -> Answer:
    """Change one's own language, time zone and mails."""
    who = require_principal("write")
    language = request.form.get("language") or None
    zone = request.form.get("zone", "").strip()
    wanted = request.form.getlist("mails")
    changes = {
        "language": language,
        "zone": zone or None,
        "notifications": {kind: kind in wanted for kind in profile.mails_of(who.role)},
    }
    try:
        profile.change_profile(service().engine, who.user, changes)
    except Refused as error:
        problem = (
            field_problem("zone", given=zone) if error.code == "zone" else phrases_of_error(error)
        )
        return _account_form(who, {error.code: problem}, profile=changes)
    flash(i18n.say(language, "account.saved") if language else t("account.saved"))
    response = redirect("/account", 303)
    keep_language(response, language)
    return response


@blueprint.post("/language")
def switch_language() -> Answer:
    """Show the pages in another language from now on: to a person everywhere, else in a browser."""
    auth.check_form_token()
    language = request.form.get("language")
    response = redirect(local_path(request.form.get("next")), 303)
    if language not in i18n.languages():
        return response
    who = g.get("principal")
    if who is not None and not g.get("by_key"):
        profile.change_profile(service().engine, who.user, {"language": language})
    keep_language(response, language)
    return response


# --- password -------------------------------------------------------------------------------------


@blueprint.post("/account/password")
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
        return _account_form(who, {"current": field_problem("password")})
    if len(new) < users.SHORTEST_PASSWORD:
        return _account_form(
            who, {"password": field_problem("too_short", shortest=users.SHORTEST_PASSWORD)}
        )
    users.set_password(service().engine, who.user, new)
    signed_in = users.authenticate(service().engine, who.email, new, domains)
    assert signed_in is not None
    auth.sign_in(signed_in)
    flash(t("account.password_changed"))
    return redirect("/account", 303)


# --- API keys -------------------------------------------------------------------------------------


@blueprint.post("/account/keys")
def make_key() -> Answer:
    """Make a key, which is shown on this page alone, once."""
    who = require_principal("write")
    scopes = [scope for scope in request.form.getlist("scopes") if who.may(scope)]
    name = request.form.get("name", "")
    try:
        _, key = users.create_key(service().engine, who.user, name, scopes, service().now())
    except Refused as error:
        return _account_form(
            who, {error.code: field_problem(f"key_{error.code}")}, name=name, scopes=scopes
        )
    return _account_form(who, {}, key=key)


@blueprint.post("/account/keys/<int:key>/revoke")
def revoke(key: int) -> Answer:
    """End one of one's own keys for good."""
    who = require_principal("write")
    users.revoke_key(service().engine, key, service().now(), who.user)
    flash(t("keys.revoked_now"))
    return redirect("/account#keys", 303)


# --- the page -------------------------------------------------------------------------------------


def _account_form(who: Principal, errors: Errors, key: str | None = None, **typed: Any) -> Answer:
    here = service()
    return form(
        "account.html", errors, keys=users.list_keys(here.engine, who.user), key=key, typed=typed,
        scopes=[scope for scope in SCOPES if who.may(scope)], has_password=_has_password(who),
        shortest=users.SHORTEST_PASSWORD, zones=sorted(available_timezones()),
        chosen=typed.get("profile") or profile.get_profile(here.engine, who.user),
        mails=profile.mails_of(who.role), feed=address_of_person(who.user),
    )  # fmt: skip


def _has_password(who: Principal) -> bool:
    with reading(service().engine) as session:
        query = select(User.password_hash.is_not(None)).where(User.id == who.user)
        return bool(session.scalar(query))
