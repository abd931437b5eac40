"""The recipe for Docker Compose, read: it names only what exists, and opens only what it should."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import COMMANDS
from merger.config import Settings
from merger.db.engine import database_url

ROOT = Path(__file__).parents[2]
VARIABLES = {field.validation_alias for field in Settings.model_fields.values()}
SECRETS = "/run/secrets/"


def recipe() -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(document, dict)
    return document


SERVICES: dict[str, dict[str, Any]] = recipe()["services"]
OURS = sorted(SERVICES.keys() - {"database"})


def test_what_there_is() -> None:
    assert set(SERVICES) == {"database", "web", "daemon", "recorder"}
    assert (ROOT / "Dockerfile").is_file()


@pytest.mark.parametrize("name", OURS)
def test_each_of_ours_runs_a_command_with_settings_that_exist(name: str) -> None:
    service = SERVICES[name]
    [command] = service["command"]
    assert command in COMMANDS
    assert service["build"]["context"] == "." and service["image"] == SERVICES["web"]["image"]
    for variable, value in service["environment"].items():
        assert variable.removesuffix("_FILE") in VARIABLES
        assert isinstance(value, str), "YAML would write it in its own way"
    assert service["env_file"] == [{"path": ".env", "required": False}]
    assert service["stop_grace_period"] == "1m"
    assert service["depends_on"] == {"database": {"condition": "service_healthy"}}
    # What one keeps, the others find.
    assert service["volumes"] == ["data:/data"]


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_and_secrets_are_declared(name: str) -> None:
    service, document = SERVICES[name], recipe()
    for volume in service["volumes"]:
        assert volume.partition(":")[0] in document["volumes"]
    assert set(service["secrets"]) <= set(document["secrets"])
    files = [value for value in service["environment"].values() if value.startswith(SECRETS)]
    assert {file.removeprefix(SECRETS) for file in files} == set(service["secrets"])
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_in_there_can_become_more_or_change_the_program(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service and "devices" not in service
    # What is written goes to the volumes, and for a while to memory.
    written = {volume.split(":")[1] for volume in service["volumes"]}
    if name == "database":
        assert service["user"] == "mysql"  # without capabilities, root could not become it
        assert (written, service["tmpfs"]) == ({"/var/lib/mysql"}, ["/tmp", "/run/mysqld"])
    else:
        assert (written, service["tmpfs"]) == ({"/data"}, ["/tmp"])


def test_the_images_can_be_pinned_in_env() -> None:
    text = (ROOT / "compose.yaml").read_text()
    manual = (ROOT / "docs/docker.md").read_text()
    for variable in ("BASE_IMAGE", "DATABASE_IMAGE"):
        [image] = re.findall(rf"\${{{variable}:-([^}}]+)}}", text)
        assert f"{variable}={image}@sha256:" in manual


@pytest.mark.parametrize("name", SERVICES)
def test_whether_each_is_well_is_looked_at(name: str) -> None:
    how, *command = SERVICES[name]["healthcheck"]["test"]
    assert how == "CMD"
    if name == "web":
        assert "/readyz" in command[-1] and ":8080/" in command[-1]
        compile(command[-1], "healthcheck", "exec")
    elif name in OURS:
        assert command == ["python", "/app/app.py", "check", "--here"]


def test_only_the_web_service_is_open_and_only_to_this_host() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8080:8080"]
    environment = SERVICES["web"]["environment"]
    assert (environment["MERGER_HOST"], environment["MERGER_PORT"]) == ("0.0.0.0", "8080")


def test_no_secret_is_written_in_there_or_gets_into_the_image() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert not re.search(r"(?<!ROOT_)PASSWORD: |://[^/\s]+:[^/\s]+@", text)
    for secret in recipe()["secrets"].values():
        assert secret["file"].startswith("secrets/")
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "secrets" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_manual_makes_the_secrets_that_are_needed() -> None:
    manual = (ROOT / "docs/docker.md").read_text()
    for secret in recipe()["secrets"].values():
        assert f"> {secret['file']}" in manual
    [address] = re.findall(r"mysql\+pymysql://merger:\$password@\S+?(?=\")", manual)
    url = database_url(address)
    assert (url.host, url.username) == (
        "database",
        SERVICES["database"]["environment"]["MARIADB_USER"],
    )
    assert url.database == SERVICES["database"]["environment"]["MARIADB_DATABASE"]
