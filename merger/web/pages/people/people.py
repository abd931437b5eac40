"""The page of people: who may sign in, as what, and with which password."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode

from flask import flash, redirect, request

from merger.accounts import password_links, users
from merger.accounts.permissions import Principal
from merger.errors import Refused
from merger.records import outbox
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.base import (
    Answer,
    Errors,
    blueprint,
    form,
    number_after,
    phrases_of_error,
)
from merger.web.passwords import address_of_page
from models import USER_ROLES

log = logging.getLogger(__name__)

PAGE = 100  # users
_LONGEST_SEARCH = 255  # characters, as of a name


@blueprint.get("/people")
def people_page() -> Answer:
    """Show who may sign in, and as what."""
    require_principal("people")
    return _people_form({}, {})


@blueprint.post("/people")
def invite() -> Answer:
    """Let somebody sign in."""
    who = require_principal("people")
    typed = {name: request.form.get(name, "").strip() for name in ("email", "name", "role")}
    here = service()
    try:
        user, is_new = users.invite_user(
            here.engine, typed["email"], typed["name"] or None, typed["role"],
            here.settings.oidc_domains,
        )  # fmt: skip
    except Refused as error:
        return _people_form(typed, {error.code: phrases_of_error(error)})
    flash(t("people.invited" if is_new else "people.there_already", email=user["email"]))
    return _hand_link(user, who) if is_new else redirect("/people", 303)


@blueprint.post("/people/<int:user>/password-link")
def make_link(user: int) -> Answer:
    """Make a link with which somebody sets their password, and show or mail it."""
    who = require_principal("people")
    return _hand_link(users.get_user(service().engine, user), who)


def _hand_link(user: dict[str, Any], by: Principal) -> Answer:
    """Mail somebody a link to set their password, or show it on this page alone, once."""
    here, email = service(), user["email"]
    if "mail" in request.form and outbox.can_mail_links(here.settings):
        outbox.add_password_link(here.engine, email, "invited", here.now())
        flash(t("people.link_mailed", email=email))
        return redirect("/people", 303)
    domains = here.settings.oidc_domains
    token = password_links.create_token(here.engine, user["id"], here.now(), domains)
    log.info("user %s made a link to set the password of user %s", by.user, user["id"])
    return _people_form({}, {}, link={"email": email, "address": address_of_page(token)})


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


def _people_form(
    typed: dict[str, str], errors: Errors, link: dict[str, str] | None = None
) -> Answer:
    search = request.args.get("q", "").strip()[:_LONGEST_SEARCH]
    found = users.list_users(service().engine, number_after(), PAGE + 1, search)
    following = {"q": search, "after": found[PAGE - 1]["id"]} if len(found) > PAGE else None
    return form(
        "people.html", errors, typed=typed, people=found[:PAGE], roles=USER_ROLES, search=search,
        next=f"/people?{urlencode(following)}" if following else None, link=link,
        can_mail=outbox.can_mail_links(service().settings), days=password_links.LASTS.days,
    )  # fmt: skip
