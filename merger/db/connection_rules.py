"""Where connections for a purpose may lead: as the settings say, and as it was before they did.

Hosts that were in use when addresses were not told apart yet go on working. They are looked up
once, by `init-db`, and kept as a fact; whoever has them sees in `app.py check` what to list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Engine

from merger.config import Settings
from merger.db.key_value import KeyValueStore
from merger.network.addresses import LOCAL_NETWORKS, Purpose, Rules

_FACT = "hosts_from_before"

# The host, and the address by which it was refused from then on; empty where nobody knew it.
Hosts = Mapping[str, str]


def rules_of(settings: Settings, engine: Engine, purpose: Purpose) -> Rules:
    """Return where connections for a purpose may lead."""
    return Rules(
        purpose, listed_rules(settings, purpose).listed, frozenset(earlier_hosts(engine, purpose))
    )


def listed_rules(settings: Settings, purpose: Purpose) -> Rules:
    """Return where connections for a purpose may lead as far as the settings say."""
    listed = tuple(network for of, network in settings.allowed_networks if of == purpose)
    if purpose == "cameras" and settings.allow_local_cameras:
        listed = (*listed, *LOCAL_NETWORKS)
    return Rules(purpose, listed)


def earlier_hosts(engine: Engine, purpose: Purpose) -> Hosts:
    """Return the hosts of a purpose that were in use before addresses were told apart."""
    kept = KeyValueStore(engine).get(_FACT)
    hosts: Hosts = json.loads(kept).get(purpose, {}) if kept else {}
    return hosts


def has_earlier_hosts(engine: Engine) -> bool:
    """Return whether it is known which hosts were in use, which is so from the first time on."""
    return KeyValueStore(engine).get(_FACT) is not None


def keep_earlier_hosts(engine: Engine, hosts: Mapping[Purpose, Hosts]) -> None:
    """Keep which hosts were in use, unless that is known already."""
    KeyValueStore(engine).get_or_set(_FACT, json.dumps(hosts))
