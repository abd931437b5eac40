"""The pages on which a request for what is another's, or past, is allowed, refused or withdrawn.

Whoever is asked gets here by the link in a mail, without signing in, or from their recordings.
"""

from __future__ import annotations

from typing import Any

from flask import flash, g, redirect, render_template, request

from merger.accounts.permissions import Principal
from merger.records.access import store
from merger.records.access.links import principal_of_token
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.base import Answer, blueprint


@blueprint.get("/access/<int:access>")
def access_page(access: int) -> Answer:
    """Show a request; nothing happens yet: some mail programs open each link by themselves."""
    token = request.args.get("token", "")
    who = _principal_of(access, token, "read")
    found = store.get_request(service().engine, access, service().now(), who)
    return render_template("access.html", access=found, token=token)


@blueprint.post("/access/<int:access>")
def settle_access(access: int) -> Answer:
    """Allow or refuse a request."""
    here, token = service(), request.form.get("token", "")
    who = _principal_of(access, token, "write")
    allow = request.form.get("allow") == "yes"
    state = store.settle(here.engine, access, here.now(), who, allow=allow)
    flash(t(f"access.settled.{state}"))
    if token or "read" not in who.scopes:
        found = store.get_request(here.engine, access, here.now(), who)
        return render_template("access.html", access=found, token=token)
    return redirect("/records", 303)


@blueprint.post("/access/<int:access>/withdraw")
def withdraw_access(access: int) -> Answer:
    """Take back a request of one's own."""
    store.withdraw(service().engine, access, service().now(), require_principal("write"))
    flash(t("access.withdrawn"))
    return redirect("/records", 303)


def _principal_of(access: int, token: str, scope: str) -> Principal:
    """Return whoever the link was sent to, or else whoever is signed in."""
    return (
        principal_of_token(service().engine, access, token) if token else require_principal(scope)
    )


def waiting_access() -> list[dict[str, Any]]:
    """Return what waits for the leave of whoever reads a page, and what they wait for."""
    who = g.get("principal")
    return store.waiting_requests(service().engine, service().now(), who) if who else []


HELPERS = {"waiting_access": waiting_access}
