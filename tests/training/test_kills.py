"""A training killed (SIGKILL) at a random moment and taken up again ends as if it had not been."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from training_cases import ALONE, context, finish, image_folder, same, tiny, weights

RECIPE = tiny(epochs=3, checkpoint_updates=1)
KILLS = 3


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_the_same(tmp_path: Path) -> None:
    data, whole, killed = image_folder(tmp_path / "data"), tmp_path / "whole", tmp_path / "killed"
    started = time.monotonic()
    finish(RECIPE, data, whole)
    takes = time.monotonic() - started
    seed = random.SystemRandom().randrange(2**31)
    moments = random.Random(seed)
    deaths = 0
    while deaths < KILLS:
        process = context().Process(  # type: ignore[attr-defined]
            target=finish, args=(RECIPE, data, killed), kwargs={"resume": True}
        )
        process.start()
        process.join(moments.uniform(0.2, 0.6) * takes)
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        deaths += 1
    assert deaths, f"seed {seed}: it was never killed"
    finish(RECIPE, data, killed, ALONE, resume=True)
    for name in ("last.pt", "best.pt"):
        assert same(weights(whole, name), weights(killed, name)), f"seed {seed}"
    assert (whole / "log.jsonl").read_bytes() == (killed / "log.jsonl").read_bytes()
