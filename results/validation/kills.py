"""Runs killed (SIGKILL) at random moments and resumed: is any cell lost, doubled or spoilt?

Run as `python results/validation/kills.py [KILLS]` (100); writes kills.md beside itself and ends
with 1 if anything is amiss. A folder is run again and again, each time killed after a time drawn
up to what a whole run takes, until a run comes through; then another folder, until there were
enough kills; two at a time, each in a home of its own. After each kill: every record that stood
there before still stands, and no process of the run is left after some seconds. At the end of each
folder: every file can be read, and every cell (case, quantity, repeat) is there exactly once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from softbench import records

SUITE = """# Six cases that take no time, two repeats.
shape: {num_heads: 1, head_dim: 8, seq_len: [16, 36]}
attention: {softmax: {backend: [eager, sdpa]}, soft: {num_landmarks: 4}}
repeats: 2
metrics: [latency, peak_memory, parameters]
reports: [table]
"""
EXPECTED = 6 * (2 + 2 + 1)  # two quantities in each repeat, one once
COMMAND = str(Path(sys.executable).with_name("softbench"))
LANES = 2
PATIENCE = 10.0  # seconds in which a worker has to notice that its driver is gone


class Amiss(Exception):  # noqa: N818 - a finding
    """What must not happen."""


def run(home: Path, folder: Path, seconds: float | None) -> int | None:
    """One run into `folder`; its exit code, or None if it was killed after `seconds`."""
    command = [COMMAND, "run", str(home / "tiny.yaml"), "--out", str(folder)]
    environment = {**os.environ, "TMPDIR": str(home)}
    process = subprocess.Popen(command, env=environment, stdout=-3, stderr=subprocess.PIPE)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    said = process.stderr.read().decode() if process.returncode > 0 and process.stderr else ""
    if process.returncode not in (0, -signal.SIGKILL):
        raise Amiss(f"a run ended with code {process.returncode}: {said.strip()[-300:]}")
    return None if process.returncode else 0


def left_behind(home: Path) -> list[int]:
    """Processes that carry the folder `home` in their command."""
    found = []
    for told in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = told.read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if str(home).encode() in words:
            found.append(int(told.parent.name))
    return found


def wait_for_the_last(home: Path) -> float:
    """Seconds until no process of the run is left."""
    killed = time.monotonic()
    while left := left_behind(home):
        if time.monotonic() - killed > PATIENCE:
            raise Amiss(f"processes {left} outlived their driver by {PATIENCE:g} s")
        time.sleep(0.02)
    return time.monotonic() - killed


def whole_lines(folder: Path) -> dict[str, tuple[object, ...]]:
    """The records that stand there, id to key; a last line cut off by the kill is none yet."""
    found: dict[str, tuple[object, ...]] = {}
    for path in folder.rglob(records.FILE):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                told = json.loads(line)
                key = (told["case"], told["metric"], told["repeat"])
                found[told["id"]] = (json.dumps(key[0], sort_keys=True), *key[1:])
    return found


def check_end(folder: Path) -> None:
    """Everything is there once, and everything can be read."""
    (path,) = folder.rglob(records.FILE)
    kept = list(records.read(path.parent))
    cells = Counter(record.key for record in kept)
    doubled = [key for key, count in cells.items() if count > 1]
    if doubled or len(cells) != EXPECTED:
        raise Amiss(f"{len(cells)} cells of {EXPECTED}, {len(doubled)} of them twice")
    if failed := [record.status for record in kept if record.status != "ok"]:
        raise Amiss(f"cells that are not ok: {Counter(failed)}")
    for file in path.parent.iterdir():
        if file.suffix == ".json":
            json.loads(file.read_text("utf-8"))
        elif file.suffix == ".jsonl":
            [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        elif file.suffix == ".yaml":
            yaml.safe_load(file.read_text("utf-8"))


def killed_until_done(
    home: Path, folder: Path, whole: float, drawn: random.Random, left: int
) -> tuple[list[float], list[int]]:
    """Seconds each kill's workers lived on, and the records that each found there."""
    ends: list[float] = []
    found: list[int] = []
    before: dict[str, tuple[object, ...]] = {}
    while len(ends) < left and run(home, folder, drawn.uniform(0.3, whole)) is None:
        ends.append(wait_for_the_last(home))
        now = whole_lines(folder)
        if lost := before.keys() - now.keys():
            raise Amiss(f"{len(lost)} records of an earlier run are gone")
        before = now
        found.append(len(now))
    run(home, folder, None)
    if lost := before.keys() - whole_lines(folder).keys():
        raise Amiss(f"{len(lost)} records were measured again or lost")
    check_end(folder)
    return ends, found


def lane(number: int, wanted: int, whole: float) -> tuple[int, list[float], list[int]]:
    """Folders used for so many kills, with what `killed_until_done` says of each kill."""
    drawn, folders = random.Random(number), 0
    ends: list[float] = []
    found: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "tiny.yaml").write_text(SUITE, "utf-8")
        while len(ends) < wanted:
            folders += 1
            folder, left = home / f"r{folders}", wanted - len(ends)
            more = killed_until_done(home, folder, whole, drawn, left)
            ends, found = ends + more[0], found + more[1]
            print(f"{number}: {len(ends)} kills in {folders} folders", flush=True)
    return folders, ends, found


def seconds_of_a_whole_run() -> float:
    """Of one that nobody kills; it must come through."""
    with tempfile.TemporaryDirectory() as name:
        home, started = Path(name), time.monotonic()
        (home / "tiny.yaml").write_text(SUITE, "utf-8")
        run(home, home / "whole", None)
        check_end(home / "whole")
        return time.monotonic() - started


def main() -> None:
    """Kill, resume, count, and write what was found."""
    wanted, whole = int(sys.argv[1]) if sys.argv[1:] else 100, seconds_of_a_whole_run()
    shares = [wanted - wanted // LANES * (LANES - 1), *[wanted // LANES] * (LANES - 1)]
    with ThreadPoolExecutor(LANES) as pool:
        told = list(pool.map(lane, range(LANES), shares, [whole] * LANES))
    folders = sum(one[0] for one in told)
    ends, found = [end for one in told for end in one[1]], [n for one in told for n in one[2]]
    inside = sum(0 < count < EXPECTED for count in found)
    text = (
        "# Runs killed and resumed\n\nMade by `python results/validation/kills.py`.\n\n"
        f"{len(ends)} runs of a suite of {EXPECTED} cells were killed (SIGKILL), each at a random "
        f"moment of the {whole:.0f} s that a whole run takes, in {folders} folders; {inside} "
        "kills found some but not all of the cells recorded.\n\n"
        "- Cells lost: 0. Cells recorded twice: 0. Records of an earlier run that a later one "
        "measured again: 0.\n"
        "- Every file of every folder could be read, without --repair.\n"
        f"- No process outlived its driver by more than {max(ends):.2f} s (median "
        f"{sorted(ends)[len(ends) // 2]:.2f} s).\n\n"
        "Anything else ends the script with an error.\n"
    )
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
