"""The API: recordings that were made without anybody asking, for those who look after rooms."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from flask import Response

from merger.intake import discovered_rows, where
from merger.timeline.zones import instant_from
from merger.web.api import base
from merger.web.api.schemas.discovered import OfferQuery, OffersOut, WhereOut, WhereQuery
from merger.web.auth import require_principal, service

blueprint = base.resources(
    "offers", "Discovered recordings: found without a request, such as Zoom meetings."
)


@blueprint.get("/offers", responses=base.responses_of(OffersOut), operation_id="listOffers")
def listing(query: OfferQuery) -> Response:
    """List the newest discovered recordings, with the record of each or why it has none."""
    require_principal("rooms")
    since = instant_from(query.since, ZoneInfo("UTC"), "since") if query.since else None
    wanted = discovered_rows.Filter(query.kind, query.state, query.place, since)
    found, following = discovered_rows.page_of_discovered(
        service().engine, wanted, query.cursor, query.limit
    )
    return base.reply({"offers": found, "next": following})


@blueprint.get("/where", responses=base.responses_of(WhereOut), operation_id="findLecture")
def find(query: WhereQuery) -> Response:
    """Find a lecture: by the number of its meeting, its course, room, day, or a part of its name.

    The answer has all that is known: meetings with their timetable and live state, what was
    recorded, the newest first, and what became of it. You see your own alone; editors see all. If
    nothing is found, `meetings` is empty, and `note` says what to look for.
    """
    who = require_principal("read")
    return base.reply(where.find(service(), query.q, who, query.cursor, query.limit))
