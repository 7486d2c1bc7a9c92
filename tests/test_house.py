"""The house rules that a machine can hold: who imports whom, what starts light, how long it is.

Mutants seen red: a report importing `run` or `worker`, a room outside the table, `import torch` in
records, in a function of statistics and at the top of cli, pandas at the top of cli, numpy in
case, a function of 41 lines, a file of 201.
"""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "softbench"
MODULES = sorted(HOUSE.rglob("*.py"))
CODE = sorted([*MODULES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("*.py"), *ROOT.glob(".ci/*.py")])

# Each room and the rooms it may import; every room may import itself and softbench's version.
MAY_IMPORT = {
    "statistics": "",
    "inverse": "",
    "case": "",
    "protocol": "case",
    "environment": "case",
    "records": "case",
    "plugins": "case",
    "tasks": "case",
    "suite": "case plugins protocol",
    "kernels": "inverse",
    "attention": "case plugins inverse kernels",
    "models": "case plugins attention",
    "training": "case plugins models tasks",
    "workload": "case plugins attention models",
    "metrics": "case plugins protocol workload training tasks kernels",
    "contract": "case plugins protocol workload metrics tasks",
    "worker": "case plugins protocol environment workload metrics",
    "executors": "case",
    "run": "case suite plugins protocol environment records executors",
    "gate": "case plugins protocol suite run executors records environment statistics",
    "reports": "case plugins records statistics",
    "provenance": "case plugins records statistics",
    "__init__": "",
}
MAY_IMPORT_ANYTHING = {"cli", "pytest_plugin"}
# A script that a side's interpreter runs by file: of that side's softbench, not of its own room.
SCRIPTS = {"softbench/gate/bench.py": "case plugins workload"}
NEVER_TORCH = {"statistics", "reports", "case", "suite", "records", "protocol", "plugins"}
NO_TORCH_AT_THE_TOP = NEVER_TORCH | {"environment", "cli", "executors", "run", "gate", "tasks"}
TORCH = {"torch", "torchvision", "timm", "fvcore", "triton"}
HEAVY = {"torch", "numpy", "pandas", "matplotlib"}


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imports(tree: ast.AST, package: str = "softbench") -> set[str]:
    """Every module that `tree` imports, by full name; `package` resolves relative imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def rooms_imported(source: str, package: str = "softbench") -> set[str]:
    parts = [name.split(".") for name in imports(ast.parse(source), package)]
    rooms = {part[1] for part in parts if part[0] == "softbench" and len(part) > 1}
    return rooms - {"__version__"}


def run_at_import(tree: ast.Module) -> ast.Module:
    """The statements that importing a module runs: no function bodies, nothing for types only."""
    kept: list[ast.stmt] = []
    for node in tree.body:
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not for_types and not isinstance(node, ast.FunctionDef | ast.ClassDef):
            kept.append(node)
    return ast.Module(kept, [])


def outside(tree: ast.AST) -> set[str]:
    return {name.split(".")[0] for name in imports(tree)}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    room = room_of(path)
    assert room in MAY_IMPORT or room in MAY_IMPORT_ANYTHING, f"{room} is not in the import table"
    if room not in MAY_IMPORT_ANYTHING:
        package = ".".join(path.relative_to(ROOT).parts[:-1])
        imported = rooms_imported(path.read_text(encoding="utf-8"), package)
        allowed = SCRIPTS.get(path.relative_to(ROOT).as_posix(), f"{MAY_IMPORT[room]} {room}")
        assert imported <= set(allowed.split())


@pytest.mark.parametrize("path", [p for p in MODULES if room_of(p) == "case"], ids=name)
def test_case_stands_on_the_standard_and_the_validation_library(path: Path) -> None:
    assert outside(ast.parse(path.read_text())) <= {*sys.stdlib_module_names, "pydantic"}


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room_of(p) in NO_TORCH_AT_THE_TOP], ids=name
)
def test_these_rooms_are_imported_without_torch(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    whole = room_of(path) in NEVER_TORCH
    assert not outside(tree if whole else run_at_import(tree)) & TORCH


@pytest.mark.parametrize(
    "source",
    [
        "import softbench.run",
        "from softbench import run",
        "from softbench.run import measure",
        "from ..run import measure",
        "from .. import run",
        "def render():\n    from softbench.run import measure",
        "import json, softbench.run as driver",
    ],
)
def test_every_way_to_import_a_room_is_seen(source: str) -> None:
    assert "run" in rooms_imported(source, "softbench.reports")
    assert rooms_imported("import json\nfrom softbench import __version__") == set()


def test_what_runs_at_import_is_told_from_what_does_not() -> None:
    source = "import json\nif TYPE_CHECKING:\n    import numpy\ndef f():\n    import torch\n"
    assert outside(run_at_import(ast.parse(source))) == {"json"}
    assert outside(run_at_import(ast.parse("try:\n    import torch\nexcept E: pass"))) == {"torch"}


@pytest.mark.parametrize("arguments", [["--help"], ["list", "attention"]], ids=" ".join)
def test_the_command_starts_light(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom softbench.cli import main\n"
        f"sys.argv = ['softbench', *{arguments}]\n"
        "try:\n    status = main()\nexcept SystemExit as end:\n    status = end.code\n"
        f"print(sorted({HEAVY} & set(sys.modules)), status, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] in ("[] 0", "[] None")
    assert done.stdout


@pytest.mark.parametrize("path", CODE, ids=name)
def test_no_function_has_more_than_forty_lines(path: Path) -> None:
    assert {function: lines for function, lines in functions(path) if lines > 40} == {}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_file_has_more_than_two_hundred_lines(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 200


def test_the_median_function_is_under_ten_lines() -> None:
    assert statistics.median(lines for path in MODULES for _, lines in functions(path)) < 10
