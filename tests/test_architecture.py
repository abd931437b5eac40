"""What docs/design/architecture.md says of the code, as far as import-linter cannot hold it.

Which package may import which is in `pyproject.toml`. Here it is calls: the syntax trees are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
PACKAGES = ("merger", "recorders", "google_apis", "commands")
MOST_MODULES = 15  # in a folder, beside its __init__

# Which modules may start processes, read the environment, or build ffmpeg graphs.
STARTS_PROCESSES = {
    "merger.isolation.reader", "merger.isolation.child", "merger.isolation.launch",
    "merger.render.ffmpeg", "merger.daemon.processes", "merger.analysis.words.tesseract",
}  # fmt: skip
READS_ENVIRONMENT = {"merger.config", "merger.isolation.confinement"}  # children get some of it
BUILDS_GRAPHS = {"merger.render.filtergraph", "merger.render.soundgraph"}

PROCESS_MODULES = {"subprocess", "multiprocessing", "pty"}
PROCESS_CALLS = ("system", "popen", "fork", "execv", "posix_spawn")
ENVIRONMENT = ("environ", "getenv", "putenv", "environb")
CLOCKS = {"datetime.now", "datetime.datetime.now", "time.time", "time.time_ns", "time.localtime"}
OPENCV_FILES = ("imread", "imreadmulti", "imwrite", "imwritemulti", "VideoCapture", "VideoWriter")
# A path may be a value in a pure module; what touches the disk is the method called on one.
TOUCHES_DISK = {
    "open", "print", "Path", "read_text", "read_bytes", "stat", "exists", "write_text",
    "write_bytes", "unlink", "mkdir", "iterdir", "glob", "resolve",
}  # fmt: skip


def modules(folder: str) -> dict[str, ast.Module]:
    """Return the syntax tree of each module below a folder, by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__init__.py"
    }


MERGER, COMMANDS = modules("merger"), modules("commands")
PURE_PACKAGES = ("timeline", "timetable", "ports")
PURE = {name: tree for name, tree in MERGER.items() if name.split(".")[1] in PURE_PACKAGES}
APP = {"app": ast.parse((ROOT / "app.py").read_text())}
EVERYTHING = {**MERGER, **COMMANDS, **modules("recorders"), **modules("google_apis"), **APP}


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs: not what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from nodes(node)


def imported_packages(tree: ast.AST) -> set[str]:
    """Return the top-level packages that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(str(node.module).partition(".")[0])
    return found


def attributes(tree: ast.AST, *names: str) -> list[str]:
    """Return where attributes of these names are used, as text."""
    return [ast.unparse(n) for n in nodes(tree) if isinstance(n, ast.Attribute) and n.attr in names]


def calls(tree: ast.AST) -> list[ast.expr]:
    return [n.func for n in nodes(tree) if isinstance(n, ast.Call)]


def test_folders_stay_small() -> None:
    wide = {}
    for package in (*PACKAGES, "tests"):
        for folder in [ROOT / package, *(p for p in (ROOT / package).rglob("*") if p.is_dir())]:
            count = sum(path.name != "__init__.py" for path in folder.glob("*.py"))
            if count > MOST_MODULES:
                wide[str(folder.relative_to(ROOT))] = count
    assert wide == {}


# Folders of tests that belong to no package: whole commands, kills and outages, what tests share, and
# an installation of the version before.
OF_NO_PACKAGE = {"acceptance", "fakes", "faults", "soak", "support", "texts", "upgrade"}


def test_tests_lie_where_their_package_lies() -> None:
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.parent.relative_to(ROOT / "tests")
        places = (ROOT / "merger" / folder, ROOT / folder)
        assert (folder.parts[:1] and folder.parts[0] in OF_NO_PACKAGE) or any(
            (place / "__init__.py").is_file() or place == ROOT for place in places
        ), path


def test_every_package_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_the_document_names_every_package() -> None:
    text = (ROOT / "docs/design/architecture.md").read_text()
    named = set(re.findall(r"`((?:merger|recorders|google_apis|commands)/(?:\w+/)*)`", text))
    there = {
        f"{path.parent.relative_to(ROOT)}/"
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert named == there


def test_pure_modules_touch_no_disk() -> None:
    for name, tree in PURE.items():
        used = {f.id if isinstance(f, ast.Name) else getattr(f, "attr", "") for f in calls(tree)}
        assert used & TOUCHES_DISK == set(), name


def test_few_modules_start_processes() -> None:
    for name, tree in {**MERGER, **COMMANDS, **APP}.items():
        starting = imported_packages(tree) & PROCESS_MODULES
        starting |= set(attributes(tree, *PROCESS_CALLS))
        assert bool(starting) == (name in STARTS_PROCESSES), (name, starting)


def test_few_modules_read_the_environment() -> None:
    for name, tree in MERGER.items():
        if name not in READS_ENVIRONMENT:
            assert attributes(tree, *ENVIRONMENT) == [], name


def test_the_core_never_asks_for_the_time() -> None:
    for name, tree in MERGER.items():
        asking = [f for f in calls(tree) if getattr(f, "attr", "") in ("utcnow", "today")]
        asking += [f for f in calls(tree) if ast.unparse(f) in CLOCKS]
        assert [ast.unparse(f) for f in asking] == [], name


def test_graphs_are_built_in_one_module() -> None:
    for name, tree in MERGER.items():
        assert ("ffmpeg" in imported_packages(tree)) == (name in BUILDS_GRAPHS), name


def test_opencv_never_opens_a_file() -> None:
    for name, tree in EVERYTHING.items():
        assert attributes(tree, *OPENCV_FILES) == [], name


def test_these_rules_see_what_they_forbid() -> None:
    tree = ast.parse(
        "import os.path, cv2\nfrom merger.timeline.plan import Part\n"
        "def f():\n    from subprocess import run\n    cv2.imread(os.environ['A'])\n"
        "if TYPE_CHECKING:\n    import sqlalchemy\n"
    )
    assert imported_packages(tree) == {"os", "cv2", "merger", "subprocess"}
    assert attributes(tree, "environ", *OPENCV_FILES) == ["cv2.imread", "os.environ"]
    assert [ast.unparse(call) for call in calls(tree)] == ["cv2.imread"]
