"""Every plugin of every room keeps its contract, and every rule of a contract can be broken.

The stand-ins below break one rule each and are found out; that is the list of mutants. The checks
themselves were emptied one at a time, and a stand-in was let through each time.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from softbench import contract, plugins
from softbench.case import Shape
from softbench.contract import attention as mechanisms

SOFTMAX = Path(mechanisms.__file__).parents[1] / "attention" / "softmax.py"
NEWTON = SOFTMAX.parents[1] / "inverse" / "newton.py"
METRIC = '''"""Counts to one."""
from softbench.case import Measurement
QUANTITIES = {"ones": ("count", "lower")}
REPEATED = False
def measure(workload, protocol):
    return {"ones": Measurement([1])}
'''
REPORT = '''"""A page of one word."""
def render(records, folder):
    path = folder / "word.txt"
    path.write_text("word")
    return [path]
'''
Adopt = Callable[[str], str]


@pytest.fixture
def adopt(tmp_path: Path) -> Iterator[Adopt]:
    """Write a plugin file, adopt it, and forget it afterwards; returns its name."""
    before = set(sys.modules)

    def adopted(source: str) -> str:
        path = tmp_path / "stand_in.py"
        path.write_text(source)
        return plugins.adopt(path)[1]

    yield adopted
    for module in set(sys.modules) - before:
        if module.endswith(".stand_in"):
            del sys.modules[module]


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(batch_size=2, num_heads=2, seq_len=16, head_dim=4)
    monkeypatch.setattr(mechanisms, "SHAPE", shape)


ALL = [(room, name) for room in plugins.ROOMS for name in plugins.names(room)]


@pytest.mark.parametrize(("room", "name"), ALL)
def test_every_plugin_keeps_its_contract(room: str, name: str) -> None:
    assert contract.problems(room, name) == []


def broken(path: Path, old: str, new: str) -> str:
    """The source in `path` with one thing changed."""
    source = path.read_text(encoding="utf-8")
    assert old in source
    return source.replace(old, new)


EMPTY = '    """Softmax attention has nothing to set."""\n'
RETURN = "    return scores_BHNN.softmax(-1) @ v_BHND"
SDPA = "return functional.scaled_dot_product_attention(q_BHND, keys_BHND, v_BHND)"


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("(Vaswani et al., 2017)", "", "cites no paper"),
        ("class Params(Value)", "class Params", "must be a softbench.case.Value"),
        (EMPTY, "    size: int = Field(1, ge=1)\n", "Params.size has no description"),
        (EMPTY, "    size: int = Field(1, description='s')\n", "Params.size has no bounds"),
        (EMPTY, "    size: float | None = Field(1.0, description='s')\n", "size has no bounds"),
        ("RANK: str | None = None", 'RANK = "num_landmarks"', "RANK 'num_landmarks' is no field"),
        ('"eager": attend,', '"eager": attend_sdpa,', "BACKENDS['eager'] must be attend itself"),
        ("BACKENDS: dict[str, Callable[..., Tensor]]", "BACKEND", "BACKENDS['eager'] must be"),
        ('every shape is supported."""\n    return None', '"""\n    return ""', "answers ''"),
        ('every shape is supported."""\n    return None', '"""\n    return "no"', "must fit 16"),
        ('"products": 2 *', '"products": 3 *', "the dispatch count"),
        ('"products": 2 *', '"product": 2 *', "term 'product'; did you mean 'products'?"),
        ('else 0,\n        "products"', 'else 1,\n        "products"', "operator eager forward"),
        (SDPA, SDPA + " * (1 + 1e-6)", "backend sdpa: output differ from eager by"),
        (SDPA, SDPA + " + (q_BHND - q_BHND.detach())", "backend sdpa: gradients differ"),
        (RETURN, "    v_BHND.mul_(2)\n" + RETURN, "changes its inputs or weights"),
        (RETURN, RETURN + " * float('nan')", "the output is not finite"),
        (RETURN, RETURN + " * torch.rand(())", "two calls on the same inputs differ"),
        (RETURN, RETURN.replace("@ v_BHND", "@ v_BHND[..., :1]"), "operator float64: output (2"),
        (RETURN, RETURN.replace("v_BHND", "v_BHND.detach()"), "a gradient is missing"),
        ("def supports(", "def exact(q, k, v, params):\n    return v[0]\n\ndef supports(", "exact"),
        ("generator=generator)\n        self.k", ")\n        self.k", "linear()"),
    ],
)
def test_a_mechanism_that_breaks_a_rule_is_found_out(
    adopt: Adopt, old: str, new: str, problem: str
) -> None:
    source = broken(SOFTMAX, old, new)
    name = adopt(source.replace("import math\n", "import math\nfrom pydantic import Field\n"))
    found = contract.problems("attention", name)
    assert [one for one in found if problem in one], found
    assert all("\n" not in one for one in found)


@pytest.mark.usefixtures("_small")
def test_the_stand_ins_are_good_but_for_what_is_changed(adopt: Adopt) -> None:
    assert contract.problems("attention", adopt(SOFTMAX.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("2 * x_BHMM - x_BHMM", "2 * x_BHMM - 0.99 * x_BHMM", "X A differs from I by 0.01"),
        ("r_BHMM = a_BHMM + ridge", "r_BHMM = a_BHMM.add_(1) + ridge", "changes the matrix"),
        ("        return x_BHMM\n", "        return x_BHMM[0]\n", "invert gives"),
        ("forward = 2 * num_iters", "forward = 3 * num_iters", "flops(4, 1) says 384"),
        ("num_iters: int,", "steps: int,", "TypeError"),
    ],
)
def test_a_solver_that_breaks_a_rule_is_found_out(
    adopt: Adopt, old: str, new: str, problem: str
) -> None:
    found = contract.problems("inverse", adopt(broken(NEWTON, old, new)))
    assert [one for one in found if problem in one], found


def test_a_solver_that_no_counter_knows_says_that_its_count_is_nominal(adopt: Adopt) -> None:
    solver = '''"""The inverse by eigenvalues."""
import torch
def invert(a_BHMM, *, num_iters):
    w_BHM, u_BHMM = torch.linalg.eigh(a_BHMM)
    return (u_BHMM / w_BHM[..., None, :]) @ u_BHMM.mT
def flops(m, num_iters):
    """As many as there are."""
    return m**3
'''
    [problem] = contract.problems("inverse", adopt(solver))
    assert "must say nominal" in problem


def test_a_solver_with_a_nominal_count_that_says_so_is_good(adopt: Adopt) -> None:
    solver = '''"""The inverse by eigenvalues."""
import torch
def invert(a_BHMM, *, num_iters):
    w_BHM, u_BHMM = torch.linalg.eigh(a_BHMM)
    return (u_BHMM / w_BHM[..., None, :]) @ u_BHMM.mT
def flops(m, num_iters):
    """A nominal count."""
    return m**3
'''
    assert contract.problems("inverse", adopt(solver)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"""Counts to one."""\n', "", "docstring"),
        ('("count", "lower")', '("ms", "lower")', "ones: the unit is 'ms'"),
        ('("count", "lower")', '("count", "smaller")', "better is 'smaller'"),
        ('{"ones": ("count", "lower")}', "{}", "QUANTITIES is empty"),
        ("REPEATED = False\n", "", "REPEATED must be True or False"),
        ('"ones": (', '"latency": (', "is a quantity of the metric latency already"),
        ('{"ones": M', '{"twos": M', "measure returns ['twos']"),
        ("Measurement([1])", "Measurement([])", "finite numbers, at least one"),
        ("Measurement([1])", "Measurement([float('nan')])", "finite numbers, at least one"),
        ("Measurement([1])", "1.5", "measure returns float, not Measurement"),
        ("(workload, protocol)", "(workload)", "TypeError"),
    ],
)
def test_a_metric_that_breaks_a_rule_is_found_out(
    adopt: Adopt, old: str, new: str, problem: str
) -> None:
    assert old in METRIC
    found = contract.problems("metrics", adopt(METRIC.replace(old, new)))
    assert [one for one in found if problem in one], found


def test_a_metric_may_be_a_generator(adopt: Adopt) -> None:
    assert contract.problems("metrics", adopt(METRIC)) == []
    del sys.modules["softbench.metrics.stand_in"]
    waiting = METRIC.replace("    return {", "    yield None\n    return {")
    assert contract.problems("metrics", adopt(waiting)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("(records, folder)", "(records, folder, colour=1)", "render takes (records, folder, co"),
        ("(records, folder)", "(folder, records)", "not (records, folder)"),
        ("return [path]", "return []", "returns no file"),
        ("return [path]", "return [str(path)]", "no file in the folder"),
        ('path.write_text("word")', "pass", "no file in the folder"),
        ("folder /", "folder.parent /", "no file in the folder"),
        ('path.write_text("word")', "1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_report_that_breaks_a_rule_is_found_out(
    adopt: Adopt, old: str, new: str, problem: str
) -> None:
    assert old in REPORT
    found = contract.problems("reports", adopt(REPORT.replace(old, new)))
    assert [one for one in found if problem in one], found


def test_a_good_report_is_good(adopt: Adopt) -> None:
    assert contract.problems("reports", adopt(REPORT)) == []


def test_what_a_module_must_define_is_named(adopt: Adopt, monkeypatch: pytest.MonkeyPatch) -> None:
    name = adopt(REPORT)
    monkeypatch.delattr(sys.modules[f"softbench.reports.{name}"], "render")
    assert contract.problems("reports", name) == ["reports stand_in does not define render"]
