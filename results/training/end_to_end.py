"""The ImageNet recipe from a folder of JPEGs to an evaluated checkpoint, at reduced size.

Run as `python results/training/end_to_end.py`; writes end_to_end.md beside itself and ends with 1
if anything is amiss. Three hundred generated JPEGs with broken ones among them are refused by name;
without those, two processes under torchrun train by the whole recipe; then the checkpoint is
evaluated.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from softbench.suite import packaged, read
from softbench.training.differing import differences
from softbench.training.recipe import Recipe

HERE = Path(__file__).parent
COMMAND = "python results/training/end_to_end.py"
CLASSES, TRAIN, TEST, SIDE, BATCH = 4, 240, 60, 96, 48
REDUCED = [
    "model=soft_tiny",
    "model_kwargs.img_size=64",
    "image_size=64",
    "evaluation.resize=73",
    "epochs=2",
    f"batch_size={BATCH}",
    "schedule.warmup_epochs=1",
    "data.workers=1",
    "log_updates=1",
]
LIMIT = 120.0  # seconds that it may take on a machine with nothing else to do


class Amiss(Exception):  # noqa: N818 - a finding
    """What must not happen."""


def image_folder(root: Path) -> list[Path]:
    """JPEGs whose class is their colour and stripes, and three that are broken; those."""
    draws = np.random.default_rng(0)
    for split, count in (("train", TRAIN), ("val", TEST)):
        for index in range(count):
            number = index % CLASSES
            pixels = draws.integers(0, 100, (SIDE, SIDE + 16, 3))
            pixels[:: number + 2, :, number % 3] += 140
            folder = root / split / f"class_{number}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{index:04d}.jpg")
    whole = (root / "train" / "class_0" / "0000.jpg").read_bytes()
    broken = {
        "class_0/empty.jpg": b"",
        "class_1/words.jpg": b"no image",
        "class_2/cut.jpg": whole[:900],
    }
    for name, content in broken.items():
        (root / "train" / name).write_bytes(content)
    return [root / "train" / name for name in broken]


def softbench(*words: str, processes: int = 1) -> list[str]:
    """The command line of softbench, alone or under torchrun."""
    program = [sys.executable, "-c", "from softbench.cli import main; main()"]
    if processes > 1:
        launcher = ["torch.distributed.run", "--standalone", "--no-python", "--nproc-per-node"]
        program = [sys.executable, "-m", *launcher, str(processes), *program]
    return [*program, *words]


def training(data: Path, out: Path) -> list[str]:
    """The words of the training."""
    changes = [word for change in REDUCED for word in ("--set", change)]
    return ["train", "imagenet_soft", "--data", str(data), "--out", str(out), *changes]


def ended(command: list[str], code: int, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run to the end. Raises Amiss for another exit code."""
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode != code:
        raise Amiss(f"ended with {done.returncode}, not {code}: {done.stderr.strip()[-3000:]}")
    return done


def checked(said: str, broken: list[Path], rows: list[dict[str, float]], top: float) -> list[str]:
    """What was seen, a line each. Raises Amiss."""
    unnamed = [path.name for path in broken if path.name not in said]
    if unnamed or "3 images cannot be read" not in said:
        raise Amiss(f"not named: {unnamed}; said was {said!r}")
    losses = [row["loss"] for row in rows]
    updates = [row["updates"] for row in rows]
    if updates != [TRAIN // BATCH, 2 * (TRAIN // BATCH)] or not all(map(math.isfinite, losses)):
        raise Amiss(f"not two epochs of {TRAIN // BATCH} updates with a finite loss: {rows}")
    logged = [row["test_top1"] for row in rows]
    if not any(math.isclose(top, one) for one in logged):
        raise Amiss(f"evaluated top-1 {top}, the log has {logged}")
    told = ", ".join(f"{loss:.4f}" for loss in losses)
    return [
        f"refused with the names of the broken files: {', '.join(path.name for path in broken)}",
        f"{updates[-1]} updates in two epochs; loss by epoch: {told}",
        f"top-1 by epoch: {', '.join(format(row['test_top1'], '.1f') for row in rows)} "
        f"(chance {100 / CLASSES:.0f}); `softbench evaluate` of the checkpoint: {top:.1f}",
    ]


def main() -> int:
    """Do it all; 0, or 1 with what is amiss."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    started, seconds = time.monotonic(), {}
    with tempfile.TemporaryDirectory() as place:
        data, out = Path(place) / "images", Path(place) / "out"
        broken = image_folder(data)
        said = ended(softbench(*training(data, out)), 2, env).stderr
        for path in broken:
            path.unlink()
        seconds["images made, broken ones refused"] = time.monotonic() - started
        ended(softbench(*training(data, out), processes=2), 0, env)
        seconds["two processes trained"] = time.monotonic() - started
        told = ended(
            softbench("evaluate", str(out / "best.pt"), "--data", str(data), "--json"), 0, env
        )
        seconds["evaluated"] = time.monotonic() - started
        rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        lines = checked(said, broken, rows, json.loads(told.stdout)["weights"]["top1"])
    report(lines, seconds)
    return 0


def report(lines: list[str], seconds: dict[str, float]) -> None:
    """Write end_to_end.md."""
    path = packaged("recipe")["imagenet_soft"]
    whole, ours = (Recipe.model_validate(read(path, changes)) for changes in ((), REDUCED))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, cores = used.ru_utime + used.ru_stime, len(os.sched_getaffinity(0))
    changed = differences(ours, whole.model_dump())
    text = [
        "# The ImageNet recipe from end to end",
        "",
        f"Made by `{COMMAND}`; {TRAIN + TEST} JPEGs of {SIDE} × {SIDE + 16} pixels in {CLASSES} "
        "classes, two processes with gloo on the CPU, one thread each.",
        "",
        f"The recipe is `suites/recipes/imagenet_soft.yaml` but for {', '.join(changed)}: "
        "augmentation, mixing, optimiser, schedule, clipping and moving average are whole.",
        "",
        *(f"- {line}" for line in lines),
        "",
        "| done | seconds from the start |",
        "|---|---|",
        *(f"| {name} | {value:.0f} |" for name, value in seconds.items()),
        "",
        f"{cpu:.0f} s of processor time in all, on {cores} core{'s' * (cores > 1)} that others "
        f"used too (load {os.getloadavg()[0]:.1f}); on two free cores it should end within "
        f"{LIMIT:.0f} s.",
    ]
    (HERE / "end_to_end.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Amiss as amiss:
        print(f"amiss: {amiss}", file=sys.stderr)
        sys.exit(1)
