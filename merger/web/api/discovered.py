"""The API: recordings that were made without anybody asking, for those who look after rooms."""

from __future__ import annotations

from flask import Response

from merger.intake import discovered_rows
from merger.web.api import base
from merger.web.api.schemas.records import OffersOut
from merger.web.auth import require_principal, service

blueprint = base.resources(
    "offers", "Discovered recordings: found without a request, such as Zoom meetings."
)


@blueprint.get("/offers", responses=base.responses_of(OffersOut), operation_id="listOffers")
def listing() -> Response:
    """List the newest discovered recordings, with the record of each or why it has none."""
    require_principal("rooms")
    return base.reply({"offers": discovered_rows.list_discovered(service().engine)})
