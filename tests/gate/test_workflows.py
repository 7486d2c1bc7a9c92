"""The workflows: as few rights as they need, and nothing of a stranger's ever run with more.

Mutants seen red: a checkout in the workflow that may write; pull_request_target; a branch's name
inside a script; rights of the whole workflow; the gate's exit code swallowed; a shallow checkout
before --base.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


def workflow(path: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_script_holds_what_a_stranger_may_write(path: Path) -> None:
    for step in steps(path):
        for script in (step.get("run", ""), step.get("with", {}).get("script", "")):
            assert EXPRESSION.findall(script) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rights_are_named_and_jobs_end(path: Path) -> None:
    content = workflow(path)
    assert content["permissions"] in ({}, {"contents": "read"})
    assert all(job["timeout-minutes"] <= 60 for job in content["jobs"].values())
    assert "pull_request_target" not in content[True]  # YAML reads `on` as true


def test_what_may_write_runs_nothing_of_the_change() -> None:
    (path,) = (path for path in FILES if path.name == "gate-comment.yml")
    content = workflow(path)
    assert list(content[True]) == ["workflow_run"]
    (job,) = content["jobs"].values()
    assert job["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert [step["uses"].partition("@")[0] for step in job["steps"]] == [
        "actions/download-artifact",
        "actions/github-script",
    ]
    script = job["steps"][1]["with"]["script"]
    assert "one.head.sha === run.head_sha" in script
    assert not re.search(r"exec|spawn|eval|import\(|require\('(?!fs')", script)


def test_what_runs_the_change_may_write_nothing() -> None:
    (path,) = (path for path in FILES if path.name == "ci.yml")
    content = workflow(path)
    assert content["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in content["jobs"].values())
    text = path.read_text(encoding="utf-8")
    assert "secrets" not in text
    assert "token" not in text.lower()


def test_the_gate_has_its_base_and_its_code_counts() -> None:
    content = workflow(FOLDER / "ci.yml")["jobs"]["gate"]
    checkout = content["steps"][0]
    assert checkout["with"]["fetch-depth"] == 0
    (step,) = (step for step in content["steps"] if step.get("name") == "gate")
    assert '--base "$BASE"' in step["run"]
    assert "continue-on-error" not in step
    assert "||" not in step["run"]
    upload = content["steps"][-1]
    assert upload["if"] == "always()"


def test_the_comment_follows_the_workflow_by_its_name() -> None:
    followed = workflow(FOLDER / "gate-comment.yml")[True]["workflow_run"]["workflows"]
    assert followed == [workflow(FOLDER / "ci.yml")["name"]]
