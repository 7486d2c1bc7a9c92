"""What leaves the house: a wheel with every room and suite inside, texts without machine paths.

Mutants seen red: suites left out of `packages` or of `package_data`, rooms not found, a licence
missing, an unpinned dependency, a home folder in a docstring, a package index in a comment.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILT_FROM = ["pyproject.toml", "setup.py", "README.md", "LICENSE", "softbench", "suites"]
MACHINE_PATH = re.compile(r"(?<![\w.~])/(home|tmp|root|work|Users|mnt|opt)/|[A-Z]:\\Users")
PACKAGE_INDEX = re.compile(r"index[-_]url|find[-_]links|pypi\.org/simple|download\.pytorch\.org")
FOLDERS = ["softbench", "suites", "tests", "docs", ".ci", ".github", "results/published"]
OURS = [*(f"{folder}/**/*" for folder in FOLDERS), "[A-Z]*", "*.md", "*.py", "*.toml", "*.txt"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of the checkout, built without network by the setuptools that is here."""
    copy = tmp_path_factory.mktemp("a copy")
    for name in BUILT_FROM:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
    (copy / "suites" / "deep").mkdir()
    (copy / "suites" / "deep" / "given.yaml").write_text("metrics: [flops]\n")
    build = "import setuptools.build_meta as backend; backend.build_wheel('out')"
    # Without a C++ compiler it is built too, without the compiled kernels.
    no_compiler = {**os.environ, "CC": "false", "CXX": "false"}
    subprocess.run(
        [sys.executable, "-c", build], cwd=copy, check=True, capture_output=True, env=no_compiler
    )
    (built,) = (copy / "out").glob("*.whl")
    return built


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def expected_files() -> set[str]:
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "softbench").rglob("*.py")}
    suites = {path.relative_to(ROOT).as_posix() for path in (ROOT / "suites").rglob("*.*")}
    return code | {f"softbench/{suite}" for suite in suites} | {"softbench/suites/deep/given.yaml"}


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_suite_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected_files()


@pytest.mark.slow
def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    said = metadata(wheel)
    assert (said["Name"], said["License-Expression"]) == ("softbench", "MIT")
    assert said["Requires-Python"] == ">=3.11"
    with zipfile.ZipFile(wheel) as archive:
        files = {name.partition(".dist-info/")[2]: name for name in archive.namelist()}
        assert b"softbench = softbench.cli:main" in archive.read(files["entry_points.txt"])
        assert archive.read(files["licenses/LICENSE"]) == (ROOT / "LICENSE").read_bytes()


@pytest.mark.slow
def test_a_suite_is_found_by_name_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from softbench.suite.reading import find; print(find('deep/given'))"
    )
    command = [sys.executable, "-I", "-c", program]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == tmp_path / "softbench" / "suites" / "deep" / "given.yaml"


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.partition("==") for line in lines if not line.startswith("#")]
    return {name: version for name, _, version in pairs}


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {re.split("[>=<]", name)[0] for name in wanted} <= pins().keys()


def test_a_pin_is_one_plain_version() -> None:
    assert all(re.fullmatch(r"[0-9a-z.]+", version) for version in pins().values())


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the project as read from disk; what a user measured or noted is not of it."""
    for path in sorted(path for pattern in OURS for path in ROOT.glob(pattern)):
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # not a text


@pytest.mark.parametrize("pattern", [MACHINE_PATH, PACKAGE_INDEX], ids=["path", "index"])
def test_no_file_names_a_machine_path_or_a_package_index(pattern: re.Pattern[str]) -> None:
    assert [file for file, text in texts() if pattern.search(text)] == []


def test_the_patterns_know_what_they_look_for() -> None:
    for folder in ("home", "tmp", "root", "work", "Users"):
        assert MACHINE_PATH.search(f"see /{folder}/me/file")
    assert PACKAGE_INDEX.search("--" + "index" + "-url https://example.org")
    assert not MACHINE_PATH.search("https://example.org/tmp/x and ../work/x and reports/home/x")


def test_the_texts_are_those_of_the_project() -> None:
    assert {"Makefile", ".ci/run", "softbench/case.py", "pyproject.toml"} <= dict(texts()).keys()
