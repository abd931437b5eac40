"""The API: people who may sign in."""

from __future__ import annotations

from flask import Response

from merger.accounts import users
from merger.web.api import base
from merger.web.api.schemas.people import (
    UserChange,
    UserIn,
    UserOut,
    UserPath,
    UsersOut,
    UsersQuery,
)
from merger.web.auth import require_principal, service

blueprint = base.resources("users", "People and their roles.")


@blueprint.get("/users", responses={"200": UsersOut}, operation_id="listUsers")
def listing(query: UsersQuery) -> Response:
    """List users, ordered by id."""
    require_principal("people")
    return base.reply({"users": users.list_users(service().engine, query.after, query.limit)})


@blueprint.post("/users", responses={"201": UserOut, "200": UserOut}, operation_id="inviteUser")
def invite(body: UserIn) -> Response:
    """Allow someone to sign in; 200, with nothing changed, if they already may."""
    require_principal("people")
    user, is_new = users.invite_user(
        service().engine, body.email, body.name, body.role, service().settings.oidc_domains
    )
    return base.reply(user, 201 if is_new else 200)


@blueprint.get("/users/<int:user>", responses={"200": UserOut}, operation_id="showUser")
def show(path: UserPath) -> Response:
    """Show a user."""
    require_principal("people")
    return base.reply(users.get_user(service().engine, path.user))


@blueprint.patch("/users/<int:user>", responses={"200": UserOut}, operation_id="changeUser")
def change(path: UserPath, body: UserChange) -> Response:
    """Change a user; fields that are left out stay as they are."""
    require_principal("people")
    changes = base.changes_of(body, required=("role", "invited"))
    domains = service().settings.oidc_domains
    return base.reply(users.change_user(service().engine, path.user, changes, domains))


@blueprint.delete("/users/<int:user>", responses={"204": base.NOTHING}, operation_id="deleteUser")
def delete(path: UserPath) -> Response:
    """Delete a user and their API keys; their records stay."""
    require_principal("people")
    users.delete_user(service().engine, path.user, service().settings.oidc_domains)
    return Response(status=204)
