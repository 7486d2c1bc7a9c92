#!/usr/bin/env python3
"""Run the commands of a Markdown file: each ```bash block right below `<!-- run by ci -->`.

Blocks run in order, each in its own bash that stops at the first failure, in the folder of the
file and with .venv/bin first on PATH. Only the standard library is used.
"""

import os
import subprocess
import sys
from pathlib import Path

MARK = "<!-- run by ci -->"


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


def run(block: str, folder: Path) -> int:
    """Show a block, run it in `folder` and return bash's exit status."""
    print("\n".join(f"$ {line}" for line in block.splitlines()), flush=True)
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    command = ["bash", "-euo", "pipefail", "-c", block]
    return subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}).returncode


def main() -> int:
    """Run every marked block of the file that is named; 0 if all succeeded."""
    readme = Path(sys.argv[1]).resolve()
    try:
        marked = blocks(readme.read_text(encoding="utf-8"))
    except ValueError as error:
        print(f"{readme.name}: {error}", file=sys.stderr)
        return 1
    for number, block in enumerate(marked, 1):
        if status := run(block, readme.parent):
            print(f"{readme.name}: block {number} failed with status {status}", file=sys.stderr)
            return 1
    print(f"{readme.name}: {len(marked)} blocks ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
