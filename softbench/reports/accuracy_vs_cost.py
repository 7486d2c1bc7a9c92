"""Accuracy of trained models against what they cost, with differences to softmax seed by seed.

A figure and a table for each task, size and machine. Accuracies are means over seeds; mechanisms
are compared on the seeds that both have, by Student's t interval of the paired differences, and one
is said to beat another only where that interval says so. Every value is also a row of the CSV, with
the ids of the records it came from.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softbench.case import Record
from softbench.reports import _accuracy_figure, _accuracy_table, _machine, _models, _sheet, _tables
from softbench.reports._figure import own_settings
from softbench.reports._labels import labels
from softbench.reports._notes import TELLING
from softbench.reports._trained import Field, fields

RULE = (
    "Accuracy: mean over seeds, which all mechanisms share (order of the data, generated samples, "
    "first weights of all but the attention). Differences: seed by seed, Student's t, the "
    "intervals of all pairs of mechanisms together at 95 % (Bonferroni). Filled marks differ from "
    "softmax beyond doubt, hollow ones may not. Dotted, where near: always the most "
    "frequent class."
)
STEP = "FLOPs and latency: a training step without its optimiser, over its batch."


def render(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write accuracy_vs_cost.md, .tex, .csv and [_suffix].pdf, .svg, .png; returns their paths.

    Raises ValueError if no accuracy was measured.
    """
    found = fields(records)
    if not found:
        held = ", ".join(sorted({record.metric for record in records}))
        raise ValueError(f"nothing to show: the records hold {held}, and no accuracy measured")
    sections = [_section(one, folder) for one in found]
    rows = [row for one in found for row in _accuracy_table.rows(one)]
    tables = _tables.write(folder, "accuracy_vs_cost", sections, rows)
    return [*tables, *(path for one in found for path in _figure(one, folder))]


def notes(field: Field, facts: dict[str, Any], tuning: str = "") -> list[str]:
    """The paragraphs at the foot: task and model, machine, statistic, tuning, what is missing.

    tuning: how the suite says that its recipe was chosen; else as the records tell.
    """
    said = [_setting(field, facts), RULE, STEP, _said_of_trainings(field, tuning)]
    told = [_at_majority(field), _parameters_apart(field), _lost(field)]
    return [" ".join(filter(None, said)), " ".join(filter(None, told))]


def _figure(field: Field, folder: Path) -> list[Path]:
    facts = _machine.facts(folder, field.group)
    with own_settings():
        figure = _accuracy_figure.draw(field, notes(field, facts, _tuning(folder)))
        return _sheet.write(figure, folder / f"accuracy_vs_cost{field.suffix}")


def _section(field: Field, folder: Path) -> _tables.Section:
    facts = _machine.facts(folder, field.group)
    told = ["Accuracy against cost", *field.group.words, *filter(None, [field.words])]
    said = [*notes(field, facts, _tuning(folder)), _accuracy_table.BEATS]
    grid, name = _accuracy_table.grid(field), f"accuracy_vs_cost{field.suffix}"
    return _tables.Section(", ".join(told), grid, said, name)


def _setting(field: Field, facts: dict[str, Any]) -> str:
    """Task and recipe, model and machine."""
    fixed, parts = field.group.fixed, []
    if field.task:
        recipe = field.task["recipe"]
        epochs = f"{recipe['epochs']} epoch{'s' * (recipe['epochs'] != 1)}"
        parts.append(f"{field.task['name']}{_samples(field)}, {epochs} of batches of "
                     f"{recipe['batch_size']}, AdamW at {recipe['learning_rate']:g}")  # fmt: skip
    parts.append(_models.words(field.group.records[0].case.body))
    parts.append(f"N = {fixed['seq_len']:,}")
    parts.append(_machine.device(str(fixed["device"]), facts))
    parts += [word.replace("-", " ", 1) for word in field.group.words if word.startswith(TELLING)]
    return f"{'; '.join(filter(None, parts))}."


def _samples(field: Field) -> str:
    """How many samples were trained on and tested, where the records tell."""
    details = [r.detail for r in field.group.records if "train_samples" in r.detail]
    if not details:
        return ""
    train, test = (max(d[f"{name}_samples"] for d in details) for name in ("train", "test"))
    return f" ({train:,} samples to train, {test:,} to test)"


def _tuning(folder: Path) -> str:
    """What the suite's first comment, beside the records, says of its recipe."""
    kept = folder / "suite.yaml"
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else []
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(line.removeprefix("#").strip() for line in comment)
    told = re.findall(r"[^.:]*recipe for all[^.]*\.", text)
    return " ".join(map(str.strip, told))


def _said_of_trainings(field: Field, tuning: str) -> str:
    """Seeds, tuning and load."""
    seeds = sorted({seed for one in field.trained for seed in one.accuracy})
    details = [r.detail for r in field.group.records if r.metric == "accuracy" and r.status == "ok"]
    tunings = (
        [tuning]
        if tuning
        else sorted({f"Tuning: {d['tuning']}." for d in details if "tuning" in d})
    )
    loads = [load for d in details for load in d.get("load", ())]
    said = [f"Seeds: {', '.join(map(str, seeds))}."]
    said += tunings
    if loads:
        said.append(f"Load of the machine meanwhile: {min(loads):.1f} to {max(loads):.1f}.")
    return " ".join(said)


def _at_majority(field: Field) -> str:
    """Who learned next to nothing."""
    share = field.majority or 0.0
    names = labels([one.series for one in field.trained])
    low = [one.series for one in field.trained if one.mean and one.mean < 1.5 * share]
    told = ", ".join(names[series] for series in low)
    return f"Next to the most frequent class ({100 * share:.1f} %): {told}." if low else ""


def _parameters_apart(field: Field) -> str:
    counts = [count for one in field.trained if (count := one.cost("parameters"))]
    apart = counts and max(counts) > 1.01 * min(counts)
    body = field.group.records[0].case.body or {}
    way = "; the model's equal_parameters makes them alike" if "equal_parameters" in body else ""
    return f"Parameters differ{way}." if apart else ""


def _lost(field: Field) -> str:
    """Which trainings have no accuracy, and why."""
    names = labels([one.series for one in field.trained])
    lost: dict[str, list[str]] = defaultdict(list)
    for one in field.trained:
        by_reason: dict[str, list[int]] = defaultdict(list)
        for seed, why in sorted(one.lost.items()):
            by_reason[" ".join(why.split())].append(seed)
        for why, seeds in by_reason.items():
            lost[why].append(f"{names[one.series]} {', '.join(map(str, seeds))}")
    said = [f"{'; '.join(whose)} ({why})" for why, whose in lost.items()]
    return f"Seeds without an accuracy: {'; '.join(said)}." if said else ""
