"""The page on which somebody without an account confirms that they want what others share."""

from __future__ import annotations

from flask import render_template, request

from merger.accounts.external import address_to_confirm
from merger.records.confirming import confirm_address
from merger.web.auth import service
from merger.web.pages.base import Answer, blueprint


@blueprint.get("/confirm")
def confirm_page() -> Answer:
    """Ask; nothing happens yet: some mail programs open each link by themselves."""
    token = request.args.get("token", "")
    email = address_to_confirm(service().engine, token)
    return render_template("confirm.html", email=email, token=token)


@blueprint.post("/confirm")
def confirm() -> Answer:
    """Confirm the address to which the link was sent."""
    here = service()
    confirm_address(here.engine, request.form.get("token", ""), here.now())
    return render_template("confirm.html", email=None, token="")
