#!/usr/bin/env python3
"""Run the commands of a Markdown file: each ```bash block right below `<!-- run by ci -->`.

Blocks run in order, each in its own bash that stops at the first failure, with .venv/bin first on
PATH. They share a scratch copy of the file's folder, so that what they write stays out of the
checkout. Only the standard library is used.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MARK = "<!-- run by ci -->"
NOT_COPIED = (".venv", ".git", ".*_cache", "__pycache__", "results", "build", "dist", "*.egg-info")


def blocks(text: str) -> list[str]:
    """The marked blocks. Raises ValueError for a mark without one, or when nothing is marked."""
    lines = [line.rstrip() for line in text.splitlines()]
    marks = [number for number, line in enumerate(lines) if line.strip() == MARK]
    if not marks:
        raise ValueError(f"no block is marked with {MARK}")
    return [_block_below(lines, mark) for mark in marks]


def _block_below(lines: list[str], mark: int) -> str:
    start = next((n for n in range(mark + 1, len(lines)) if lines[n]), len(lines))
    if start == len(lines) or lines[start] != "```bash":
        raise ValueError(f"line {mark + 1}: no ```bash block follows {MARK}")
    if "```" not in lines[start + 1 :]:
        raise ValueError(f"line {start + 1}: the block is never closed")
    return "\n".join(lines[start + 1 : lines.index("```", start + 1)])


def run(block: str, scratch: Path, programs: Path) -> int:
    """Show a block, run it in `scratch` with `programs` found first, return bash's status."""
    print("\n".join(f"$ {line}" for line in block.splitlines()), flush=True)
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    command = ["bash", "-euo", "pipefail", "-c", block]
    return subprocess.run(command, cwd=scratch, env={**os.environ, "PATH": path}).returncode


def run_all(marked: list[str], folder: Path) -> int:
    """The number of the first block that fails in a copy of `folder`, or 0."""
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary) / folder.name
        shutil.copytree(folder, scratch, ignore=shutil.ignore_patterns(*NOT_COPIED))
        for number, block in enumerate(marked, 1):
            if run(block, scratch, folder / ".venv" / "bin"):
                return number
    return 0


def main() -> int:
    """Run every marked block of the file that is named; 0 if all succeeded."""
    readme = Path(sys.argv[1]).resolve()
    try:
        marked = blocks(readme.read_text(encoding="utf-8"))
    except ValueError as error:
        print(f"{readme.name}: {error}", file=sys.stderr)
        return 1
    if failed := run_all(marked, readme.parent):
        print(f"{readme.name}: block {failed} of {len(marked)} failed", file=sys.stderr)
        return 1
    print(f"{readme.name}: all {len(marked)} marked blocks ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
