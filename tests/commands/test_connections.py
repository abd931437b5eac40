"""Hosts that were in use before addresses were told apart go on working, and `check` names them."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from sqlalchemy import delete

import app
from commands.connections import findings, remember_hosts
from merger.config import Settings, load
from merger.db.connection_rules import rules_of
from merger.db.engine import connect, writing
from merger.errors import Invalid
from merger.ports.recorder import SourceOfRoom
from merger.timeline.zones import zone_named
from models import Fact, Room, Source
from recorders.rtsp.address import address_of
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

pytestmark = ON_SQLITE

NAMES = {"cam.lan": "100.64.0.7", "new.lan": "100.64.0.8", "chat.lan": "127.0.1.1"}
ADDRESSES = ("rtsp://[fd00::4]/live", "rtsp://cam.lan/live#always", "rtsp://10.0.5.4/live")


@pytest.fixture(autouse=True)
def name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(host: str, port: int, *_: Any, **__: Any) -> Any:
        if host.endswith(".away"):
            raise socket.gaierror(socket.EAI_AGAIN, "not now")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (NAMES.get(host, host), port))]

    monkeypatch.setattr(socket, "getaddrinfo", told)


@pytest.fixture
def old(site: Site) -> Site:
    """A service from before: cameras, a webhook and an issuer of all sorts."""
    site.environ |= {
        "MERGER_WEBHOOK_URL": "http://chat.lan:8065/hook", "MERGER_WEBHOOK_SECRET": "hush",
        "MERGER_OIDC_ISSUER": "http://127.0.0.1:8080", "MERGER_OIDC_CLIENT_ID": "merger",
    }  # fmt: skip
    add_room(site, "504", *ADDRESSES)
    return site


def add_room(site: Site, name: str, *addresses: str) -> None:
    row = Room(name=name, zone="Europe/Moscow", chunk_s=10)
    row.sources = [
        Source(name=f"camera{n}", role="speaker", kind="rtsp", address=address)
        for n, address in enumerate(addresses)
    ]
    writing(site.engine, lambda session: session.add(row))


def settings(site: Site, **environ: str) -> Settings:
    return load({**site.variables, **environ})


def named(site: Site, **environ: str) -> dict[str, str]:
    """Return what `check` says of addresses, by where they are written."""
    found = findings(settings(site, **environ), site.engine)
    return {str(f.text.params["where"]): f"{f.level} {f.text.params['why']}" for f in found}


def camera(address: str) -> SourceOfRoom:
    return SourceOfRoom("504", "camera", "speaker", "rtsp", address, zone_named("UTC"))


def test_what_is_saved_goes_on_working_and_is_named(old: Site) -> None:
    remember_hosts(old.settings, old.engine)
    cameras = rules_of(old.settings, old.engine, "cameras")
    assert address_of(camera(ADDRESSES[0]), cameras)
    assert cameras.refused_kind("cam.lan", "100.64.0.7") is None
    assert (
        rules_of(old.settings, old.engine, "webhooks").refused_kind("chat.lan", "127.0.1.1") is None
    )
    with pytest.raises(Invalid, match="MERGER_ALLOWED_NETWORKS as cameras=fd00::5"):
        address_of(camera("rtsp://[fd00::5]/live"), cameras)
    assert cameras.refused_kind("new.lan", "100.64.0.8") == "shared"
    assert {where: text.partition(";")[0] for where, text in named(old).items()} == {
        "source 'camera0' of room '504'": "warning it still works, but fd00::4 is a private IPv6 address",
        "source 'camera1' of room '504'": "warning it still works, but cam.lan leads to 100.64.0.7, an"
        " address behind a provider's NAT (100.64.0.0/10)",
        "MERGER_WEBHOOK_URL": "warning it still works, but chat.lan leads to 127.0.1.1, an address of"
        " this machine itself",
        "MERGER_OIDC_ISSUER": "warning it still works, but 127.0.0.1 is an address of this machine itself",
    }  # fmt: skip
    listed = "cameras=fd00::/8, cameras=100.64.0.7, webhooks=127.0.1.1, oidc=127.0.0.1"
    assert named(old, MERGER_ALLOWED_NETWORKS=listed) == {}


def test_what_comes_later_is_refused_and_named(old: Site) -> None:
    remember_hosts(old.settings, old.engine)
    add_room(old, "505", "rtsp://new.lan/live")
    remember_hosts(old.settings, old.engine)  # as after the next update
    assert rules_of(old.settings, old.engine, "cameras").refused_kind("new.lan", "100.64.0.8")
    assert named(old, MERGER_WEBHOOK_URL="http://169.254.169.254/")[
        "MERGER_WEBHOOK_URL"
    ].startswith("broken 169.254.169.254 is the address of a cloud's metadata service")
    unclear = named(old, MERGER_OIDC_ISSUER="http://127.1:8080")["MERGER_OIDC_ISSUER"]
    assert unclear.startswith("broken the address http://127.1:8080 is not clear")


def test_a_name_that_was_not_found_then(old: Site) -> None:
    add_room(old, "505", "rtsp://cam.away/live")
    remember_hosts(old.settings, old.engine)
    cameras = rules_of(old.settings, old.engine, "cameras")
    assert cameras.refused_kind("cam.away", "fd00::4") is None
    assert "source 'camera0' of room '505'" not in named(old)  # nothing is known of it


def test_the_update_remembers_what_there_was(
    old: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    writing(old.engine, lambda session: session.execute(delete(Fact)))
    for name, value in old.variables.items():
        monkeypatch.setenv(name, value)
    assert app.main(["init-db"]) == 0
    assert rules_of(old.settings, old.engine, "cameras").earlier == {"fd00::4", "cam.lan"}
    app.main(["check", "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["findings"]
    assert sum(one["what"] == "addresses" for one in told) == 4


def test_a_new_service_remembers_nothing(
    old: Site, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'new.sqlite'}"
    for name, value in {**old.variables, "SQLALCHEMY_DATABASE_URI": url}.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        assert app.main(["init-db"]) == 0
        new = connect(url)
        assert rules_of(old.settings, new, "webhooks").earlier == frozenset()
        new.dispose()
