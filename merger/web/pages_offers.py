"""The page of recordings that nobody asked for: what became of each, or why nothing did."""

from __future__ import annotations

from merger import offers
from merger.web.gate import asker, service
from merger.web.page import Answer, blueprint, form


@blueprint.get("/offers")
def offers_page() -> Answer:
    """Show the newest."""
    asker("rooms")
    return form("offers.html", {}, offers=offers.listing(service().engine))
