"""Batches, augmentation, the schedule and a step's mathematics, each against a second source.

Mutants seen red: the order not drawn, the last part of an epoch kept.
"""

import math
from typing import Any

import pytest
import torch
from torch import nn

from softbench.tasks._task import Split, Task
from softbench.training._small_data import batches, moved, placed
from softbench.training._small_training import Training
from softbench.training.small import Curve, SmallRecipe, train_small

CPU = torch.device("cpu")


def task(number: int = 24) -> Task:
    inputs = torch.randint(1, 255, (number, 2, 4, 6), generator=torch.Generator().manual_seed(0))
    split = Split(inputs.byte(), torch.arange(number) % 3)
    return Task("given", split, split, 3, "MIT", "made up")


def drawn(epoch: int = 0, batch_size: int = 5, seed: int = 0, **recipe: Any) -> list[Any]:
    return list(batches(placed(task(), CPU), SmallRecipe(**recipe), seed, epoch, batch_size))


def train(model: nn.Module, **recipe: Any) -> Curve:
    return train_small(model, task(), SmallRecipe(**{"batch_size": 24, **recipe}), seed=0)


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))


def test_an_epoch_has_each_sample_once_in_whole_batches_and_its_own_order() -> None:
    data = placed(task(), CPU)
    whole = data.fed(data.train.inputs).flatten(1).tolist()
    orders = []
    for epoch, seed in ((0, 0), (1, 0), (0, 1)):
        parts = drawn(epoch=epoch, seed=seed)
        assert [len(labels) for _, labels in parts] == [5, 5, 5, 5]
        rows = [whole.index(row) for inputs, _ in parts for row in inputs.flatten(1).tolist()]
        assert [row % 3 for row in rows] == [int(y) for _, labels in parts for y in labels]
        assert len(set(rows)) == 20
        orders.append(rows)
    assert len(set(map(tuple, orders))) == 3
    assert all(rows != sorted(rows) for rows in orders)


def test_pixels_are_normalised_by_each_channels_mean_and_deviation() -> None:
    data = placed(task(), CPU)
    fed = data.fed(data.train.inputs)
    assert torch.allclose(fed.mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(fed.std((0, 2, 3), unbiased=False), torch.ones(2), atol=1e-5)


def test_a_channel_of_one_value_is_nothing() -> None:
    split = Split(torch.full((3, 1, 2, 2), 9, dtype=torch.uint8), torch.zeros(3).long())
    data = placed(Task("flat", split, split, 1, "MIT", "made up"), CPU)
    assert data.fed(split.inputs).tolist() == torch.zeros(3, 1, 2, 2).tolist()


def test_an_image_is_mirrored_and_then_moved_pixel_by_pixel() -> None:
    images = task(4).train.inputs
    moves = torch.tensor([[0, 0], [2, -1], [-1, 2], [1, 1]])
    mirrored = torch.tensor([False, False, True, True])
    found = moved(images, moves, mirrored)
    for index, (down, right) in enumerate(moves.tolist()):
        source = images[index].flip(-1) if mirrored[index] else images[index]
        for y in range(4):
            for x in range(6):
                inside = 0 <= y - down < 4 and 0 <= x - right < 6
                expected = source[:, y - down, x - right] if inside else torch.zeros(2)
                assert found[index, :, y, x].tolist() == expected.tolist()


def test_what_happens_to_a_sample_does_not_depend_on_its_batch() -> None:
    small, large = (drawn(batch_size=size, shift=2, flip=True) for size in (4, 12))
    one, other = (torch.cat([inputs for inputs, _ in parts]) for parts in (small, large))
    assert torch.equal(one, other)
    plain = torch.cat([inputs for inputs, _ in drawn(batch_size=12)])
    changed = (one != plain).any(-1).any(-1).any(-1)
    assert 12 < int(changed.sum()) <= 24


def test_images_are_flipped_alone_where_no_shift_is_asked_for() -> None:
    plain, flipped = (torch.cat([i for i, _ in drawn(flip=flip)]) for flip in (False, True))
    as_it_was = (plain == flipped).flatten(1).all(1)
    mirrored = (plain.flip(-1) == flipped).flatten(1).all(1)
    assert (as_it_was | mirrored).all()
    assert 0 < int(mirrored.sum()) < 20


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_mean_over_samples_with_labels_smoothed(smoothing: float) -> None:
    model = linear()
    curve = train(model, epochs=1, batch_size=8, learning_rate=1e-12, label_smoothing=smoothing)
    data = placed(task(), CPU)
    log_p = model(data.fed(data.train.inputs)).log_softmax(1).detach()
    picked = log_p[torch.arange(24), data.train.labels]
    expected = -((1 - smoothing) * picked + smoothing * log_p.mean(1)).mean()
    assert curve.epochs[0].train_loss == pytest.approx(float(expected), rel=1e-5)
    assert curve.epochs[0].test_loss == pytest.approx(-float(picked.mean()), rel=1e-5)
    right = (log_p.argmax(1) == data.train.labels).double().mean()
    assert curve.epochs[0].train_accuracy == pytest.approx(float(right))


def test_a_gradient_is_clipped() -> None:
    steps = []
    for clip_norm in (0.0, 1e-9):
        model = linear()
        before = model.state_dict()["1.weight"].clone()
        train(model, epochs=1, warmup=0.0, weight_decay=0.0, clip_norm=clip_norm)
        steps.append(float((model.state_dict()["1.weight"] - before).abs().max()))
    # AdamW divides by the gradient's size + 1e-8: what is clipped far below that hardly moves.
    assert steps[0] == pytest.approx(1e-3 * 0.5 * (1 + math.cos(math.pi / 2)), rel=1e-2)
    assert steps[1] < 0.15 * steps[0]


def test_biases_are_not_decayed() -> None:
    training = Training(linear(), task(), SmallRecipe(weight_decay=0.05), 0)
    decay = {
        tuple(weight.shape): group["weight_decay"]
        for group in training.optimizer.param_groups
        for weight in group["params"]
    }
    assert decay == {(3, 48): 0.05, (3,): 0.0}


def test_the_rate_rises_and_falls_by_steps() -> None:
    curve = train(linear(), epochs=6, warmup=0.5, learning_rate=0.01)
    rates = [epoch.learning_rate for epoch in curve.epochs]
    falling = [0.005 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]
    assert rates == pytest.approx([0.01 / 3, 0.02 / 3, *falling])
