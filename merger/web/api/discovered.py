"""The API: recordings that were made without anybody asking, for those who look after rooms."""

from __future__ import annotations

from flask import Response

from merger.intake import discovered
from merger.web.api import base
from merger.web.api.schemas.records import OffersOut
from merger.web.auth import require_principal, service

blueprint = base.resources("offers", "Recordings that nobody asked for, and what became of them.")


@blueprint.get("/offers", responses={"200": OffersOut}, operation_id="listOffers")
def listing() -> Response:
    """List the newest: which became a record, and why others did not."""
    require_principal("rooms")
    return base.reply({"offers": discovered.list_discovered(service().engine)})
