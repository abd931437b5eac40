"""The recipe of the image, read: what it holds, and as whom it runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]


IMAGE = "lecture-merger"


def recipe() -> list[tuple[str, str]]:
    lines = (
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (word, rest)
        for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def the(word: str) -> str:
    (found,) = [rest for other, rest in recipe() if other == word]
    return found


def place(word: str, beginning: str) -> int:
    (found,) = [
        n
        for n, (other, rest) in enumerate(recipe())
        if other == word and rest.startswith(beginning)
    ]
    return found


def test_the_base_is_a_python_that_is_supported() -> None:
    base = dict(rest.split("=", 1) for word, rest in recipe() if word == "ARG")["BASE_IMAGE"]
    assert the("FROM") == "$BASE_IMAGE"
    assert re.fullmatch(r"python:3\.1[1-3]-slim-(bookworm|trixie)(@sha256:[0-9a-f]{64})?", base)
    compose = (ROOT / "compose.yaml").read_text()
    assert f"BASE_IMAGE: ${{BASE_IMAGE:-{base}}}\n" in compose  # the same there


def test_no_root_inside() -> None:
    user = the("USER")  # once, so nothing after it goes back
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    uid, gid = user.split(":")
    assert f"--uid {uid} " in recipe()[place("RUN", "groupadd")][1]
    assert f"groupadd --gid {gid} " in recipe()[place("RUN", "groupadd")][1]
    assert f"chown {user}" in (ROOT / "run_docker.sh").read_text()
    assert place("RUN", "groupadd") < place("USER", "") < place("ENTRYPOINT", "")


def test_signals_and_orphans() -> None:
    assert json.loads(the("ENTRYPOINT")) == ["tini", "--", "sh", "/app/script/docker-entry"]
    assert json.loads(the("CMD")) == ["run"]
    assert the("STOPSIGNAL") == "SIGTERM"
    assert (
        "install -y --no-install-recommends tini util-linux "
        in recipe()[place("RUN", "apt-get")][1]
    )


def test_data_outlives_the_container() -> None:
    assert the("VOLUME") == "/data"
    variables = dict(pair.split("=") for pair in the("ENV").split())
    assert variables["MERGER_DATA"] == "/data"
    assert variables["MERGER_CACHE"] == "/data/cache"
    assert variables["PYTHONUNBUFFERED"] == "1"
    assert variables["NVIDIA_DRIVER_CAPABILITIES"] == "compute,video,utility"
    assert "NVIDIA_VISIBLE_DEVICES" not in variables


def test_the_container_is_as_well_as_its_web_service_says() -> None:
    """The command as it is written there, run against something that answers, or does not."""
    variables = dict(pair.split("=") for pair in the("ENV").split())
    assert variables["MERGER_HOST"] == "0.0.0.0" and the("EXPOSE") == "8080"
    command = the("HEALTHCHECK").partition("CMD ")[2].replace("python", shlex.quote(sys.executable))
    answers = [200, 503]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/readyz"
            self.send_response(answers.pop(0))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        environ = {"MERGER_HOST": "0.0.0.0", "MERGER_PORT": str(server.server_port)}
        for expected in (0, 1):
            asked = threading.Thread(target=server.handle_request)
            asked.start()
            done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True)
            asked.join()
            assert done.returncode == expected, done.stderr
    assert subprocess.run(["sh", "-c", command], env=environ, capture_output=True).returncode == 1


def test_requirements_have_a_layer_of_their_own() -> None:
    assert place("COPY", "requirements.txt") < place("RUN", "pip install") < place("COPY", ". .")


def test_nothing_is_installed_that_was_not_pinned() -> None:
    install = shlex.split(recipe()[place("RUN", "pip install")][1])
    assert {"--require-hashes", "--only-binary"} <= set(install)
    assert install[-2:] == ["-r", "requirements.txt"]


def test_what_does_not_get_into_the_image() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]

    def is_left_out(path: str) -> bool:
        parts = path.split("/")
        return any(
            any(fnmatch(part, pattern[3:]) for part in parts) if pattern.startswith("**/") else fnmatch(parts[0], pattern)
            for pattern in patterns
        )  # fmt: skip

    for path in (".env", ".env.old", ".git/config", ".venv/bin/python", "demo/result", "tests/support/truth.py", "key.pem", "merger.db", "merger/__pycache__/a.pyc", "merger/.env", "secrets/database-uri"):  # fmt: skip
        assert is_left_out(path), path
    for path in ("app.py", "models.py", "requirements.txt", "script/docker-entry", "LICENSE"):
        assert (ROOT / path).exists()
        assert not is_left_out(path), path
    for folder in ("commands", "merger", "recorders", "migrations"):
        for path in (ROOT / folder).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            assert "__pycache__" in name or not is_left_out(name), name
