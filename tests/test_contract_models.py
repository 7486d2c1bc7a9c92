"""Every rule of a model's contract can be broken, and is found out; the file itself keeps it.

The stand-ins below are the list of mutants. Each check emptied let its stand-in through.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from softbench import contract, plugins

SOURCE = (Path(__file__).parent / "plugins" / "small_vit.py").read_text(encoding="utf-8")
CLASSES = 'num_classes: int = Field(default=10, ge=1, le=2**20, description="logits")'
MEAN = "self.head(self.blocks(tokens_BNC).mean(1))"


@pytest.fixture
def _one_mechanism(monkeypatch: pytest.MonkeyPatch) -> None:
    names = plugins.names
    monkeypatch.setattr(
        plugins, "names", lambda room: ["softmax"] if room == "attention" else names(room)
    )


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "stand_in.py"
    sys.modules.pop("softbench.models.stand_in", None)


def problems(path: Path, old: str = "", new: str = "") -> list[str]:
    assert old in SOURCE
    path.write_text(SOURCE.replace(old, new), encoding="utf-8")
    return contract.problems(*plugins.adopt(path))


@pytest.mark.usefixtures("_one_mechanism")
def test_the_stand_in_is_good_but_for_what_is_changed(path: Path) -> None:
    assert problems(path) == []


@pytest.mark.slow
def test_it_is_good_with_every_mechanism(path: Path) -> None:
    assert problems(path) == []


@pytest.mark.usefixtures("_one_mechanism")
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (CLASSES, CLASSES.replace(', description="logits"', ""), "num_classes has no description"),
        (CLASSES, CLASSES.replace("ge=1, le=2**20, ", ""), "num_classes has no bounds"),
        ("num_classes", "classes", "Params has no num_classes"),
        ("depth: int", 'name: str = Field("", description="x")\n    depth: int', "field `name`"),
        ("batch_size=batch_size, num", "batch_size=1, num", "shape says a batch of 1 for one of 3"),
        ("randn(batch_size, 3", "randn(1, 3", "draw gives (1, 3, 32, 32) for a batch of 2"),
        ("side, side, generator=generator", "side, side", "draw gives other values from"),
        (").to(dtype)", ", dtype=dtype)", "draw gives other values in another dtype"),
        (MEAN, "self.head(self.blocks(tokens_BNC))", "output (1, 64, 10); logits are (1, 10)"),
        (MEAN, MEAN + " * float('nan')", "the output is not finite"),
        (MEAN, MEAN + " * torch.rand(())", "the same seed builds another model"),
        (MEAN, MEAN.replace("mean(1)", "mean(1).detach()"), "no gradient reaches embed.weight"),
        ('"head": passes', '"head": 2 * passes', "softmax forward: flops() says"),
        ("min(passes, 2)", "passes", "softmax forward_backward: flops() says"),
    ],
)
def test_a_model_that_breaks_a_rule_is_found_out(
    path: Path, old: str, new: str, problem: str
) -> None:
    found = problems(path, old, new)
    assert [one for one in found if problem in one], found
