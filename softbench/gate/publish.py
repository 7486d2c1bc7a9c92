"""Where an outcome is put: the files asked for, and what GitHub shows of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from softbench.gate.annotations import commands
from softbench.gate.junit import junit
from softbench.gate.markdown import markdown
from softbench.gate.outcome import Outcome

STEP_LIMIT = 1_000_000  # a step's summary on GitHub ends at 1 MiB


def publish(
    outcome: Outcome,
    *,
    markdown_file: Path | None,
    junit_file: Path | None,
    environment: Mapping[str, str],
) -> list[str]:
    """Write the pages; the annotations to print, none outside of GitHub's runs."""
    if markdown_file is not None:
        write(markdown_file, markdown(outcome))
    if junit_file is not None:
        write(junit_file, junit(outcome))
    if environment.get("GITHUB_ACTIONS") != "true":
        return []
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown(outcome, STEP_LIMIT))
    return list(commands(outcome))


def write(path: Path, text: str) -> None:
    """Put `text` into `path` whole or not at all; folders above are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
