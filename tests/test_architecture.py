"""What docs/design/architecture.md says about the code, held by reading its syntax trees."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module may import those before it, and none after it. A new module finds its place here.
ORDER = [
    "errors", "timeline", "localtime", "names", "data_folder", "room_spec", "layout", "media", "plan", "profiles", "parts",
    "graph", "report", "progress", "sources", "failpoints", "due", "retry", "web.timeline_picture", "wording",
    "logs", "ffmpeg", "storage", "space", "budget", "slate", "config", "media_files", "damage", "check", "library",
    "analysis.cards", "analysis.picture", "analysis.jpeg", "analysis.sampling", "analysis.hearing", "pictures", "media_signs", "encode", "surroundings", "deciding", "making", "pipeline",
    "database", "schema", "signs", "facts", "outbox", "versions", "queue", "access", "people", "answers", "event_records", "records", "record_views", "bookings", "outcomes", "ledger", "delivery", "copying", "folder_destination", "raw_destination", "announcing", "courses",
    "heart", "task", "collecting", "work", "late", "offers", "calendars", "readers", "recorded", "raw_uploads", "tidy", "children", "daemon", "rooms_file", "room_rules", "rooms", "health", "vitals", "texts",
    "web.problems", "web.gate", "web.schemas", "web.api", "web.schemas_records", "web.schemas_rooms", "web.schemas_people", "web.schemas_montage", "web.api_keys", "web.api_montage", "web.api_offers", "web.api_records", "web.api_rooms", "web.api_users", "web.files",
    "web.record_state", "web.page", "web.form_times", "web.pages_request", "web.pages_records", "web.pages_rooms", "web.pages_people", "web.pages_offers", "web.pages",
    "web.reference", "web.request_lines", "web.signing_in", "web.operations", "web.proxy", "web.application", "web.server", "arguments",
    "webhook", "smtp", "mail", "posting",
]  # fmt: skip
PURE = ORDER[: ORDER.index("wording") + 1]
# Everything else that is imported reaches outside, or might: pure modules compute.
HARMLESS = {
    "__future__", "bisect", "collections", "dataclasses", "datetime", "difflib", "fractions", "hashlib", "itertools",
    "json", "math", "re", "typing",
    "unicodedata", "zoneinfo", "dateutil", "numpy",
}  # fmt: skip
STARTS_PROCESSES = {"subprocess", "multiprocessing", "pty"}
FILE_FUNCTIONS = {"imread", "imreadmulti", "imwrite", "imwritemulti", "VideoCapture", "VideoWriter"}


def modules(folder: str) -> dict[str, ast.Module]:
    """Return the syntax tree of each module below a folder, by its dotted name in there."""
    return {
        ".".join(path.relative_to(ROOT / folder).with_suffix("").parts): ast.parse(path.read_text())
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__init__.py"
    }


MERGER, RECORDERS, COMMANDS = modules("merger"), modules("recorders"), modules("commands")
GOOGLE = modules("google_apis")
# What the service needs of whoever delivers, announces or reads calendars; no more than that.
CONTRACTS = {"errors", "timeline", "sources", "failpoints", "delivery", "announcing"}
APP = ast.parse((ROOT / "app.py").read_text())


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs: not what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if not is_for_types_only(node):
            yield node
            yield from nodes(node)


def imported(tree: ast.AST) -> set[str]:
    """Return the dotted names of the modules that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            found.add(node.module)
            inside = ROOT / node.module.replace(".", "/")
            if inside.is_dir():  # from merger import graph
                found |= {f"{node.module}.{name.name}" for name in node.names} - {node.module}
                found.discard(node.module)
    return found


def packages(tree: ast.AST) -> set[str]:
    return {name.split(".")[0] for name in imported(tree)}


def own(tree: ast.AST) -> set[str]:
    return {n.removeprefix("merger.") for n in imported(tree) if n.startswith("merger.")}


def attributes(tree: ast.AST, *names: str) -> list[str]:
    """Return where attributes of these names are used, as text."""
    return [ast.unparse(n) for n in nodes(tree) if isinstance(n, ast.Attribute) and n.attr in names]


@pytest.mark.parametrize("name", MERGER)
def test_arrows_point_down(name: str) -> None:
    assert name in ORDER, f"merger/{name} has no place in ORDER yet"
    above = set(ORDER[ORDER.index(name) :])
    assert own(MERGER[name]) & above == set()  # so there is no cycle either


def test_every_module_of_the_order_is_there() -> None:
    assert set(ORDER) == set(MERGER)


def test_the_document_names_every_module() -> None:
    text = (ROOT / "docs/design/architecture.md").read_text()
    named = {path.rsplit("/", 1)[-1] for path in re.findall(r"[\w/*]+\.py", text)}
    missing = [
        name
        for folder in (MERGER, RECORDERS, COMMANDS, GOOGLE)
        for name in folder
        if not any(fnmatch(f"{name.rsplit('.', 1)[-1]}.py", pattern) for pattern in named)
    ]
    assert missing == []
    there = {
        f"{name.rsplit('.', 1)[-1]}.py"
        for one in (MERGER, RECORDERS, COMMANDS, GOOGLE)
        for name in one
    }
    there |= {path.name for path in (*ROOT.glob("*.py"), *(ROOT / "tests").glob("*.py"))}
    assert [pattern for pattern in named if not any(fnmatch(name, pattern) for name in there)] == []


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_reach_nothing_outside(name: str) -> None:
    tree = MERGER[name]
    allowed = HARMLESS | {"merger"} | ({"ffmpeg"} if name == "graph" else set())
    # A path may be a value in here; what touches the disk is the method called on one.
    assert packages(tree) - allowed <= {"pathlib"}
    assert own(tree) <= set(PURE)
    calls = [n.func for n in nodes(tree) if isinstance(n, ast.Call)]
    names = {f.id if isinstance(f, ast.Name) else getattr(f, "attr", "") for f in calls}
    touching = {"open", "print", "Path", "read_text", "read_bytes", "stat", "exists"}
    touching |= {"write_text", "write_bytes", "unlink", "mkdir", "iterdir", "glob", "resolve"}
    assert names & touching == set()


@pytest.mark.parametrize("name", MERGER)
def test_merger_knows_neither_recorders_nor_google(name: str) -> None:
    assert packages(MERGER[name]) & {"recorders", "google_apis", "app", "tests"} == set()


@pytest.mark.parametrize("name", GOOGLE)
def test_google_knows_the_contracts_alone(name: str) -> None:
    assert own(GOOGLE[name]) <= CONTRACTS
    assert packages(GOOGLE[name]) & {"recorders", "commands", "app", "tests", "models"} == set()


@pytest.mark.parametrize("name", MERGER)
def test_processes_start_in_two_modules(name: str) -> None:
    starting = packages(MERGER[name]) & STARTS_PROCESSES
    starting |= set(attributes(MERGER[name], "system", "popen", "fork", "execv", "posix_spawn"))
    assert starting == ({"subprocess"} if name in ("ffmpeg", "children") else set())


@pytest.mark.parametrize("name", MERGER)
def test_the_environment_is_read_in_one_place(name: str) -> None:
    used = attributes(MERGER[name], "environ", "getenv", "putenv", "environb")
    if name == "ffmpeg":  # handed on to its child
        assert used == ["os.environ"]
    elif name != "config":
        assert used == []


CLOCKS = ("datetime.now", "datetime.datetime.now", "time.time", "time.time_ns", "time.localtime")


@pytest.mark.parametrize("name", MERGER)
def test_nobody_asks_what_time_it_is(name: str) -> None:
    calls = [n.func for n in nodes(MERGER[name]) if isinstance(n, ast.Call)]
    asked = [f for f in calls if isinstance(f, ast.Attribute) and f.attr in ("utcnow", "today")]
    asked += [f for f in calls if ast.unparse(f) in CLOCKS]
    assert [ast.unparse(f) for f in asked] == []


@pytest.mark.parametrize("name", MERGER)
def test_graphs_are_built_in_one_module(name: str) -> None:
    assert ("ffmpeg" in packages(MERGER[name])) == (name == "graph")


@pytest.mark.parametrize("tree", [APP, *COMMANDS.values()], ids=["app", *COMMANDS])
def test_the_command_line_starts_no_process(tree: ast.Module) -> None:
    assert packages(tree) & STARTS_PROCESSES == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_do_not_know_who_calls_them(name: str) -> None:
    assert packages(COMMANDS[name]) & {"app", "tests"} == set()


EVERYTHING = {
    **MERGER, **{f"recorders.{k}": v for k, v in RECORDERS.items()},
    **{f"google_apis.{k}": v for k, v in GOOGLE.items()},
    **{f"commands.{k}": v for k, v in COMMANDS.items()}, "app": APP,
}  # fmt: skip


@pytest.mark.parametrize("name", EVERYTHING)
def test_opencv_never_opens_a_file(name: str) -> None:
    assert attributes(EVERYTHING[name], *FILE_FUNCTIONS) == []


def test_these_rules_see_what_they_forbid() -> None:
    tree = ast.parse(
        "import os.path, cv2\nfrom merger import graph\nfrom merger.plan import Part\n"
        "def f():\n    from subprocess import run\n    cv2.imread(os.environ['A'])\n"
        "if TYPE_CHECKING:\n    from merger.pipeline import merge\n"
    )
    assert imported(tree) == {"os.path", "cv2", "merger.graph", "merger.plan", "subprocess"}
    assert own(tree) == {"graph", "plan"}
    assert attributes(tree, "environ", *FILE_FUNCTIONS) == ["cv2.imread", "os.environ"]
