"""Top-1 and top-5 of one centre crop, over every image once, by all processes together."""

from __future__ import annotations

import torch
from timm.utils.metrics import accuracy
from torch import nn
from torch.nn.functional import cross_entropy

from softbench.training.building import NARROW
from softbench.training.distributed import World
from softbench.training.errors import DataError
from softbench.training.loading import Drawing, Reading


@torch.no_grad()
def evaluate(
    model: nn.Module, drawing: Drawing, reading: Reading, dtype: str = "float32"
) -> dict[str, float]:
    """`top1` and `top5` in per cent, and the mean `loss`; the same in every process.

    Each process counts its share and the counts are added, so that no image counts twice however
    many processes there are. DataError: no images.
    """
    world = reading.world
    was_training = model.training
    model.eval()
    # correct at first, correct among five, loss, images
    totals = torch.zeros(4, dtype=torch.float64, device=world.device)
    for images, targets in reading.testing(drawing):
        with torch.autocast(world.device.type, NARROW[dtype], enabled=dtype != "float32"):
            logits_BK = model(images)
        logits_BK = logits_BK.float()
        count = len(targets)
        right = [share * count / 100 for share in accuracy(logits_BK, targets, topk=(1, 5))]
        loss = cross_entropy(logits_BK, targets, reduction="sum")
        totals[:2] += torch.stack(right).round()
        totals[2:] += torch.stack([loss, loss.new_tensor(count)])
    model.train(was_training)
    return _shares(totals, world, drawing.split.where)


def _shares(totals: torch.Tensor, world: World, where: str) -> dict[str, float]:
    first, among_five, loss, count = world.total(totals).tolist()
    if not count:
        raise DataError(f"{where}: no images to evaluate on")
    return {"top1": 100 * first / count, "top5": 100 * among_five / count, "loss": loss / count}
