"""Discovered recordings, with the record of each or why it has none; and where a lecture is."""

from __future__ import annotations

from flask import request

from merger.intake import discovered_rows, where
from merger.web.auth import require_principal, service
from merger.web.pages.base import Answer, blueprint, form


@blueprint.get("/offers")
def offers_page() -> Answer:
    """Show the newest."""
    require_principal("rooms")
    return form("offers.html", {}, offers=discovered_rows.list_discovered(service().engine))


@blueprint.get("/where")
def where_page() -> Answer:
    """Show what is known of what somebody looks for."""
    who = require_principal("read")
    text = request.args.get("q", "").strip()[: where.LONGEST_QUESTION]
    cursor = request.args.get("cursor") or None
    found = where.find(service(), text, who, cursor) if text else None
    return form("where.html", {}, q=text, found=found)
