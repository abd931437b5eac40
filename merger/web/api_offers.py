"""The API: recordings that were made without anybody asking, for those who look after rooms."""

from __future__ import annotations

from flask import Response

from merger import offers
from merger.web import api
from merger.web.gate import asker, service
from merger.web.schemas_records import OffersOut

blueprint = api.resources("offers", "Recordings that nobody asked for, and what became of them.")


@blueprint.get("/offers", responses={"200": OffersOut}, operation_id="listOffers")
def listing() -> Response:
    """List the newest: which became a record, and why others did not."""
    asker("rooms")
    return api.reply({"offers": offers.listing(service().engine)})
