"""Records on disk: appended and read back unchanged, damage named by its line, one holder.

Mutants seen red: a line without its newline taken as whole, an edited value accepted, `repair`
dropping what it should set aside, the lock left out, the first record of a key kept instead of the
last, csv values rounded; on a full disk, the part of a line left in the file, an error of the
system let through, a rest that is never written; a column of the csv left out.
"""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softbench import records
from softbench.case import Case, Record, Shape
from softbench.records import FILE, RecordsError, Store

HOLDER = """
import sys
from pathlib import Path
from softbench.records import Store
with Store(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


FULL_DISK = """
import resource, sys
from pathlib import Path
from softbench.case import Record
from softbench.records import RecordsError, Store, repair
folder, action, room = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with Store(folder) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        if action == "append":
            store.append(Record.model_validate_json(sys.stdin.read()))
        elif action == "append_invocation":
            store.append_invocation({"id": "x" * 300})
        else:
            repair(folder)
    except RecordsError as error:
        print(error)
"""


def record(repeat: int = 0, **changes: Any) -> Record:
    case = Case(
        level="operator",
        attention="softmax",
        params={"b": 1, "a": [0.1, None, "x"]},
        backend="eager",
        shape=Shape(seq_len=16),
        inputs="normal",
        dtype="float32",
        device="cpu",
        mode="forward",
        compile=False,
        seed=0,
    )
    plain: dict[str, Any] = {
        "case": case,
        "metric": "latency",
        "unit": "s",
        "better": "lower",
        "repeat": repeat,
        "values": [0.1 + repeat],
        "status": "ok",
        "reason": None,
        "detail": {},
        "environment": "e",
        "protocol": "p",
        "invocation": "i",
    }
    return Record(**{**plain, **changes}).sealed()


@pytest.fixture
def three(tmp_path: Path) -> list[Record]:
    """A folder, `tmp_path`, with three records."""
    made = [record(repeat) for repeat in range(3)]
    with Store(tmp_path) as store:
        for one in made:
            store.append(one)
    return made


def lines(folder: Path) -> list[bytes]:
    return (folder / FILE).read_bytes().splitlines(keepends=True)


def test_what_is_appended_is_read_back_in_order(tmp_path: Path, three: list[Record]) -> None:
    assert records.read(tmp_path) == three
    with Store(tmp_path) as store:
        store.append(record(3))
    assert [one.repeat for one in records.read(tmp_path)] == [0, 1, 2, 3]


def test_a_folder_without_records_has_none(tmp_path: Path) -> None:
    assert records.read(tmp_path) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=5,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=1)


@settings(deadline=None, max_examples=60)
@given(values=NUMBERS, reason=TEXT, detail=JSON)
def test_any_finite_values_and_any_words_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], reason: str, detail: Any
) -> None:
    folder = tmp_path_factory.mktemp("round")
    written = record(values=values, reason=reason, detail={"any": detail})
    with Store(folder) as store:
        store.append(written)
    [back] = records.read(folder)
    assert back == written
    assert list(map(repr, back.values)) == list(map(repr, values))  # -0.0, and 1 is not 1.0


CUT = "cut off in the middle"
EDITED = "edited by hand"


@pytest.mark.parametrize(
    ("number", "spoil", "why"),
    [
        (3, lambda line: line[:-20], CUT),
        (3, lambda line: line[:-1], CUT),
        (2, lambda line: b"\xff garbage\n", "not a record"),
        (2, lambda line: b"\n", "not a record"),
        (2, lambda line: b"{}\n", "not a record"),
        (1, lambda line: line.replace(b"[0.1]", b"[0.2]"), EDITED),
        (1, lambda line: line.replace(b'"seq_len":16', b'"seq_len":25'), "not a record"),
        (1, lambda line: line.replace(b'"seed":0', b'"seed":1'), EDITED),
        (1, lambda line: line.replace(b"[0.1]", b"[NaN]"), "not a record"),
        (1, lambda line: line.replace(b'"schema":1', b'"schema":2'), "not a record: schema"),
    ],
)
def test_damage_is_named_by_its_line_and_nothing_is_changed(
    tmp_path: Path, three: list[Record], number: int, spoil: Any, why: str
) -> None:
    whole = lines(tmp_path)
    spoilt = [spoil(line) if n == number else line for n, line in enumerate(whole, start=1)]
    assert spoilt != whole
    (tmp_path / FILE).write_bytes(b"".join(spoilt))
    with pytest.raises(RecordsError) as refused:
        records.read(tmp_path)
    message = str(refused.value)
    assert "\n" not in message
    assert f"{tmp_path / FILE}, line {number}: {why}" in message
    assert "2 good lines, 1 damaged" in message
    assert "--repair" in message
    assert lines(tmp_path) == spoilt
    good, damaged = records.examine(tmp_path)
    assert good == [one for n, one in enumerate(three, start=1) if n != number]
    assert [line for line, _ in damaged] == [number]


def test_repair_sets_damaged_lines_aside_and_keeps_the_order(
    tmp_path: Path, three: list[Record]
) -> None:
    first, second, third = lines(tmp_path)
    spoilt = second.replace(b"[1.1]", b"[0.9]")
    (tmp_path / FILE).write_bytes(first + spoilt + third + b'{"cut')
    assert records.repair(tmp_path) == 2
    assert lines(tmp_path) == [first, third]
    assert (tmp_path / records.DAMAGED).read_bytes() == spoilt + b'{"cut\n'
    assert records.repair(tmp_path) == 0
    assert records.read(tmp_path) == [three[0], three[2]]


def test_what_is_appended_after_a_repair_is_kept(tmp_path: Path, three: list[Record]) -> None:
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"garbage\n")
    with Store(tmp_path) as store:
        store.append(record(3))
        assert records.repair(tmp_path) == 1
        store.append(record(4))
    assert records.read(tmp_path) == [*three, record(3), record(4)]


def test_a_second_repair_keeps_what_the_first_set_aside(
    tmp_path: Path, three: list[Record]
) -> None:
    for _ in range(2):
        with (tmp_path / FILE).open("ab") as file:
            file.write(b"garbage\n")
        records.repair(tmp_path)
    assert (tmp_path / records.DAMAGED).read_bytes() == b"garbage\n" * 2


def test_the_folder_of_another_run_is_refused_until_that_run_is_gone(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RecordsError, match=r"another run holds .*; wait for it or use --out"):
            Store(tmp_path)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with Store(tmp_path) as store:
        store.append(record())
    assert len(records.read(tmp_path)) == 1


def said_on_a_full_disk(folder: Path, action: str, room: int) -> str:
    """What `action` says where a file may hold `room` bytes; the system writes what fits."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), action, str(room)],
        input=json.dumps(record(3).model_dump(mode="json", by_alias=True)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_leaves_the_records_as_they_were(tmp_path: Path, three: list[Record]) -> None:
    before = (tmp_path / FILE).read_bytes()
    told = said_on_a_full_disk(tmp_path, "append", len(before) + 100)
    assert told == f"cannot write {tmp_path / FILE}: File too large; what it held before is kept\n"
    assert (tmp_path / FILE).read_bytes() == before
    assert said_on_a_full_disk(tmp_path, "append", 2 * len(before)) == ""
    assert records.read(tmp_path) == [*three, record(3)]


def test_a_full_disk_leaves_the_invocations_as_they_were(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append_invocation({"id": "first"})
    path = tmp_path / "invocations.jsonl"
    assert f"cannot write {path}: " in said_on_a_full_disk(tmp_path, "append_invocation", 100)
    assert path.read_bytes() == b'{"id":"first"}\n'


def test_a_full_disk_stops_a_repair_and_nothing_is_lost(
    tmp_path: Path, three: list[Record]
) -> None:
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"garbage\n")
    before = (tmp_path / FILE).read_bytes()
    assert "cannot write" in said_on_a_full_disk(tmp_path, "repair", 100)
    assert (tmp_path / FILE).read_bytes() == before
    assert records.repair(tmp_path) == 1
    assert records.read(tmp_path) == three


def test_what_the_system_writes_in_parts_is_written_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(io.FileIO):
        def write(self, content: Any) -> int:
            return super().write(content[:100])

    with Store(tmp_path) as store:
        monkeypatch.setattr(Path, "open", lambda path, mode, buffering: Slow(path, mode))
        store.append(record())
    monkeypatch.undo()
    assert records.read(tmp_path) == [record()]


def test_a_store_that_is_closed_lets_the_folder_go(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(RecordsError, match="another run holds"):
        Store(tmp_path)
    Store(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordsError, match=r"cannot write in .*/file/below: Not a directory"):
        Store(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(RecordsError, match=r"cannot write in .*: Permission denied"):
        Store(tmp_path)
    tmp_path.chmod(0o755)


def test_measuring_again_supersedes_and_deletes_nothing() -> None:
    old, other, new = record(values=[1.0]), record(1), record(values=[2.0])
    assert records.latest([old, other, new]) == [new, other]


@pytest.mark.parametrize(
    "changes",
    [{"repeat": 1}, {"metric": "flops"}, {"protocol": "q"}, {"environment": "f"}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_repeat_quantity_protocol_or_machine_supersedes_nothing(
    changes: dict[str, Any],
) -> None:
    assert len(records.latest([record(), record(**changes)])) == 2


def test_only_the_protocol_that_measured_last_is_shown() -> None:
    old, new = record(protocol="old"), record(protocol="new")
    assert records.of_newest_protocol([old, new]) == [new]
    assert records.of_newest_protocol([]) == []


def exported(form: str, *some: Record) -> str:
    told = io.StringIO()
    records.export(some, told, form)
    return told.getvalue()


def test_csv_has_a_row_for_every_raw_value_exactly() -> None:
    values = [0.1 + 0.2, 1e-300, 12345678901234567]
    rows = list(csv.DictReader(io.StringIO(exported("csv", record(values=values)))))
    assert [(float(row["value"]), row["sample"]) for row in rows] == [
        (values[0], "0"),
        (values[1], "1"),
        (float(values[2]), "2"),
    ]
    assert rows[2]["value"] == "12345678901234567"
    assert json.loads(rows[0]["params"]) == {"a": [0.1, None, "x"], "b": 1}
    assert (rows[0]["seq_len"], rows[0]["unit"], rows[0]["better"]) == ("16", "s", "lower")


def test_csv_has_all_that_tells_two_records_apart() -> None:
    one = record()
    [row] = csv.DictReader(io.StringIO(exported("csv", one)))
    case = one.case.model_dump(mode="json")
    told = {"case_id": one.case.id, "params": row["params"], "value": "0.1", "sample": "0"}
    for held in (case, case["shape"], one.model_dump(mode="json", exclude={"version", "detail"})):
        told |= {key: "" if held[key] is None else str(held[key]) for key in held.keys() - told}
    left_out = {"case", "shape", "task", "values"}
    assert row == {key: value for key, value in told.items() if key not in left_out}


def test_csv_has_a_row_for_what_was_not_measured_too() -> None:
    gone = record(values=[], status="skipped", reason="too large, by far")
    [row] = csv.DictReader(io.StringIO(exported("csv", gone)))
    assert (row["status"], row["reason"], row["value"]) == ("skipped", "too large, by far", "")


def test_json_is_the_records_themselves() -> None:
    some = [record(), record(1, values=[0.1 + 0.2, 7])]
    told = json.loads(exported("json", *some))
    assert [Record.model_validate_json(json.dumps(one)) for one in told] == some
