"""The API: requests for access, which wait for the leave of an owner or of an editor."""

from __future__ import annotations

from flask import Response

from merger.records.access import store
from merger.web.api import base
from merger.web.api.schemas.access import AccessDecision, AccessList, AccessOut, AccessPath
from merger.web.auth import require_principal, service

blueprint = base.resources(
    "access", "Requests for somebody else's recording, or for the past, that wait for leave."
)


@blueprint.get("/access", responses=base.responses_of(AccessList), operation_id="listAccess")
def listing() -> Response:
    """List what waits, oldest first: your own requests, and those that you can allow."""
    who = require_principal("read")
    return base.reply({"access": store.waiting_requests(service().engine, service().now(), who)})


@blueprint.get(
    "/access/<int:access>", responses=base.responses_of(AccessOut), operation_id="showAccess"
)
def show(path: AccessPath) -> Response:
    """Show a request for access, and what came of it."""
    who = require_principal("read")
    return base.reply(store.get_request(service().engine, path.access, service().now(), who))


@blueprint.post("/access/<int:access>", responses={"200": AccessOut}, operation_id="settleAccess")
def settle(path: AccessPath, body: AccessDecision) -> Response:
    """Allow or refuse a request; only for the owners of what it overlaps with, and for editors.

    It stays `pending` while other owners have yet to allow it. An editor's leave is enough.
    """
    who, here = require_principal("write"), service()
    state = store.settle(here.engine, path.access, here.now(), who, allow=body.allow)
    if not who.may("read"):
        return base.reply({"id": path.access, "access": state})
    return base.reply(store.get_request(here.engine, path.access, here.now(), who))


@blueprint.delete(
    "/access/<int:access>", responses={"204": base.NOTHING}, operation_id="withdrawAccess"
)
def withdraw(path: AccessPath) -> Response:
    """Withdraw a request of your own."""
    who, here = require_principal("write"), service()
    store.withdraw(here.engine, path.access, here.now(), who)
    return Response(status=204)
