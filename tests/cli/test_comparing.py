"""`softbench compare`: judged between runs of one machine and protocol, shown otherwise.

Mutants seen red: another machine judged, another protocol judged, measured bytes taken for a count,
counts refused elsewhere, code 0 in spite of a refusal, A and B exchanged, the first of two folders
taken, records of two environments mixed, a library's CUDA held against a machine without device, a
device's CUDA overlooked, counts among what chance may change, few calls never judged, cells of one
side dropped, few calls among what intervals judged, three processes enough to judge without one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from softbench.case import Case, Record, Shape, Status
from softbench.cli import main
from softbench.environment import Environment, Gpu
from softbench.records import Store

Command = Callable[..., tuple[int, str, str]]
UNITS = {"latency": "s", "peak_memory": "byte", "flops": "FLOP", "predicted_peak_memory": "byte"}
HERE = Environment(
    system="Linux x86_64", cpu="a CPU", cores=2, memory=2**34, gpus=[], driver=None, cuda="13.0",
    python="3.11.7", libraries={"torch": "2.11.0", "numpy": "2.0"}, threads=1, softbench="0.1",
)  # fmt: skip


def case(length: int = 196, attention: str = "soft", **others: Any) -> Case:
    told: dict[str, Any] = {
        "level": "operator", "attention": attention, "params": {}, "backend": "eager",
        "shape": Shape(seq_len=length), "inputs": "normal", "dtype": "float32", "device": "cpu",
        "mode": "forward", "compile": False, "seed": 0,
    } | others  # fmt: skip
    return Case(**told)


def recorded(case: Case, quantity: str, repeats: Sequence[Any], **others: Any) -> list[Record]:
    """One record a repeat; a repeat is its values, or a status without any."""
    told: dict[str, Any] = {"environment": HERE.id, "protocol": "p"} | others
    return [
        Record(
            case=case,
            metric=quantity,
            unit=UNITS[quantity],
            better="lower",
            repeat=repeat,
            values=[] if isinstance(values, str) else values,
            status=cast(Status, values) if isinstance(values, str) else "ok",
            reason="because" if isinstance(values, str) else None,
            detail={},
            invocation="i",
            **told,
        ).sealed()
        for repeat, values in enumerate(repeats)
    ]


def timed(*medians: float) -> list[list[float]]:
    return [[median] * 3 for median in medians]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a results folder of records, measured HERE unless an environment is given."""

    def written(name: str, records: Sequence[Record], environment: Environment = HERE) -> Path:
        folder = tmp_path / name / environment.id
        with Store(folder) as store:
            for record in records:
                one = record.model_copy(update={"environment": environment.id})
                store.append(one.sealed())
        (folder / "environment.json").write_text(environment.model_dump_json())
        return folder

    return written


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Type the command; returns its code, standard output and standard error."""

    def typed(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["softbench", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return typed


def told(compare: Command, a: Path, b: Path) -> tuple[int, dict[str, Any]]:
    code, out, _ = compare(a, b, "--json")
    found: dict[str, Any] = json.loads(out)
    return code, found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {
        f"{cell['label'].split()[1]} {cell['quantity']}": cell["verdict"] for cell in found["cells"]
    }


FOUR = [case(n) for n in (196, 400, 784, 1600)]


@pytest.fixture
def a(write: Callable[..., Path]) -> Path:
    """Four latencies and two counts."""
    records = [r for one in FOUR for r in recorded(one, "latency", timed(1.0, 1.01, 0.99))]
    records += recorded(FOUR[0], "flops", [[100]])
    return write("a", records + recorded(FOUR[1], "flops", [[100]]))


@pytest.fixture
def b(write: Callable[..., Path]) -> Path:
    """One quicker, one slower, one alike, one too few calls; a count equal, a count smaller."""
    repeats = [timed(0.5, 0.51, 0.49), timed(2.0, 2.1, 1.9), timed(1.0, 1.02, 1.0), [[1.0], [1.1]]]
    records = [
        r for one, each in zip(FOUR, repeats, strict=True) for r in recorded(one, "latency", each)
    ]
    records += recorded(FOUR[0], "flops", [[100]])
    return write("b", records + recorded(FOUR[1], "flops", [[90]]))


def test_cells_are_judged_by_their_intervals_and_counts_exactly(
    compare: Command, a: Path, b: Path
) -> None:
    code, found = told(compare, a, b)
    assert code == 0
    assert verdicts(found) == {
        "N=196 latency": "B better",
        "N=400 latency": "A better",
        "N=784 latency": "no difference seen",
        "N=1600 latency": "not judged",
        "N=196 flops": "equal",
        "N=400 flops": "B better",
    }
    latency = next(c for c in found["cells"] if c["quantity"] == "latency")
    assert latency["ratio"]["centre"] == pytest.approx(0.5, rel=0.01)
    assert latency["ratio"]["low"] < 0.5 < latency["ratio"]["high"]
    assert latency["a"]["low"] < 1.0 < latency["a"]["high"]
    assert latency["a"]["processes"] == 3
    few = next(cell for cell in found["cells"] if cell["label"].endswith("N=1600 forward"))
    assert few["reason"] == "few calls"


def test_it_says_how_many_would_differ_by_chance(compare: Command, a: Path, b: Path) -> None:
    _, found = told(compare, a, b)
    assert found["judged_by_interval"] == 3
    assert found["different"] == 2
    assert found["different_by_chance"] == pytest.approx(0.15)
    _, out, _ = compare(a, b)
    assert "2 of 3 cells with intervals differ. Of two runs of the same thing about 0." in out
    assert "| SOFT      |" in out
    assert "Exactly equal in both: 1 cell." in out


def test_another_machine_is_shown_but_not_judged(
    compare: Command, a: Path, write: Callable[..., Path]
) -> None:
    elsewhere = HERE.model_copy(update={"cpu": "another CPU", "memory": 2**35})
    records = recorded(FOUR[0], "latency", timed(0.1, 0.11, 0.1))
    records += recorded(FOUR[0], "flops", [[70]])
    there = write("there", records, elsewhere)
    code, found = told(compare, a, there)
    assert code == 4
    assert found["refused"] == "another machine"
    assert found["machine_differs"] == {
        "cpu": ["a CPU", "another CPU"],
        "memory": [2**34, 2**35],
    }
    assert verdicts(found) == {"N=196 latency": "not judged", "N=196 flops": "B better"}
    latency = next(cell for cell in found["cells"] if cell["quantity"] == "latency")
    assert latency["ratio"] is None
    assert latency["b"]["value"] == pytest.approx(0.103, rel=0.01)
    _, out, _ = compare(a, there)
    assert "Other machine (A / B): cpu a CPU / another CPU; memory" in out
    assert "1 cell not judged: another machine." in out


def test_measured_bytes_are_no_count_and_predicted_ones_are(
    compare: Command, write: Callable[..., Path]
) -> None:
    def bytes_of(size: int) -> list[Record]:
        measured = recorded(FOUR[0], "peak_memory", [[size]] * 3)
        return measured + recorded(FOUR[0], "predicted_peak_memory", [[size]])

    here = write("here", bytes_of(100))
    there = write("there", bytes_of(90), HERE.model_copy(update={"cores": 64}))
    again = write("again", bytes_of(90))
    assert verdicts(told(compare, here, there)[1]) == {
        "N=196 peak_memory": "not judged",
        "N=196 predicted_peak_memory": "B better",
    }
    assert set(verdicts(told(compare, here, again)[1]).values()) == {"B better"}


def test_counts_alone_are_refused_nowhere(compare: Command, write: Callable[..., Path]) -> None:
    here = write("here", recorded(FOUR[0], "flops", [[100]]))
    elsewhere = HERE.model_copy(update={"cpu": "another CPU"})
    there = write("there", recorded(FOUR[0], "flops", [[100]]), elsewhere)
    assert told(compare, here, there)[0] == 0


def test_other_versions_are_judged_and_said(
    compare: Command, a: Path, write: Callable[..., Path]
) -> None:
    newer = HERE.model_copy(
        update={"libraries": HERE.libraries | {"torch": "2.12.0"}, "cuda": "14"}
    )
    there = write("there", recorded(FOUR[0], "latency", timed(0.1, 0.11, 0.1)), newer)
    code, found = told(compare, a, there)
    assert code == 0
    assert verdicts(found) == {"N=196 latency": "B better"}
    assert found["versions_differ"] == {"torch": ["2.11.0", "2.12.0"], "cuda": ["13.0", "14"]}
    assert "Other versions (A / B): " in compare(a, there)[1]


def test_with_a_device_its_cuda_is_part_of_the_machine(
    compare: Command, write: Callable[..., Path]
) -> None:
    gpu = HERE.model_copy(update={"gpus": [Gpu(name="H200", memory=2**37, capability="9.0")]})
    records = recorded(FOUR[0], "latency", timed(1.0, 1.1, 0.9))
    one = write("one", records, gpu)
    other = write("other", records, gpu.model_copy(update={"cuda": "14"}))
    code, found = told(compare, one, other)
    assert (code, list(found["machine_differs"])) == (4, ["cuda"])


def test_another_protocol_is_not_judged(
    compare: Command, a: Path, write: Callable[..., Path]
) -> None:
    records = recorded(FOUR[0], "latency", timed(0.1, 0.11, 0.1), protocol="q")
    code, found = told(compare, a, write("there", records))
    assert code == 4
    assert found["refused"] == "another protocol"
    assert verdicts(found) == {"N=196 latency": "not judged"}


def test_what_failed_or_is_alone_is_said(
    compare: Command, a: Path, write: Callable[..., Path]
) -> None:
    records = recorded(FOUR[0], "latency", ["out_of_memory"])
    records += recorded(case(attention="linformer"), "latency", timed(1.0, 1.1))
    there = write("there", records)
    code, found = told(compare, a, there)
    assert code == 0
    [cell] = found["cells"]
    assert (cell["verdict"], cell["reason"]) == ("not judged", "out of memory in B")
    assert {one["quantity"] for one in found["only_a"]} == {"latency", "flops"}
    assert [one["label"] for one in found["only_b"]] == ["linformer/eager N=196 forward"]
    _, out, _ = compare(a, there)
    assert "## Only in B\n\n- Linformer, N = 196, forward: Latency" in out


def test_of_much_that_is_alone_little_is_listed(
    compare: Command, a: Path, write: Callable[..., Path]
) -> None:
    lengths = range(300, 320)
    records = [r for n in lengths for r in recorded(case(n), "latency", timed(1.0, 1.1))]
    _, out, _ = compare(a, write("there", recorded(FOUR[0], "latency", timed(1.0, 1.1)) + records))
    assert out.partition("## Only in B")[2].count("forward: Latency") == 12
    assert "- and 8 more (--json lists them all)" in out


def test_every_call_decides_where_calls_are_few(
    compare: Command, write: Callable[..., Path]
) -> None:
    """And is no interval: it counts neither among those nor with their chance."""
    slow = write("slow", recorded(FOUR[0], "latency", [[4.0], [4.5], [4.2], [4.4]]))
    quick = write("quick", recorded(FOUR[0], "latency", [[2.0], [2.5], [2.2], [2.1]]))
    _, found = told(compare, slow, quick)
    assert verdicts(found) == {"N=196 latency": "B better"}
    assert (found["judged_by_interval"], found["different"]) == (0, 0)
    assert found["different_in_every_call"] == 1
    said = compare(slow, quick)[1]
    assert "1 cell without interval judged different by every call, over 4 processes" in said
    assert "with intervals differ" not in said


def test_every_call_of_three_processes_is_not_enough(
    compare: Command, write: Callable[..., Path]
) -> None:
    """By chance they lie apart once in ten times."""
    slow = write("slow", recorded(FOUR[0], "latency", [[4.0], [4.5], [4.2], [4.4]]))
    quick = write("quick", recorded(FOUR[0], "latency", [[2.0], [2.5], [2.2]]))
    for one, other in ((slow, quick), (quick, slow)):
        _, found = told(compare, one, other)
        assert verdicts(found) == {"N=196 latency": "not judged"}
        assert found["different_in_every_call"] == found["judged_by_interval"] == 0


def test_a_folder_above_one_is_that_one_and_above_several_is_refused(
    compare: Command, a: Path, b: Path, write: Callable[..., Path]
) -> None:
    assert compare(a.parent, b.parent)[0] == 0
    write("a", recorded(FOUR[0], "flops", [[1]]), HERE.model_copy(update={"cores": 8}))
    code, _, said = compare(a.parent, b)
    assert code == 2
    assert "2 results folders below it, name one" in said
    assert str(a) in said


def test_what_cannot_be_compared_is_refused_in_one_line(
    compare: Command, a: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    other = write("other", recorded(case(attention="performer"), "latency", timed(1.0, 1.1)))
    mixed = write("mixed", recorded(FOUR[0], "latency", timed(1.0, 1.1)))
    with Store(mixed) as store:
        store.append(recorded(FOUR[1], "latency", timed(1.0), environment="elsewhere")[0])
    bare = write("bare", recorded(FOUR[0], "latency", timed(1.0, 1.1)))
    (bare / "environment.json").unlink()
    reasons = {
        a: "are the same results",
        a.parent: "are the same results",
        other: "no cell in common",
        mixed: "a results folder holds one",
        bare: "nobody knows which machine",
        tmp_path / "nowhere": "no such folder",
    }
    for folder, reason in reasons.items():
        code, _, said = compare(a, folder)
        assert code == 2
        assert reason in said
        assert said.count("\n") == 1


def test_it_needs_no_torch(a: Path, b: Path) -> None:
    import subprocess

    program = (
        "import sys\nfrom softbench.cli import main\n"
        f"sys.argv = ['softbench', 'compare', {str(a)!r}, {str(b)!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0
