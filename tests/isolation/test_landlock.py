"""What decodes strangers' files has no other file and no network: the kernel refuses both."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from merger.isolation import confinement, landlock, reader, trial
from merger.isolation.confinement import confine_decoders, confined
from merger.isolation.reader import Unreadable
from merger.render import ffmpeg
from tests.conftest import CARRIED
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(landlock.abi() == 0, reason="this system has no Landlock")

PICTURE = ("-f", "lavfi", "-i", "color=size=64x36:rate=5", "-frames:v", "2")
INTERNET = ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET")
DETOURS = ("io_uring_setup", "truncate")
LAUNCH = Path(landlock.__file__).with_name("launch.py")


@pytest.fixture
def unconfined() -> Iterator[None]:
    """As MERGER_CONFINE=off has it."""
    confine_decoders(False)
    yield
    confine_decoders(True)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder in which ffmpeg runs, beside others."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


# --- ffmpeg ---------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, **more: list[Path]) -> ffmpeg.Outcome:
    return ffmpeg.run(CARRIED, ["-nostdin", "-y", *arguments], folder, **more)


def filmed(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    assert run(path.parent, *PICTURE, path.name).code == 0
    return path


def listing(folder: Path, secret: Path) -> tuple[str, ...]:
    """Write a list that names a file anywhere; return the arguments that copy it."""
    (folder / "list.ffconcat").write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    return ("-f", "concat", "-safe", "0", "-i", "list.ffconcat", "-c", "copy", "copy.mkv")


def test_ffmpeg_reads_its_inputs_and_no_file_beside_them(work: Path, tmp_path: Path) -> None:
    film, secret = filmed(tmp_path / "library/film.mkv"), filmed(tmp_path / "library/secret.mkv")
    (work / "link.mkv").symlink_to(film)
    for name in (str(film), "link.mkv"):
        assert run(work, "-i", name, "-c", "copy", "copy.mkv").code == 0
    copying = listing(work, secret)
    outcome = run(work, *copying)
    assert outcome.code != 0 and "Permission denied" in outcome.last_words()
    assert run(work, *copying, reads=[secret]).code == 0


@pytest.mark.usefixtures("unconfined")
def test_the_confinement_can_be_switched_off(work: Path, tmp_path: Path) -> None:
    secret = filmed(tmp_path / "library/secret.mkv")
    assert run(work, *listing(work, secret)).code == 0
    assert reader.call(read_beside, secret.with_name("film.mkv"), "secret.mkv")
    assert reader.call(trial.escapes) == ["files", "network"]


def test_ffmpeg_writes_where_it_is_told_to_and_nowhere_else(work: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert run(work, *PICTURE, str(other / "film.mkv")).code != 0
    assert not list(other.iterdir())
    assert run(work, *PICTURE, str(other / "film.mkv"), writes=[other]).code == 0


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_ffmpeg_has_no_network(work: Path, protocol: str) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        if protocol == "tcp":
            server.listen()
        address = f"{protocol}://127.0.0.1:{server.getsockname()[1]}"
        outcome = run(work, *PICTURE, "-f", "mpegts", address)
        assert outcome.code != 0 and "Permission denied" in str(outcome.complaints)
        with pytest.raises(BlockingIOError):
            server.accept() if protocol == "tcp" else server.recv(9)


# --- programs -------------------------------------------------------------------------------------


def shell(script: str, *, uses_gpu: bool = False) -> subprocess.Popen[str]:
    command = [*confined("/bin/sh", uses_gpu=uses_gpu), "-c", script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -SEGV $$", -11), ("kill -TERM $$", -15)]
)
def test_a_program_ends_as_it_does_without(script: str, code: int) -> None:
    with shell(script) as process:
        assert process.communicate() == ("", "") and process.returncode == code


def test_a_program_is_the_process_that_was_started() -> None:
    own = 'while read -r line; do echo "$line"; done < /proc/self/status; echo $$'
    with shell(own) as process:
        *status, pid = process.communicate()[0].splitlines()
    facts = dict(line.split(":", 1) for line in status if ":" in line)
    assert int(pid) == process.pid
    of_python = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1  # it ignores them, others do not
    assert int(facts["SigIgn"], 16) & of_python == 0
    assert facts["NoNewPrivs"].strip() == "1" and facts["Seccomp"].strip() == "2"


def test_a_program_that_is_not_there_is_named() -> None:
    command = [*confined("/no/such/program"), "-c", "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 127 and "/no/such/program: No such file" in done.stderr


SLEEPER = """
import subprocess, sys
from merger.isolation.confinement import confined
print(subprocess.Popen([*confined("/bin/sh"), "-c", "exec sleep 600"]).pid, flush=True)
sys.stdin.read()
"""


def test_a_program_ends_with_whoever_started_it() -> None:
    root = LAUNCH.parents[2]
    command = [sys.executable, "-c", SLEEPER]
    with subprocess.Popen(command, cwd=root, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        sleeper = Path(f"/proc/{process.stdout.readline().strip()}")
        until(lambda: "sleep" in (sleeper / "cmdline").read_text().split("\0")[0])
        process.kill()
        until(lambda: not sleeper.exists())


def test_a_program_does_not_begin_once_nobody_waits_for_it() -> None:
    another = str(os.getpid() + 1)
    command = [sys.executable, "-I", "-S", str(LAUNCH), "--parent", another, "--", "/bin/echo", "x"]
    done = subprocess.run(command, capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")


# --- readers --------------------------------------------------------------------------------------

# What readers are asked to do here.


def read_beside(path: Path, name: str) -> str:
    return str(path.with_name(name).read_bytes())


def write(path: Path) -> str:
    path.write_text("written")
    path.unlink()
    return "written"


def link(path: Path) -> str:
    path.symlink_to("/etc/passwd")
    return "linked"


def empty(path: Path) -> str:
    os.truncate(path, 0)
    return "empty"


def refusals() -> list[str]:
    """Return which sockets and calls are refused."""
    refused: list[str] = []
    for family in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"):
        try:
            socket.socket(getattr(socket, family), socket.SOCK_DGRAM).close()
        except PermissionError:
            refused.append(family)
    libc = ctypes.CDLL(None, use_errno=True)
    for name, number in (("io_uring_setup", 425), ("x32", 1 << 30 | 41)):
        ctypes.set_errno(0)
        libc.syscall(ctypes.c_long(number), ctypes.c_long(2), None)
        if ctypes.get_errno() == errno.EACCES:
            refused.append(name)
    try:
        os.truncate("/no/such/file", 0)
    except PermissionError:
        refused.append("truncate")
    except FileNotFoundError:
        pass
    return refused


def signal_parent() -> str:
    os.kill(os.getppid(), 0)
    return "sent"


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


def call_as_another_machine() -> int:
    """Call getpid as a program of 32 bits does."""
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as m:
        m.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        start = ctypes.c_char.from_buffer(m)
        answer: int = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(start))()
        del start
    return answer


def escapes_of(version: int | None, local_sockets: bool) -> list[str]:
    """Restrict itself as on another system; return what is open then. None: an unknown machine."""
    landlock.abi = lambda: version or 0
    if version is None:
        landlock._machine = lambda: None
    landlock.restrict([], [], local_sockets=local_sockets)
    return [*trial.escapes(), *refusals()]


def test_a_reader_reads_what_it_is_asked_about(tmp_path: Path) -> None:
    film, secret, linked = (tmp_path / name for name in ("film", "secret", "linked"))
    film.write_text("film")
    secret.write_text("secret")
    linked.symlink_to(film)
    assert reader.call(read_beside, film, "film") == "b'film'"
    assert reader.call(read_beside, linked, "linked") == "b'film'"
    with pytest.raises(PermissionError, match="secret"):
        reader.call(read_beside, film, "secret")
    with pytest.raises(FileNotFoundError):
        reader.call(read_beside, film, "nothing")


def test_a_reader_writes_where_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(PermissionError):
        reader.call(write, path)
    assert reader.call_writing(tmp_path, write, path) == "written"
    with pytest.raises(PermissionError):
        reader.call_writing(tmp_path, link, path)
    path.write_text("kept")
    with pytest.raises(PermissionError):
        reader.call(empty, path)


def test_a_reader_has_no_network_and_no_way_around_that() -> None:
    assert reader.call(trial.escapes) == []
    found = set(reader.call(refusals))
    assert found >= {*INTERNET, "AF_UNIX", *DETOURS}
    if platform.machine() == "x86_64":
        assert "x32" in found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other machines have no such programs")
def test_a_reader_cannot_call_as_another_machine() -> None:
    try:
        assert reader.call(call_as_another_machine) == -errno.EACCES
    except Unreadable as error:  # a kernel that does not know them at all
        assert signal.SIGSEGV.name in str(error)


def test_a_reader_cannot_reach_who_started_it() -> None:
    with pytest.raises(PermissionError):
        reader.call(environment_of, os.getpid())
    if landlock.abi() >= 6:
        with pytest.raises(PermissionError):
            reader.call(signal_parent)


@pytest.mark.usefixtures("unconfined")
@pytest.mark.parametrize("version", range(8))
def test_each_version_of_landlock_is_used_as_far_as_it_goes(version: int) -> None:
    if version > landlock.abi():
        pytest.skip(f"this system has version {landlock.abi()}")
    found = reader.call(escapes_of, version, False)
    assert ("files" in found) == (version == 0)
    assert "network" not in found and "AF_UNIX" in found


@pytest.mark.usefixtures("unconfined")
def test_what_the_system_cannot_do_is_left_out() -> None:
    assert reader.call(escapes_of, None, False) == ["files", "network"]


@pytest.mark.usefixtures("unconfined")
def test_drivers_have_sockets_within_this_machine() -> None:
    found = reader.call(escapes_of, landlock.abi(), True)
    assert "AF_UNIX" not in found
    assert {*INTERNET, *DETOURS} <= set(found)


def test_a_version_that_promises_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels of Red Hat: what they do not know is left out."""
    asked: list[bytes] = []

    def answer(number: int, handled: bytes, length: int, flags: int) -> int:
        asked.append(handled[16:])
        if any(handled[16:]):
            raise OSError(errno.EINVAL, "Invalid argument")
        return 5

    monkeypatch.setattr(landlock, "_call", answer)
    assert landlock._new_ruleset(1, 3, 3) == 5
    assert [bool(any(scopes)) for scopes in asked] == [True, False]


def test_what_cannot_be_confined_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A confinement that the system promises and then refuses is told, and nothing is opened."""
    from merger.errors import Broken
    from merger.isolation import child

    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(landlock, "restrict", refuse)
    with pytest.raises(Broken, match="MERGER_CONFINE=off"):
        child._restrict([], [])


def test_libraries_that_the_environment_names_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/codecs/lib::relative")
    found = confinement.always_readable()
    assert "/opt/codecs/lib" in found and "relative" not in found and "" not in found
    assert "--read /opt/ffmpeg/lib " in " ".join(confined("/opt/ffmpeg/bin/ffmpeg"))


def test_gpus_and_only_they_have_their_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "_DEVICES", ("zero",))
    plain, with_gpu = (" ".join(confined("ffmpeg", uses_gpu=gpu)) for gpu in (False, True))
    assert "--write /dev/zero" in with_gpu and "--write /dev/zero" not in plain
    assert "--memory" in plain and "--memory" not in with_gpu


@pytest.mark.parametrize("uses_gpu", [False, True])
def test_the_environment_of_others_is_secret(uses_gpu: bool) -> None:
    facts = "exec 3< /proc/version" if uses_gpu else ":"
    with shell(f"{facts} && exec 3< /proc/{os.getpid()}/environ", uses_gpu=uses_gpu) as process:
        complaint = process.communicate()[1]
    assert process.returncode != 0 and f"{os.getpid()}/environ: Permission denied" in complaint
