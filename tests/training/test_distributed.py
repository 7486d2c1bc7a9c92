"""Two processes with gloo: one big batch's gradients, metrics of every image once, one verdict.

Mutant seen red: buckets left to be laid out after the first update (three processes).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_loop import sgd
from training_cases import ALONE, PLAIN, finish, image_folder, side_by_side, tiny, weights

from softbench.training.distributed import World
from softbench.training.errors import DataError
from softbench.training.session import prepared


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_folder(tmp_path_factory.mktemp("data"))


def part(world: World, folder: Path, data: Path, broken: Path) -> None:
    """What each process does: one epoch of plain gradient steps, and a look at broken data."""
    finish(RECIPE, data, folder / "out", world)
    with pytest.raises(DataError, match=r"1 image cannot be read: class1/001.jpg"):
        prepared(RECIPE, broken, world)
    model = prepared(RECIPE, data, world).parts.model
    torch.save(model.state_dict(), folder / f"{world.rank}.pt")


RECIPE = sgd(epochs=1, accumulate=2, optimizer={"base_lr": 0.05})


def test_two_processes_train_as_one_with_the_whole_batch(data: Path, tmp_path: Path) -> None:
    broken = image_folder(tmp_path / "broken")
    (broken / "train" / "class1" / "001.jpg").write_bytes(b"")
    side_by_side(part, 2, tmp_path / "two", data, broken)
    finish(sgd(epochs=1, optimizer={"base_lr": 0.05}), data, tmp_path / "one")
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two" / "out")
    start = prepared(RECIPE, data, ALONE).parts.model.state_dict()
    for name, wanted in one.items():
        if name.startswith("/state_dict/"):
            torch.testing.assert_close(two[name], wanted, rtol=1e-4, atol=1e-5)
    moved = [(one[f"/state_dict/{name}"] - weight).abs().max() for name, weight in start.items()]
    assert max(moved) > 1e-3
    logs = [
        json.loads((out / "log.jsonl").read_text())
        for out in (tmp_path / "one", tmp_path / "two" / "out")
    ]
    # Seven test images: a process with four and one with three, no image twice.
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)
    assert logs[0]["test_top1"] in [pytest.approx(100 * right / 7) for right in range(8)]


def three(world: World, folder: Path, data: Path) -> None:
    """A training in one go, and one let go of after its first checkpoint."""
    from softbench.training.session import train

    recipe = tiny(**PLAIN, model="test_byobnet", batch_size=6, checkpoint_updates=1, epochs=1)
    finish(recipe, data, folder / "whole", world)
    next(iter(train(recipe, data, folder / "parts", world)))
    torch.distributed.barrier()
    finish(recipe, data, folder / "parts", world, resume=True)


@pytest.mark.slow
def test_three_processes_go_on_to_the_last_bit(data: Path, tmp_path: Path) -> None:
    """Sums of three go by the place in a bucket, which DDP changes after a first pass."""
    from training_cases import same

    side_by_side(three, 3, tmp_path / "three", data)
    whole, parts = tmp_path / "three" / "whole", tmp_path / "three" / "parts"
    assert same(weights(whole), weights(parts))
    assert (whole / "log.jsonl").read_bytes() == (parts / "log.jsonl").read_bytes()
