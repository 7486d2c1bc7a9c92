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
from softbench.contract import inverse as solvers
from softbench.metrics._dispatch import UnknownOperatorError

MECHANISM = '''"""Softmax once more (Somebody, 2017)."""
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from softbench.case import Value
RANK = None
ANY = torch.Generator()
class Params(Value):
    size: int = Field(1, ge=1, description="nothing")
def attend(q_BHND, k_BHND, v_BHND, *, params, weights, grid):
    scores_BHNN = q_BHND @ k_BHND.mT / q_BHND.shape[-1] ** 0.5
    return scores_BHNN.softmax(-1) @ v_BHND
def fast(q_BHND, k_BHND, v_BHND, *, params, weights, grid):
    return attend(q_BHND, k_BHND, v_BHND, params=params, weights=weights, grid=grid)
BACKENDS = {"eager": attend, "fast": fast}
def weights(shape, params, generator):
    return {}
def supports(shape, params):
    return None
def flops(shape, params, *, level, backend, mode):
    passes = 1 if mode == "forward" else 3
    rows = passes * 2 * shape.batch_size * shape.num_heads * shape.seq_len * shape.head_dim
    inner = 2 * shape.num_heads * shape.head_dim if level == "layer" else 0
    return {"products": 2 * rows * shape.seq_len, "projections": rows * inner}
class Attention(nn.Module):
    def __init__(self, shape, params, *, backend="eager", generator):
        super().__init__()
        self.backend, self.heads = backend, (shape.num_heads, shape.head_dim)
        width = shape.num_heads * shape.head_dim
        draw = lambda: nn.Parameter(torch.randn(width, width, generator=generator))
        self.into, self.back = draw(), draw()
    def forward(self, x_BNC):
        x_BHND = (x_BNC @ self.into).unflatten(-1, self.heads).transpose(1, 2)
        attention = BACKENDS[self.backend]
        out_BHND = attention(x_BHND, x_BHND, x_BHND, params=Params(), weights={}, grid=None)
        return out_BHND.transpose(1, 2).flatten(2) @ self.back
'''
SOLVER = '''"""Newton once more."""
import torch
def invert(a_BHMM, *, num_iters):
    x_BHMM = a_BHMM / a_BHMM.sum(-1).amax(-1)[..., None, None] ** 2
    for _ in range(num_iters):
        x_BHMM = 2 * x_BHMM - x_BHMM @ a_BHMM @ x_BHMM
    return x_BHMM
def flops(m, num_iters):
    """Two products a step."""
    return num_iters * 4 * m**3
'''
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


# A model is traced with every mechanism inside, which takes half a minute.
ALL = [
    pytest.param(room, name, marks=[pytest.mark.slow] if room == "models" else [])
    for room in plugins.ROOMS
    for name in plugins.names(room)
]


@pytest.mark.parametrize(("room", "name"), ALL)
def test_every_plugin_keeps_its_contract(room: str, name: str) -> None:
    assert contract.problems(room, name) == []


def broken(source: str, old: str, new: str) -> str:
    """`source` with one thing changed."""
    assert old in source
    return source.replace(old, new)


FIELD = 'Field(1, ge=1, description="nothing")'
RETURN = "    return scores_BHNN.softmax(-1) @ v_BHND"
FAST = "return attend(q_BHND, k_BHND, v_BHND, params=params, weights=weights, grid=grid)"


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("(Somebody, 2017)", "", "cites no paper"),
        ("class Params(Value)", "class Params", "must be a softbench.case.Value"),
        (FIELD, "Field(1, ge=1)", "Params.size has no description"),
        (FIELD, "Field(1, description='s')", "Params.size has no bounds"),
        ("int = " + FIELD, "float | None = Field(1.0, description='s')", "size has no bounds"),
        ("RANK = None", 'RANK = "sise"', "RANK 'sise' is no field of Params; did you mean 'size'"),
        ('"eager": attend,', '"eager": fast,', "BACKENDS['eager'] must be attend itself"),
        ("BACKENDS =", "BACKEND =", "BACKENDS['eager'] must be attend itself"),
        ("params):\n    return None", 'params):\n    return ""', "supports answers ''"),
        ("params):\n    return None", 'params):\n    return "no"', "must fit 16 tokens; no"),
        ('"products": 2 *', '"products": 3 *', "the dispatch count"),
        ('"products": 2 *', '"product": 2 *', "term 'product'; did you mean 'products'?"),
        ('else 0\n    return {"prod', 'else 1\n    return {"prod', "operator eager forward:"),
        (FAST, FAST + " * (1 + 1e-6)", "backend fast: output differ from eager by"),
        (FAST, FAST + " + (q_BHND - q_BHND.detach())", "backend fast: gradients differ"),
        (RETURN, "    v_BHND.mul_(2)\n" + RETURN, "changes its inputs or weights"),
        (RETURN, RETURN + " * float('nan')", "the output is not finite"),
        (RETURN, RETURN + " * torch.rand(())", "two calls on the same inputs differ"),
        ("generator=generator", "generator=ANY", "the same seed builds another module"),
        (RETURN, RETURN.replace("v_BHND", "v_BHND[..., :1]"), "operator float64: output (2"),
        (RETURN, RETURN.replace("v_BHND", "v_BHND.detach()"), "a gradient is missing"),
        ("def supports(", "def exact(q, k, v, params):\n    return v[0]\ndef supports(", "exact"),
    ],
)
def test_a_mechanism_that_breaks_a_rule_is_found_out(
    adopt: Adopt, old: str, new: str, problem: str
) -> None:
    found = contract.problems("attention", adopt(broken(MECHANISM, old, new)))
    assert [one for one in found if problem in one], found


@pytest.mark.usefixtures("_small")
def test_the_stand_ins_are_good_but_for_what_is_changed(adopt: Adopt) -> None:
    assert contract.problems("attention", adopt(MECHANISM)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("2 * x_BHMM - x", "2 * x_BHMM - 0.99 * x", "X A differs from I by 0.01"),
        ("    for _", "    a_BHMM.add_(0)[..., 0, 0] = 3\n    for _", "changes the matrix"),
        ("    return x_BHMM\n", "    return x_BHMM[0]\n", "invert gives"),
        ("num_iters * 4", "num_iters * 6", "flops(4, 1) says 384, the dispatch count 256"),
        ("*, num_iters", "*, steps", "TypeError"),
    ],
)
def test_a_solver_that_breaks_a_rule_is_found_out(
    adopt: Adopt, old: str, new: str, problem: str
) -> None:
    assert contract.problems("inverse", adopt(SOLVER)) == []
    del sys.modules["softbench.inverse.stand_in"]
    found = contract.problems("inverse", adopt(broken(SOLVER, old, new)))
    assert [one for one in found if problem in one], found


@pytest.mark.parametrize("said", ["Two products", "Nominal: two products"])
def test_a_solver_that_no_counter_knows_says_that_its_count_is_nominal(
    adopt: Adopt, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    def unknown(*_: object) -> int:
        raise UnknownOperatorError("no FLOP formula")

    monkeypatch.setattr(solvers, "_dispatched", unknown)
    found = contract.problems("inverse", adopt(SOLVER.replace("Two products", said)))
    assert [one for one in found if "must say nominal" in one] == found
    assert bool(found) is ("Nominal" not in said)


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
