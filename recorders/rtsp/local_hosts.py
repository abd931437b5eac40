"""Hosts that we connect to because somebody wrote them into a form: resolved, checked, pinned."""

from __future__ import annotations

from merger.errors import Refused, Temporary
from merger.i18n import Message
from merger.network.addresses import LOCAL, NotAllowed, Rules
from merger.network.resolve import allowed_addresses


def refusal(error: NotAllowed) -> Refused:
    """Return the error of a camera that is not connected to."""
    if error.kind in LOCAL:
        # What answers there (a database, another service) trusts who is that near.
        return Refused("address", "recorders.rtsp.local_host", host=error.host)
    what = Message(f"network.kind.{error.kind}")
    return Refused(
        "address", "recorders.rtsp.refused_host", host=error.host, address=error.address, what=what
    )


def resolve(host: str, port: int, rules: Rules) -> str:
    """Return the one address of a host that is to be connected to, as its name says now.

    Raises Temporary where the name is not known now, Refused where it leads where no camera may be.
    """
    try:
        return allowed_addresses(host, port, rules)[0]
    except NotAllowed as error:
        raise refusal(error) from error
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Temporary("host", "recorders.rtsp.no_host", host=host, why=why) from error
