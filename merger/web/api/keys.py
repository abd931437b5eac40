"""The API: keys of programs."""

from __future__ import annotations

from flask import Response

from merger.accounts import users
from merger.accounts.permissions import Principal
from merger.errors import Invalid
from merger.web.api import base
from merger.web.api.schemas.people import KeyIn, KeyPath, KeysOut, NewKey
from merger.web.auth import require_principal, service

blueprint = base.resources("api-keys", "API keys, with which programs act on behalf of people.")


@blueprint.get("/api-keys", responses=base.responses_of(KeysOut), operation_id="listKeys")
def listing() -> Response:
    """List your API keys; administrators see everyone's."""
    who = require_principal("read")
    return base.reply({"keys": users.list_keys(service().engine, _only_of(who))})


def _only_of(who: Principal) -> int | None:
    return None if who.may("people") else who.user


@blueprint.post("/api-keys", responses={"201": NewKey}, operation_id="makeKey")
def create(body: KeyIn) -> Response:
    """Create an API key for yourself, with at most your own scopes; it is shown only once."""
    who = require_principal("write")
    for scope in body.scopes:
        if not who.may(scope):
            raise Invalid("scopes", "web.scope_not_yours", scope=scope)
    document, key = users.create_key(
        service().engine, who.user, body.name, body.scopes, service().now()
    )
    return base.reply({**document, "key": key}, 201, f"/api-keys/{document['id']}")


@blueprint.delete("/api-keys/<int:key>", responses={"204": base.NOTHING}, operation_id="revokeKey")
def revoke(path: KeyPath) -> Response:
    """Revoke an API key; this cannot be undone."""
    who = require_principal("write")
    users.revoke_key(service().engine, path.key, service().now(), _only_of(who))
    return Response(status=204)
