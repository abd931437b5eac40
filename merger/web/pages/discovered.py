"""The page of discovered recordings: the record of each, or why it has none."""

from __future__ import annotations

from merger.intake import discovered_rows
from merger.web.auth import require_principal, service
from merger.web.pages.base import Answer, blueprint, form


@blueprint.get("/offers")
def offers_page() -> Answer:
    """Show the newest."""
    require_principal("rooms")
    return form("offers.html", {}, offers=discovered_rows.list_discovered(service().engine))
