"""Deployment with docker, as far as it can be told without docker: a stand-in writes down its calls."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "lecture-merger"
SECRET = "mysql+pymysql://merger:hunter2@db/merger"
PROGRAMS = ("sh", "dirname", "grep", "id", "sed", "stat", "tr")  # what the scripts may use

# Which sub-commands fail, whether there is a container, and so on, comes from the environment.
DOCKER = """
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
command = " ".join(sys.argv[1:3]) if sys.argv[1] == "container" else sys.argv[1]
if command in os.environ.get("FAILING", "").split(","):
    sys.exit("docker: permission denied")
if command == "info":
    print(os.environ["RUNTIMES"])
if command == "create":
    print("trial-1")
"""
NVIDIA_SMI = """
print("GPU 0: some card (UUID: GPU-1)")
"""
PYTHON = """
import json, os, signal, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps([os.path.basename(sys.argv[1]), *sys.argv[2:]]), file=calls)
if sys.argv[2:] == ["init-db"]:
    if "STOPPED" in os.environ:
        os.kill(os.getppid(), signal.SIGTERM)
    sys.exit(int(os.environ.get("INIT_DB", "0")))
"""


@dataclass
class Host:
    """A machine with a checkout, and on its PATH nothing but the usual tools and stand-ins."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.folder / "a checkout, with spaces"

    def program(self, name: str, text: str) -> None:
        source = self.folder / f"{name}.py"
        source.write_text(text)
        path = self.folder / "bin" / name
        path.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(source))} "$@"\n'
        )
        path.chmod(0o755)

    def run(
        self, *arguments: str, program: str = "run_docker.sh"
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of the checkout, from another folder."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        env = {"PATH": str(self.folder / "bin"), "CALLS": str(calls), **self.environ}
        env.setdefault("RUNTIMES", '{"runc":{"path":"runc"}}')
        return subprocess.run(
            [str(self.checkout / program), *arguments], cwd=self.folder, env=env, text=True, capture_output=True, check=False, timeout=600,
        )  # fmt: skip

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def order(self) -> list[str]:
        """The calls that change something."""
        return [call[0] for call in self.calls if call[0] not in ("info", "container")]

    @property
    def started(self) -> list[str]:
        (call,) = [call for call in self.calls if call[0] == "run"]
        return call


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "dri").mkdir()
    (host.checkout / "script").mkdir(parents=True)
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found, name
        (tmp_path / "bin" / name).symlink_to(found)
    host.program("docker", DOCKER)
    text = (ROOT / "run_docker.sh").read_text()
    assert text.count("dri=/dev/dri\n") == 1
    script = host.checkout / "run_docker.sh"
    script.write_text(text.replace("dri=/dev/dri\n", f"dri='{tmp_path}/dri'\n"))
    script.chmod(0o755)
    (host.checkout / ".env").write_text(
        f"# settings\nSQLALCHEMY_DATABASE_URI={SECRET}\nMERGER_LANGUAGE=ru\n"
    )
    return host


def pairs(call: list[str]) -> list[tuple[str, str]]:
    return list(pairwise(call))


def test_the_old_container_is_replaced(host: Host) -> None:
    done = host.run()
    assert done.returncode == 0, done.stderr
    assert host.order == ["build", "create", "rm", "stop", "rm", "run"]
    build, create, rm_trial, stop, rm, run = [call for call in host.calls if call[0] in host.order]
    assert build == ["build", "-t", IMAGE, "."]
    assert rm_trial == ["rm", "trial-1"]
    assert stop == ["stop", "-t", "60", IMAGE]
    assert rm == ["rm", IMAGE]
    assert run[:4] == ["run", "-d", "--name", IMAGE]
    assert create[1:] == run[4:]  # what was tried is what runs
    assert run[-1] == IMAGE
    for option in (
        ("--restart", "unless-stopped"),
        ("--cap-drop", "ALL"),
        ("--security-opt", "no-new-privileges"),
        ("--env-file", ".env"),
        ("--stop-timeout", "60"),
        ("-v", "lecture-merger:/data"),
        ("--log-driver", "json-file"),
        ("--log-opt", "max-size=10m"),
    ):
        assert option in pairs(run)
    assert "--gpus" not in run
    assert "--device" not in run
    assert "warning" not in done.stderr

    first = host.calls
    assert host.run().returncode == 0
    assert host.calls == first


def test_the_base_that_the_settings_name(host: Host) -> None:
    with (host.checkout / ".env").open("a") as file:
        file.write("BASE_IMAGE=python:3.11-slim-bookworm@sha256:0123\n")
    assert host.run().returncode == 0
    [build] = [call for call in host.calls if call[0] == "build"]
    argument = "BASE_IMAGE=python:3.11-slim-bookworm@sha256:0123"
    assert build == ["build", "--build-arg", argument, "-t", IMAGE, "."]


def test_the_first_time_there_is_nothing_to_stop(host: Host) -> None:
    host.environ["FAILING"] = "container inspect"
    assert host.run().returncode == 0
    assert host.order == ["build", "create", "rm", "run"]


@pytest.mark.parametrize(
    ("failing", "order", "says"),
    [
        ("build", ["build"], "the build failed; nothing was changed"),
        ("create", ["build", "create"], "nothing was changed"),
        ("stop", ["build", "create", "rm", "stop"], "permission denied"),
        ("run", ["build", "create", "rm", "stop", "rm", "run"], "does not start"),
    ],
)
def test_a_step_fails(host: Host, failing: str, order: list[str], says: str) -> None:
    host.environ["FAILING"] = failing
    done = host.run()
    assert done.returncode != 0
    assert host.order == order
    assert says in done.stderr


def test_docker_is_missing(host: Host) -> None:
    (host.folder / "bin" / "docker").unlink()
    done = host.run()
    assert done.returncode == 1
    assert done.stderr == "run_docker.sh: docker is not installed, or not on the PATH\n"


def test_docker_is_not_permitted(host: Host) -> None:
    host.environ["FAILING"] = "info"
    done = host.run()
    assert done.returncode == 1
    assert host.order == []
    assert done.stderr.startswith("run_docker.sh: docker does not answer;")
    assert done.stderr.endswith("It says: docker: permission denied\n")


def test_no_settings(host: Host) -> None:
    (host.checkout / ".env").unlink()
    done = host.run()
    assert done.returncode == 1
    assert host.order == []
    assert "cp .env.example .env" in done.stderr


def test_help_changes_nothing(host: Host) -> None:
    done = host.run("--help")
    assert done.returncode == 0
    assert host.calls == []
    assert "./run_docker.sh -v /srv/recordings:/srv/recordings:ro" in done.stdout


def test_values_of_settings_stay_in_their_file(host: Host) -> None:
    quoted = "OTHER='s3cret'\n  SPACED=\"an other\"\n#COMMENTED='x'\nINSIDE=it's\n"
    with (host.checkout / ".env").open("a") as file:
        file.write(quoted)
    done = host.run()
    assert done.returncode == 0
    seen = json.dumps(host.calls) + done.stdout + done.stderr
    for value in (SECRET, "hunter2", "s3cret", "an other", "it's"):
        assert value not in seen
    (warning,) = [line for line in done.stderr.splitlines() if "warning" in line]
    assert warning.strip().endswith("remove them: OTHER SPACED")


def test_arguments_go_to_docker(host: Host) -> None:
    given = (
        "-v",
        "/srv/my recordings:/srv/recordings:ro",
        "--network",
        "host",
        "-e",
        "A=$(id) 'x'",
    )
    assert host.run(*given).returncode == 0
    assert host.started[-7:] == [*given, IMAGE]  # last, so that they win


def test_the_data_in_a_folder_of_the_host(host: Host) -> None:
    data = host.folder / "the data"
    host.environ["MERGER_DATA_VOLUME"] = str(data)
    done = host.run()
    assert done.returncode == 1
    assert host.order == []
    assert f"chown 10001:10001 '{data}'" in done.stderr
    data.mkdir()
    assert host.run().returncode == 0
    assert ("-v", f"{data}:/data") in pairs(host.started)


def test_the_web_service_is_reached_where_the_settings_say(host: Host) -> None:
    done = host.run()
    assert ("-p", "127.0.0.1:8080:8080") in pairs(host.started)
    assert ("-e", "MERGER_HOST=0.0.0.0") in pairs(host.started)  # inside
    assert "runs at http://127.0.0.1:8080/" in done.stderr
    with (host.checkout / ".env").open("a") as file:
        file.write("MERGER_HOST=192.0.2.1\nMERGER_PORT=1\n#MERGER_PORT=2\nMERGER_PORT=9000\n")
    done = host.run()
    assert ("-p", "192.0.2.1:9000:9000") in pairs(host.started)
    assert host.started.index("MERGER_HOST=0.0.0.0") > host.started.index(".env")
    assert "runs at http://192.0.2.1:9000/" in done.stderr


@pytest.mark.parametrize("given", [["--network", "host"], ["--net=host"]])
def test_in_the_network_of_the_host_nothing_more_is_opened(host: Host, given: list[str]) -> None:
    assert host.run(*given).returncode == 0
    assert "-p" not in host.started
    assert ("-e", "MERGER_HOST=127.0.0.1") in pairs(host.started)


def test_a_gpu(host: Host) -> None:
    host.program("nvidia-smi", NVIDIA_SMI)
    host.environ["RUNTIMES"] = '{"nvidia":{"path":"nvidia-container-runtime"},"runc":{}}'
    done = host.run()
    assert ("--gpus", "all") in pairs(host.started)
    assert "warning" not in done.stderr


def test_a_gpu_that_docker_cannot_pass_on(host: Host) -> None:
    host.program("nvidia-smi", NVIDIA_SMI)
    done = host.run()
    assert done.returncode == 0
    assert "--gpus" not in host.started
    assert "warning: the GPU stays unused" in done.stderr


@pytest.mark.parametrize("text", ["print('No devices found.')", "raise SystemExit(9)"])
def test_the_tools_of_a_gpu_without_one(host: Host, text: str) -> None:
    host.program("nvidia-smi", text)
    host.environ["RUNTIMES"] = '{"nvidia":{}}'
    done = host.run()
    assert done.returncode == 0
    assert "--gpus" not in host.started
    assert "warning" not in done.stderr


def test_render_nodes(host: Host) -> None:
    for name in ("card0", "renderD128", "renderD129"):
        (host.folder / "dri" / name).touch()
    assert host.run().returncode == 0
    options = pairs(host.started)
    devices = [value for option, value in options if option == "--device"]
    assert sorted(devices) == [str(host.folder / "dri" / f"renderD{n}") for n in (128, 129)]
    group = str((host.folder / "dri" / "renderD128").stat().st_gid)
    assert options.count(("--group-add", group)) == 2


# What runs inside.


@pytest.fixture
def inside(host: Host) -> Host:
    shutil.copy(ROOT / "script" / "docker-entry", host.checkout / "script")
    host.program("python", PYTHON)
    return host


def entry(host: Host, *arguments: str) -> int:
    return host.run(*arguments, program="script/docker-entry").returncode


@pytest.mark.parametrize("service", ["run", "web", "daemon", "recorder"])
def test_a_service_gets_its_tables_first(inside: Host, service: str) -> None:
    assert entry(inside, service, "an option") == 0
    assert inside.calls == [["app.py", "init-db"], ["app.py", service, "an option"]]


def test_other_commands_need_no_tables(inside: Host) -> None:
    assert entry(inside, "merge", "--room", "5 04") == 0
    assert inside.calls == [["app.py", "merge", "--room", "5 04"]]


def test_without_tables_there_is_no_service(inside: Host) -> None:
    inside.environ["INIT_DB"] = "2"
    assert entry(inside, "run") == 2
    assert inside.calls == [["app.py", "init-db"]]


def test_a_stop_waits_for_the_tables_and_is_kept(inside: Host) -> None:
    inside.environ["STOPPED"] = "1"
    assert entry(inside, "run") == 143
    assert inside.calls == [["app.py", "init-db"]]


def test_the_scripts_can_be_started() -> None:
    for name in ("run_docker.sh", "script/docker-entry"):
        assert os.access(ROOT / name, os.X_OK), name
