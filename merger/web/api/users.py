"""The API: people who may sign in."""

from __future__ import annotations

import logging

from flask import Response

from merger.accounts import password_links, users
from merger.web.api import base
from merger.web.api.schemas.people import (
    PasswordLink,
    UserChange,
    UserIn,
    UserOut,
    UserPath,
    UsersOut,
    UsersQuery,
)
from merger.web.auth import require_principal, service
from merger.web.passwords import address_of_page

log = logging.getLogger(__name__)

blueprint = base.resources("users", "People and their roles.")


@blueprint.get("/users", responses=base.responses_of(UsersOut), operation_id="listUsers")
def listing(query: UsersQuery) -> Response:
    """List users, ordered by id."""
    require_principal("people")
    found = users.list_users(service().engine, query.after, query.limit, query.search.strip())
    return base.reply({"users": found})


@blueprint.post("/users", responses={"201": UserOut, "200": UserOut}, operation_id="inviteUser")
def invite(body: UserIn) -> Response:
    """Allow someone to sign in; 200, with nothing changed, if they already may."""
    require_principal("people")
    user, is_new = users.invite_user(
        service().engine, body.email, body.name, body.role, service().settings.oidc_domains
    )
    return base.reply(user, *(201, f"/users/{user['id']}") if is_new else (200, None))


@blueprint.get("/users/<int:user>", responses=base.responses_of(UserOut), operation_id="showUser")
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


@blueprint.post(
    "/users/<int:user>/password-link",
    responses={"201": PasswordLink},
    operation_id="makePasswordLink",
)
def make_password_link(path: UserPath) -> Response:
    """Make a link with which a user sets their password, once, within three days."""
    who, here = require_principal("people"), service()
    now, domains = here.now(), here.settings.oidc_domains
    email = users.get_user(here.engine, path.user)["email"]
    token = password_links.create_token(here.engine, path.user, now, domains)
    log.info("user %s made a link to set the password of user %s", who.user, path.user)
    expires_at = (now + password_links.LASTS).isoformat()
    return base.reply(
        {"email": email, "link": address_of_page(token), "expires_at": expires_at}, 201
    )
