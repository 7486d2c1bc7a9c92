"""The loop: it learns, accumulates, goes on to the last bit, and stops where numbers end.

Mutants seen red: a loss that is not divided by the passes, a clip left out, the moving average, the
optimiser, the meter or the log's rows left out of what is kept, passes that are not seeded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.utils.metrics import AverageMeter
from training_cases import ALONE, PLAIN, finish, image_folder, same, tiny, weights

from softbench.training.distributed import World
from softbench.training.errors import CheckpointError, Diverged, RecipeError
from softbench.training.loop import Loop
from softbench.training.position import Ended, Position, Progress
from softbench.training.recipe import Recipe
from softbench.training.session import prepared, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_folder(tmp_path_factory.mktemp("data"))


def started(recipe: Recipe, folder: Path) -> Loop:
    return prepared(recipe, folder, ALONE)


def gradients(loop: Loop) -> list[torch.Tensor]:
    """Of the first update, by an optimiser whose step is the gradient."""
    before = [weight.detach().clone() for weight in loop.parts.model.parameters()]
    next(loop.run())
    after = loop.parts.model.parameters()
    return [old - new.detach() for old, new in zip(before, after, strict=True)]


def sgd(**changes: Any) -> Recipe:
    rate = {"name": "momentum", "base_lr": 1.0, "base_images": 8, "weight_decay": 0.0}
    return tiny(**{**PLAIN, "optimizer": rate | changes.pop("optimizer", {}), **changes})


def test_passes_add_up_to_one_big_batch(folder: Path) -> None:
    whole = gradients(started(sgd(), folder))
    parts = gradients(started(sgd(accumulate=4), folder))
    assert max(float(one.abs().max()) for one in whole) > 1e-3
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_gradients_are_clipped(folder: Path) -> None:
    clipped = gradients(started(sgd(optimizer={"clip_grad": 0.01}), folder))
    assert torch.cat([one.flatten() for one in clipped]).norm() == pytest.approx(0.01, rel=1e-3)


def test_a_training_interrupted_anywhere_ends_the_same(folder: Path, tmp_path: Path) -> None:
    """Let go of after every single checkpoint, in an epoch and at its end, and taken up again."""
    recipe = tiny(checkpoint_updates=1, schedule={"min_lr": 1e-5, "per": "update"})
    finish(recipe, folder, tmp_path / "whole")
    parts = tmp_path / "parts"
    for _ in range(2 * recipe.epochs):
        events = train(recipe, folder, parts, ALONE, resume=True)
        first = next(events)
        assert isinstance(first, Progress)
        if first.update == first.updates:  # kept at the epoch's end, not before it was tested
            assert isinstance(next(events), Ended)
    for name in ("last.pt", "best.pt"):
        assert same(weights(tmp_path / "whole", name), weights(parts, name))
    assert (tmp_path / "whole" / "log.jsonl").read_bytes() == (parts / "log.jsonl").read_bytes()


def test_it_learns_and_its_log_says_so(folder: Path, tmp_path: Path) -> None:
    recipe = tiny(epochs=6, **PLAIN, evaluation={"resize": 36, "every": 3})
    events = list(train(recipe, folder, tmp_path, ALONE))
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event.row for event in events if isinstance(event, Ended)] == rows
    assert [row["epoch"] for row in rows] == list(range(6))
    assert [row["updates"] for row in rows] == [2, 4, 6, 8, 10, 12]
    assert ["test_top1" in row for row in rows] == [False, False, True, False, False, True]
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert rows[-1]["test_top1"] == 100.0
    assert rows[-1]["ema_test_loss"] != rows[-1]["test_loss"]
    told = [event for event in events if isinstance(event, Progress)]
    assert [event.update for event in told] == [1, 2] * 6
    assert told[0].images_per_second > 0
    assert told[-1].seconds_left < told[0].seconds_left


def test_the_schedule_warms_up_and_ends_low(folder: Path) -> None:
    recipe = tiny(epochs=8, schedule={"warmup_epochs": 2, "warmup_lr": 1e-6, "min_lr": 1e-5})
    loop = started(recipe, folder)
    top = recipe.learning_rate
    rates = []
    for epoch in range(8):
        loop.parts.schedule.step(epoch)
        rates.append(loop.parts.optimizer.param_groups[0]["lr"])
    assert rates[0] == 1e-6
    assert rates[1] == pytest.approx((top + 1e-6) / 2)
    assert rates[2] == pytest.approx(1e-5 + (top - 1e-5) * 0.5 * (1 + 0.5**0.5))
    assert rates == sorted(rates[:3]) + sorted(rates[3:], reverse=True)


def test_biases_and_norms_go_without_decay(folder: Path) -> None:
    groups = started(tiny(), folder).parts.optimizer.param_groups
    decays = {
        weight.ndim > 1: group["weight_decay"]
        for group in groups
        for weight in group["params"]
        if weight.ndim < 3
    }
    assert decays == {True: 0.05, False: 0.0}


def test_a_loss_that_ends_is_told_with_its_place(folder: Path, tmp_path: Path) -> None:
    recipe = tiny(log_updates=50, **PLAIN, evaluation={"resize": 36, "every": 2})
    loop = started(recipe, folder)
    criterion_calls = []

    def poisoned(_: Any, logits: torch.Tensor) -> torch.Tensor:
        criterion_calls.append(1)
        return logits * float("nan") if len(criterion_calls) == 4 else logits

    loop.parts.model.register_forward_hook(lambda module, given, out: poisoned(given, out))
    with pytest.raises(Diverged) as told:
        list(loop.run())
    said = str(told.value)
    assert said.startswith("epoch 1, update 2 of 2: the loss is nan; the last finite loss was ")
    assert said.endswith("at epoch 1, update 1 of 2")


def test_weights_that_end_are_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(**PLAIN, checkpoint_updates=1)
    events = train(recipe, folder, tmp_path, ALONE)
    next(events)
    before = (tmp_path / "last.pt").read_bytes()
    own = Loop._update

    def spoiled(loop: Loop, *given: Any) -> float:
        rate = own(loop, *given)
        with torch.no_grad():
            next(loop.parts.model.parameters()).view(-1)[0] = float("inf")
        return rate

    monkeypatch.setattr(Loop, "_update", spoiled)
    with pytest.raises(Diverged, match="a weight is no longer finite"):
        list(events)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_processes_that_find_different_checkpoints_do_not_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on machines with disks of their own: the other one has none."""
    finish(tiny(epochs=1), folder, tmp_path)
    monkeypatch.setattr(World, "gathered", lambda self, value: [value, None])
    with pytest.raises(CheckpointError, match=r"different checkpoints \(epoch 1, nothing\)"):
        finish(tiny(epochs=1), folder, tmp_path, resume=True)


def test_what_is_in_the_way_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    finish(tiny(epochs=1), folder, tmp_path)
    with pytest.raises(CheckpointError, match=r"holds a training; --resume"):
        finish(tiny(epochs=1), folder, tmp_path)
    with pytest.raises(CheckpointError, match=r"trained with another seed"):
        finish(tiny(epochs=1, seed=1), folder, tmp_path, resume=True)
    torch.save({"state_dict": {}}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"no checkpoint of a training, it lacks arch"):
        finish(tiny(epochs=1), folder, tmp_path, resume=True)
    finish(tiny(epochs=1), folder, tmp_path / "again")
    more = image_folder(tmp_path / "more", train_images=24)
    with pytest.raises(CheckpointError, match=r"trained on other data \(2 updates .* here 3"):
        finish(tiny(epochs=1), more, tmp_path / "again", resume=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "test_vitt"}, "no model 'test_vitt'; did you mean 'test_vit'"),
        ({"model_kwargs": {"deep": 3}}, "test_vit cannot be made: .*deep"),
        ({"optimizer": {"name": "adamwww"}}, "no optimizer 'adamwww'; did you mean 'adamw'"),
        ({"augmentation": {"auto_augment": "rand-q9"}}, "'rand-q9' is none of timm's"),
        ({"batch_size": 7, "augmentation": {"mixup": 0.8}}, "even number"),
    ],
)
def test_what_timm_has_not_is_refused(folder: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        started(tiny(**changes), folder)


def test_a_position_is_data() -> None:
    meter = AverageMeter()
    meter.update(3.0)
    position = Position(2, 5, meter, [{"epoch": 0}], "was 3")
    again = Position.of(json.loads(json.dumps(position.state())))
    again.meter.update(5.0)
    assert (again.epoch, again.update, again.meter.avg, again.rows) == (2, 5, 4.0, [{"epoch": 0}])
