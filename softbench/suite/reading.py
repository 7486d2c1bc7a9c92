"""From a suite's name or path to plain data, by a loader that accepts nothing but data."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from softbench.plugins import did_you_mean

MAX_BYTES = 1_000_000
RECIPES = "recipes/"  # the folder of what is trained by, beside the suites
Kind = Literal["suite", "recipe"]


class SuiteError(ValueError):
    """A suite that cannot be run; the message is one line."""


def packaged(kind: Kind = "suite") -> dict[str, Path]:
    """The suites, or training recipes, that softbench brings: name to file."""
    found = _packaged()
    if kind == "suite":
        return {name: file for name, file in found.items() if not name.startswith(RECIPES)}
    return {name.removeprefix(RECIPES): found[name] for name in found if name.startswith(RECIPES)}


def _packaged() -> dict[str, Path]:
    package = Path(__file__).parents[1]
    for folder in (package / "suites", package.parent / "suites"):
        if folder.is_dir():
            found = sorted(folder.rglob("*.yaml"))
            return {file.relative_to(folder).with_suffix("").as_posix(): file for file in found}
    return {}


def first_comment(path: Path) -> str:
    """The first sentence of the comment that a suite begins with; empty if it begins with none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(line.removeprefix("#").strip() for line in comment)
    return re.split(r"(?<=[.!?]) (?=[A-Z])", text, maxsplit=1)[0]


def find(name_or_path: str, kind: Kind = "suite") -> Path:
    """The file of a suite (or recipe) given by path or, if it comes with softbench, by name."""
    path, suites = Path(name_or_path), packaged(kind)
    if _is(path.is_file):
        return path
    if name_or_path in suites:
        return suites[name_or_path]
    if name_or_path and _is(path.is_dir):
        raise SuiteError(f"{name_or_path}: a folder, not a {kind} file")
    raise SuiteError(f"no {kind} {name_or_path!r}; {did_you_mean(path.stem, suites)}")


def _is(question: Callable[[], bool]) -> bool:
    """No for a name too long or otherwise impossible, about which Path raises."""
    try:
        return question()
    except OSError:
        return False


def read(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The suite file as a mapping, with `--set` changes ("shape.seq_len=[196, 400]") applied.

    Raises SuiteError for what is not a plain YAML mapping.
    """
    raw = load(_text(path), str(path))
    if not isinstance(raw, dict):
        raise SuiteError(f"{path}: {'empty' if raw is None else 'not a mapping of keys to values'}")
    return changed(raw, changes)


def changed(raw: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """`raw` with `--set` changes applied, in place."""
    for change in changes:
        _set(raw, change)
    return raw


def load(text: str, where: str) -> Any:
    """`text` as YAML data: no tags, no aliases, no key twice, nothing nested a hundred deep."""
    try:
        return yaml.load(text, _PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        told = ", ".join(filter(None, [error.context, error.problem]))
        raise SuiteError(f"{where}{line}: {told}") from None
    except yaml.YAMLError as error:
        raise SuiteError(f"{where}: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise SuiteError(f"{where}: nested too deeply") from None
    except ValueError as error:  # a date that does not exist, say
        raise SuiteError(f"{where}: {error}") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SuiteError(f"{path}: larger than {MAX_BYTES:,} bytes, which no suite is")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SuiteError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise SuiteError(f"{path}: {error.strerror}") from None


def _set(raw: dict[str, Any], change: str) -> None:
    """Apply one `key=value`; dots descend, the value is YAML."""
    key, equals, value = change.partition("=")
    if not equals or not all(key.split(".")):
        raise SuiteError(f"--set {change}: not of the form key=value, e.g. repeats=1")
    *parents, last = key.split(".")
    for parent in parents:
        child = raw.setdefault(parent, {})
        if child is None:
            child = raw[parent] = {}
        if not isinstance(child, dict):
            raise SuiteError(f"--set {change}: {parent!r} is not a mapping in this suite")
        raw = child
    raw[last] = load(value, f"--set {key}")


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader that also refuses tags and aliases, and keys that stand twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases (*name) have no place in a suite", event)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _refusal(f"the tag {tag} has no place in a suite, which is data", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _refusal(f"the key {key!r} is not a name", key_node)
            if key in seen:
                raise _refusal(f"the key {key!r} stands twice", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _refusal(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)
