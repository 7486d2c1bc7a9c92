"""Records as a table or an array for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import IO, Any

from softbench.case import Record

OF_CASE = (
    *("case_id", "attention", "backend", "params", "level", "mode", "dtype", "device"),
    *("inputs", "compile", "seed", "model"),
)
OF_SHAPE = ("batch_size", "num_heads", "seq_len", "head_dim", "grid")
OF_RECORD = (
    *("id", "metric", "unit", "better", "repeat", "status", "reason"),
    *("environment", "protocol", "invocation"),
)


def export(records: Iterable[Record], file: IO[str], form: str) -> None:
    """Write records as "csv" (one row a raw value) or "json" (one array)."""
    if form == "json":
        json.dump([_plain(record) for record in records], file, indent=1)
        return
    writer = csv.writer(file)
    writer.writerow([*OF_CASE, *OF_SHAPE, *OF_RECORD, "value", "sample"])
    for record in records:
        plain = _plain(record)
        case = plain["case"] | {"case_id": record.case.id}
        for name in ("params", "model"):
            case[name] = json.dumps(case[name], sort_keys=True) if case[name] is not None else ""
        named = ((case, OF_CASE), (case["shape"], OF_SHAPE), (plain, OF_RECORD))
        cells = [holder[name] for holder, names in named for name in names]
        for sample, value in enumerate(record.values or [""]):
            writer.writerow([*cells, value, sample])


def _plain(record: Record) -> dict[str, Any]:
    return record.model_dump(mode="json", by_alias=True)
