"""The page of recordings that nobody asked for: what became of each, or why nothing did."""

from __future__ import annotations

from merger.intake import discovered
from merger.web.auth import asker, service
from merger.web.pages.base import Answer, blueprint, form


@blueprint.get("/offers")
def offers_page() -> Answer:
    """Show the newest."""
    asker("rooms")
    return form("offers.html", {}, offers=discovered.listing(service().engine))
