"""A model is one file: given with --plugin, with no other edit, from the list to the table.

tests/plugins/small_vit.py is the file. Every command here is a real one, in new processes.
Seen red: while a worker had not adopted the room's files, and before a second run was told that
the file is the same.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from test_new_mechanism import softbench

from softbench import records

FILE = Path(__file__).parent / "plugins" / "small_vit.py"
PLUGIN = ("--plugin", str(FILE))
SUITE = """
level: model
model: {name: small_vit, image_size: [16, 64], depth: 1}
shape: {batch_size: 2}
predict_seq_len: 256
attention: {softmax: {}, soft: {landmarks: pool, num_landmarks: 4}}
device: cpu
repeats: 1
mode: forward_backward
metrics: [latency, throughput, peak_memory, predicted_peak_memory, flops, parameters, inverse_residual]
reports: [table, scaling]
"""  # noqa: E501 - it is a file's line


def test_a_model_is_listed_and_without_its_file_unknown(tmp_path: Path) -> None:
    listed = softbench(tmp_path, "list", "models", *PLUGIN)
    assert re.search("^small_vit +A small vision transformer", listed, re.MULTILINE)
    assert "small_vit" not in softbench(tmp_path, "list", "models")


@pytest.mark.slow
def test_one_file_is_planned_run_resumed_and_drawn(tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(SUITE)
    planned = [
        json.loads(line)
        for line in softbench(tmp_path, "plan", "new.yaml", *PLUGIN, "--json").splitlines()
    ]
    assert [row["status"] for row in planned].count("run") == 2
    assert {row["status"] for row in planned} == {"run", "counted"}
    softbench(tmp_path, "run", "new.yaml", *PLUGIN)
    (file,) = tmp_path.rglob(records.FILE)
    found = list(records.read(file.parent))
    assert {r.status for r in found if not r.metric.startswith("inverse")} == {"ok"}
    assert {r.status for r in found if r.metric.startswith("inverse")} == {"unsupported"}
    measured = {r.case.shape.seq_len for r in found if r.metric == "throughput"}
    assert measured == {16}
    by_case = {(r.case.id, r.metric): r for r in found}
    for row in planned:
        (told,) = by_case[row["id"], "flops"].values
        assert row["predicted_flops"] == told
    count = len(found)
    softbench(tmp_path, "run", "new.yaml", *PLUGIN)
    assert len(list(records.read(file.parent))) == count
    with (file.parent / "scaling.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert {json.loads(row["model"])["name"] for row in rows} == {"small_vit"}
    assert "Throughput (image/s)" in (file.parent / "table.md").read_text()
