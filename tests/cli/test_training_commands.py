"""`softbench train` and `evaluate` as typed: what they print, refuse and end with."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from softbench.cli import main

RECIPE = """# A tiny one.
model: test_vit
image_size: 32
epochs: 1
batch_size: 4
data: {workers: 0}
optimizer: {base_lr: 0.1}
evaluation: {resize: 36}
ema: {decay: 0.9}
"""
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Type a command; returns its code, standard output and standard error."""

    def typed(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["softbench", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return typed


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe and a few images, in which one now stands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    for split in ("train", "val"):
        for index in range(4):
            folder = tmp_path / "images" / split / "ab"[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.full((40, 40, 3), 200 * (index % 2), dtype="uint8")
            Image.fromarray(pixels).save(folder / f"{index}.jpg")
    return tmp_path


def test_it_trains_and_evaluates_what_it_kept(place: Path, command: Command) -> None:
    code, printed, told = command("train", "tiny.yaml", "--data", "images")
    assert (code, printed) == (0, "training/test_vit/best.pt\n")
    first, row = told.splitlines()
    assert re.fullmatch(
        r"softbench: test_vit: epoch 0 of 1, update 1 of 1; loss [\d.]+, lr [\d.e-]+; "
        r"\d+ images/s, \d+:\d\d:\d\d left",
        first,
    )
    assert row.startswith("softbench: epoch 0 ended: loss ")
    assert "top-1" in row
    assert "EMA" in row
    logged = json.loads((place / "training" / "test_vit" / "log.jsonl").read_text())
    code, printed, _ = command(
        "evaluate", "training/test_vit/last.pt", "--data", "images", "--json"
    )
    found = json.loads(printed)
    assert list(found) == ["weights", "ema"]
    assert found["weights"]["top1"] == logged["test_top1"]
    assert found["ema"]["loss"] == pytest.approx(logged["ema_test_loss"])
    code, printed, _ = command("evaluate", "training/test_vit/best.pt", "--data", "images/val")
    assert code == 0
    assert printed.splitlines()[0].startswith("weights  top-1 ")


def test_weights_of_another_making_need_their_models_name(place: Path, command: Command) -> None:
    command("train", "tiny.yaml", "--data", "images")
    kept = torch.load("training/test_vit/last.pt", weights_only=True)
    torch.save({"model": kept["state_dict"]}, "other.pth")
    code, _, told = command("evaluate", "other.pth", "--data", "images")
    assert code == 2
    assert told == "softbench: other.pth: does not say which model it is of; give --model\n"
    sizes = ("--set", "image_size=32", "--set", "data.workers=0")
    given = ("--data", "images", *sizes)
    code, printed, _ = command("evaluate", "other.pth", "--model", "test_vit", *given)
    assert code == 0
    assert "top-1" in printed
    code, _, told = command("evaluate", "other.pth", "--model", "test_vit2", *given)
    assert code == 2
    assert "these are not the weights of test_vit2: the file " in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tiny.yml",), "no recipe 'tiny.yml'"),
        (("imagenet_sof",), "did you mean 'imagenet_soft'?"),
        (("tiny.yaml", "--set", "epoch=3"), "unknown key 'epoch'; did you mean 'epochs'?"),
        (("tiny.yaml", "--set", "warmup_epochs=3"), "did you mean 'schedule.warmup_epochs'?"),
        (("tiny.yaml", "--set", "ema.decai=0.9"), "did you mean 'decay'?"),
        (("tiny.yaml", "--set", "dtype=half"), "dtype: no 'half'; "),
        (("tiny.yaml", "--set", "epochs=0"), "epochs: 0 is refused: input should be greater"),
        (("tiny.yaml", "--set", "batch_size=512"), "4 images do not fill one batch of 512"),
        (("tiny.yaml", "--set", "model=tiny_vit"), "no model 'tiny_vit'"),
        (("imagenet_soft", "--set", "model=soft_tin"), "'soft_tin'; did you mean 'soft_tiny'?"),
        (("tiny.yaml", "--device", "cuda:7"), "device 'cuda:7' is not here"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_line(
    place: Path, command: Command, arguments: tuple[str, ...], said: str
) -> None:
    if "cuda:7" in arguments and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    code, printed, told = command("train", *arguments, "--data", "images", "--out", "out")
    assert (code, printed) == (2, "")
    assert said in told
    assert told.count("\n") == 1
    assert not Path("out").exists()


def test_broken_images_are_named(place: Path, command: Command) -> None:
    (place / "images" / "val" / "a" / "0.jpg").write_bytes(b"")
    code, _, told = command("train", "tiny.yaml", "--data", "images")
    assert code == 2
    assert "1 image cannot be read: a/0.jpg (empty); replace or remove what is broken" in told
    code, _, told = command("train", "tiny.yaml", "--data", "image")
    assert (code, told) == (2, "softbench: image: no such folder; did you mean 'images'?\n")
    code, _, told = command("train", "tiny.yaml", "--data", "nothing/like/it")
    assert (code, told) == (2, "softbench: nothing/like/it: no such folder\n")
    assert not Path("training").exists()


def test_a_loss_that_is_no_number_ends_with_4(place: Path, command: Command) -> None:
    changes = ["optimizer.base_lr=1e30", "epochs=4", "optimizer.name=sgd", "log_updates=1"]
    given = [word for change in changes for word in ("--set", change)]
    code, _, told = command("train", "tiny.yaml", "--data", "images", *given)
    assert code == 4
    assert re.search(r"epoch \d, update 1 of 1: (the loss is|a weight is no longer)", told)
    assert "the last finite loss was " in told


def test_what_one_process_alone_knows_is_told_by_it(capsys: pytest.CaptureFixture[str]) -> None:
    from softbench.cli.training import _said
    from softbench.training.distributed import World
    from softbench.training.errors import DataError, LateError

    second = World(torch.device("cpu"), 1, 2)
    assert _said(DataError("all know"), second, 2) == 2
    assert _said(LateError("one knows"), second, 2) == 2
    assert capsys.readouterr().err == "softbench: one knows\n"
