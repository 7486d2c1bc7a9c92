"""A small training learns, repeats itself bit for bit, and goes on where it was killed.

Mutants seen red: dropout not seeded by the epoch, the last epoch trained again, the optimizer's
state left out of the checkpoint, an origin not compared, a file written in place.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from softbench.tasks import digits, recall
from softbench.tasks._task import Split, Task
from softbench.training.small import Curve, DivergedError, Epoch, SmallRecipe, train_small

RECIPE = SmallRecipe(epochs=3, batch_size=16, shift=1, flip=True, label_smoothing=0.1)


def images(number: int = 80) -> Task:
    """Eight-pixel images whose class is the quarter that is bright."""
    labels = torch.arange(number) % 4
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 60, (number, 1, 8, 8), generator=generator)
    for index, label in enumerate(labels.tolist()):
        inputs[index, :, label // 2 * 4 :, label % 2 * 4 :][:, :4, :4] += 150
    split = Split(inputs.byte(), labels)
    return Task("quarters", split, split.first(40), 4, "MIT", "made up")


class Failing(nn.Module):
    """Passes on what it gets, until it has done so `calls` times; then it does `what`."""

    def __init__(self, calls: int, what: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.calls, self.what = calls, what

    def forward(self, x: Tensor) -> Tensor:
        self.calls -= 1
        return self.what(x) if self.calls < 0 else x


class Killed(BaseException):
    pass


def killed(_: Tensor) -> Tensor:
    raise Killed


def model(calls: int = 10**9, what: Callable[[Tensor], Tensor] = killed) -> nn.Module:
    """The same initial weights each time, with dropout and with buffers of its own."""
    torch.manual_seed(7)
    return nn.Sequential(
        Failing(calls, what),
        nn.Flatten(),
        nn.Linear(64, 16),
        nn.BatchNorm1d(16),
        nn.GELU(),
        nn.Dropout(0.2),
        nn.Linear(16, 4),
    )


def weights(of: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in of.state_dict().values()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def trained(of: nn.Module, **given: Any) -> Curve:
    return train_small(of, images(), RECIPE, **{"seed": 0, **given})


def test_the_same_seed_gives_the_same_curve_and_another_seed_another() -> None:
    first, second = model(), model()
    one, other = trained(first), trained(second)
    assert one.learned == other.learned
    assert same(weights(first), weights(second))
    assert trained(model(), seed=1).learned != one.learned


@pytest.mark.parametrize("calls", [0, 3, 7, 9, 17, 23])
def test_killed_at_a_step_and_gone_on_it_is_as_if_not_killed(tmp_path: Path, calls: int) -> None:
    whole, path = model(), tmp_path / "folder" / "small.pt"
    expected = trained(whole)
    with pytest.raises(Killed):
        trained(model(calls), checkpoint=path)
    again = model()
    torch.rand(3)  # another state of torch's own stream than before
    seen: list[Epoch] = []
    curve = trained(again, checkpoint=path, on_epoch=seen.append)
    assert curve.learned == expected.learned
    assert same(weights(again), weights(whole))
    # Five steps and three batches of test make an epoch.
    assert curve.resumed_at == (calls // 8 or None)
    assert [epoch.epoch for epoch in seen] == list(range(calls // 8, 3))


def test_a_process_that_is_killed_leaves_a_file_to_go_on_from(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport test_small as t\n"
        "end = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"t.trained(t.model(19, end), checkpoint=Path({str(path)!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    curve = trained(model(), checkpoint=path)
    assert curve.resumed_at == 2
    assert curve.learned == trained(model()).learned


def test_a_training_that_is_done_is_not_trained_again(tmp_path: Path) -> None:
    path, first, second = tmp_path / "small.pt", model(), model(0)
    expected = trained(first, checkpoint=path)
    curve = trained(second, checkpoint=path)
    assert curve.epochs == expected.epochs
    assert same(weights(first), weights(second))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seed": 1}, "its seed is 0, here 1"),
        ({"recipe": RECIPE.model_copy(update={"learning_rate": 0.01})}, "recipe's learning_rate"),
        ({"task": images(96)}, "its task's content is"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(64, 4))}, "its initial model is"),
    ],
    ids=["seed", "recipe", "task", "model"],
)
def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    path = tmp_path / "small.pt"
    given: dict[str, Any] = {"model": model(), "task": images(), "recipe": RECIPE, "seed": 0}
    train_small(**given, checkpoint=path)
    with pytest.raises(ValueError, match=re.escape(f"{path} is of another training")) as error:
        train_small(**{**given, "model": model(), **change}, checkpoint=path)
    assert what in str(error.value)


@pytest.mark.parametrize("content", [b"", b"text", "cut"], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "small.pt"
    trained(model(), checkpoint=path)
    path.write_bytes(path.read_bytes()[:700] if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=re.escape(f"{path} is no checkpoint")):
        trained(model(), checkpoint=path)


def test_another_programs_file_of_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {}}, tmp_path / "small.pt")
    with pytest.raises(ValueError, match="is no checkpoint of a small training"):
        trained(model(), checkpoint=tmp_path / "small.pt")


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.pt"
    with pytest.raises(Killed):
        trained(model(8), checkpoint=path)
    before = path.read_bytes()

    def half(content: Any, file: Any) -> None:
        file.write(b"half of it")
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", half)
        with pytest.raises(Killed):
            trained(model(), checkpoint=path)
    assert path.read_bytes() == before
    assert trained(model(), checkpoint=path).resumed_at == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("calls", "where"),
    [
        (0, r"epoch 0, step 0 of 5; the last finite one: there was none"),
        (11, r"epoch 1, step 3 of 5; the last finite one: \d\.\d+ at epoch 1, step 2"),
        (14, r"epoch 1, in the test; the last finite one: \d\.\d+ at epoch 1, step 4"),
    ],
)
def test_a_loss_that_is_no_number_stops_and_says_where(
    calls: int, where: str, value: float
) -> None:
    def spoilt(x: Tensor) -> Tensor:
        return x * value

    with pytest.raises(DivergedError, match=rf"the loss is nan at {where}"):
        trained(model(calls, spoilt))


def test_the_callers_stream_is_left_where_it_was() -> None:
    one = model()
    before = torch.get_rng_state()
    trained(one)
    assert torch.equal(before, torch.get_rng_state())


def test_what_an_epoch_says() -> None:
    of = model()
    curve = trained(of)
    assert [epoch.epoch for epoch in curve.epochs] == [0, 1, 2]
    rates = [epoch.learning_rate for epoch in curve.epochs]
    assert RECIPE.learning_rate > rates[0] > rates[1] > rates[2] > 0
    assert not of.training
    inputs = images().test.inputs.float()
    everything = images().train.inputs.double()
    fed = (inputs - everything.mean()) / everything.std(unbiased=False)
    logits = of(fed.float())
    labels = images().test.labels
    last = curve.epochs[-1]
    assert last.test_accuracy == curve.accuracy == (logits.argmax(1) == labels).double().mean()
    expected = nn.functional.cross_entropy(logits, labels).item()
    assert last.test_loss == pytest.approx(expected, rel=1e-5)


def test_costs_are_seconds_of_each_part() -> None:
    started = os.times()
    curve = train_small(model(), images(), SmallRecipe(epochs=2, batch_size=16), seed=0)
    ended = os.times()
    spent = ended.user + ended.system - started.user - started.system
    parts = [epoch.training for epoch in curve.epochs] + [epoch.testing for epoch in curve.epochs]
    assert all(part.wall_seconds > 0 for part in parts)
    together = curve.training + curve.testing
    assert together.cpu_seconds == pytest.approx(sum(part.cpu_seconds for part in parts))
    assert 0 < together.cpu_seconds <= spent + 0.02
    assert together.wall_seconds <= ended.elapsed - started.elapsed + 0.02
    assert all(load >= 0 for load in curve.load)


def test_a_model_of_other_classes_is_refused() -> None:
    wrong = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
    with pytest.raises(ValueError, match=r"gives \[16, 5\] for 16 inputs of quarters, which has 4"):
        trained(wrong)


def test_tokens_are_not_shifted() -> None:
    task = recall.load(recall.Params(length=8, train_size=32, test_size=8), seed=0)
    with pytest.raises(ValueError, match="shift and flip are of images; recall has tokens"):
        train_small(nn.Embedding(99, 16), task, SmallRecipe(shift=1), seed=0)


def test_a_transformer_learns_two_hundred_and_fifty_six_digits_by_heart() -> None:
    from timm.models import VisionTransformer

    torch.manual_seed(0)
    vit = VisionTransformer(
        img_size=8,
        patch_size=2,
        in_chans=1,
        num_classes=10,
        embed_dim=32,
        depth=2,
        num_heads=2,
        class_token=False,
        global_pool="avg",
    )
    with torch.no_grad():
        dict(vit.named_parameters())["pos_embed"].mul_(
            25
        )  # of 0.02, pixels' places are learnt slowly
    few = digits.load(digits.Params(), seed=0).train.first(256)
    task = Task("few digits", few, few, 10, "CC BY 4.0", "scikit-learn")
    recipe = SmallRecipe(epochs=30, batch_size=32, learning_rate=5e-3, weight_decay=0.0)
    curve = train_small(vit, task, recipe, seed=0)
    assert curve.accuracy == 1.0, [epoch.test_accuracy for epoch in curve.epochs]
    assert curve.training.cpu_seconds < 60


def test_tokens_are_learnt() -> None:
    task = recall.load(
        recall.Params(length=3, num_values=4, num_keys=1, train_size=256, test_size=64), seed=0
    )
    torch.manual_seed(0)
    of = nn.Sequential(nn.Embedding(6, 8), nn.Flatten(), nn.Linear(24, 4))
    curve = train_small(of, task, SmallRecipe(epochs=6, batch_size=16, learning_rate=0.02), seed=0)
    assert curve.accuracy == 1.0
