"""The API: keys of programs."""

from __future__ import annotations

from flask import Response

from merger import people
from merger.access import Asker
from merger.errors import Refused
from merger.web import api
from merger.web.gate import asker, service
from merger.web.schemas_people import KeyIn, KeyPath, KeysOut, NewKey

blueprint = api.resources("api-keys", "Keys with which programs act for people.")


@blueprint.get("/api-keys", responses={"200": KeysOut}, operation_id="listKeys")
def listing() -> Response:
    """List one's own keys; an administrator sees everybody's."""
    who = asker("read")
    return api.reply({"keys": people.keys(service().engine, _only_of(who))})


def _only_of(who: Asker) -> int | None:
    return None if who.may("people") else who.user


@blueprint.post("/api-keys", responses={"201": NewKey}, operation_id="makeKey")
def create(body: KeyIn) -> Response:
    """Make a key for oneself, which is shown once; it may no more than the key that makes it."""
    who = asker("write")
    for scope in body.scopes:
        if not who.may(scope):
            raise Refused("scopes", f"whoever makes this key does not have the scope {scope}")
    told, key = people.make_key(service().engine, who.user, body.name, body.scopes, service().now())
    return api.reply({**told, "key": key}, 201)


@blueprint.delete("/api-keys/<int:key>", responses={"204": api.NOTHING}, operation_id="revokeKey")
def revoke(path: KeyPath) -> Response:
    """End a key for good."""
    who = asker("write")
    people.revoke(service().engine, path.key, service().now(), _only_of(who))
    return Response(status=204)
