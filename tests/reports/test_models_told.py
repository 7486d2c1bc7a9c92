"""Models in reports: figures of their own, said in the notes, in a column of the CSV.

Mutants seen red: two models in one figure, lengths of one model in two, the column in tables of no
model, the sizes of heads said of a model, a blank in a file's name.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from synthetic_records import case, counted, timed

from softbench.case import Case, Record
from softbench.cli.side_by_side import _settings
from softbench.reports import scaling, table
from softbench.reports._groups import groups
from softbench.reports._notes import setting

VIT = {"name": "vit", "depth": 12, "dim": 384, "vocabulary": None}


def modelled(seq_len: int, attention: str = "soft", **model: Any) -> Case:
    told = {**VIT, "image_size": seq_len, **model}
    return case(attention, seq_len, level="model", model=told)


def sweep(**model: Any) -> list[Record]:
    return [
        made
        for attention in ("softmax", "soft")
        for n in (64, 256, 1024)
        for made in [
            *timed(modelled(n, attention, **model), n * 1e-4),
            *counted(modelled(n, attention, **model), "flops", n),
        ]
    ]


def test_all_lengths_of_a_model_are_one_figure() -> None:
    [group] = groups(sweep())
    assert {point.seq_len for point in group.points} == {64, 256, 1024}
    assert group.words == ()


def test_every_model_has_a_figure_of_its_own_named_by_what_differs(tmp_path: Path) -> None:
    records = [*sweep(), *sweep(depth=6), *sweep(name="pyramid")]
    assert [group.suffix for group in groups(records)] == [
        "_pyramid", "_vit-depth-12", "_vit-depth-6",
    ]  # fmt: skip
    assert len({path.stem for path in scaling.render(records, tmp_path)}) == 3


def test_the_notes_say_the_whole_model_and_what_the_tokens_are() -> None:
    [group] = groups(sweep())
    said = setting(group, {})
    assert "model level, vit (depth 12, dim 384), B = 1, N: the tokens in its first block" in said
    [operators] = groups(timed(case(), 0.01))
    assert "B = 1, H = 8, D = 64" in setting(operators, {})


def test_a_table_has_a_column_of_models_only_where_there_are_some(tmp_path: Path) -> None:
    for records, has in ((sweep(), True), (timed(case(), 0.01), False)):
        *_, path = table.render(records, tmp_path)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert all(("model" in row) == has for row in rows)
        assert all(json.loads(row["model"])["depth"] == 12 for row in rows if has)


def test_a_comparison_sets_models_apart() -> None:
    assert _settings(modelled(64))["model"] == _settings(modelled(256))["model"]
    assert _settings(modelled(64))["model"] != _settings(modelled(64, depth=6))["model"]


def test_images_a_second_are_read_as_such(tmp_path: Path) -> None:
    of = modelled(64)
    made = timed(of, 0.01)
    rate = {"metric": "throughput", "unit": "image/s", "better": "higher", "values": [1234.0] * 3}
    images = [one.model_copy(update=rate).sealed() for one in made]
    markdown, *_ = table.render([*made, *images], tmp_path)
    text = markdown.read_text("utf-8")
    assert "| Latency (ms) | Throughput (image/s) |" in text
    assert "| 1,234 [1,234, 1,234] |" in text
