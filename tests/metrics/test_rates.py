"""The machine's rates from times that are known, and which of its roofs binds.

Mutants seen red: the best time in place of the fast half's median, the mean, the first call
counted, multiply-adds for FLOPs, the write of `stream` left out, buffers that the cache holds, the
same piece again and again, one buffer read twice, the first size taken though it is small, the
least of the three times called the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from softbench.metrics import _roofline
from softbench.metrics._roofline import Rates, least_seconds

RATES = Rates(gemm=100.0, stream=10.0, exponential=1.0)


@pytest.mark.parametrize(
    ("work", "least", "bound"),
    [
        ((1000, 10, 1), 10.0, "gemm"),
        ((100, 50, 1), 5.0, "stream"),
        ((100, 5, 7), 7.0, "exponential"),
    ],
)
def test_the_longest_of_the_least_times_binds(
    work: tuple[int, int, int], least: float, bound: str
) -> None:
    assert least_seconds(*work, RATES) == (least, bound)


def taking(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> list[object]:
    """Every call takes what `seconds` says of its number, the first having 0."""
    calls: list[object] = []

    def timed(call: object, device: str) -> float:
        calls.append(call)
        return seconds(len(calls) - 1)

    monkeypatch.setattr(_roofline, "_seconds", timed)
    return calls


def test_neither_luck_nor_neighbours_nor_the_first_call_make_the_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of eight in turn: one that is lucky, three at the machine's own pace, four among neighbours.
    told = [0.5, 1.0, 1.01, 1.02, 2.0, 2.0, 3.0, 3.0]
    taking(monkeypatch, lambda n: 0.01 if n == 0 else told[(n - 1) % 8])
    assert _roofline.fast_seconds(lambda: None, "cpu", budget=8 * sum(told)) == 1.005


def test_slow_calls_are_few_and_quick_ones_end_with_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = taking(monkeypatch, lambda n: 9.0)
    _roofline.fast_seconds(lambda: None, "cpu", budget=0.4)
    assert len(slow) == 1 + _roofline.FEWEST
    quick = taking(monkeypatch, lambda n: 0.1)
    _roofline.fast_seconds(lambda: None, "cpu", budget=1.0)
    assert len(quick) in (11, 12)


def test_a_gemm_is_of_the_first_large_size_and_two_flops_a_multiply_add(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def gemm(size: int, device: str, dtype: str) -> Callable[[], object]:
        sizes.append(size)
        return lambda: None

    monkeypatch.setattr(_roofline, "gemm", gemm)
    monkeypatch.setattr(_roofline, "_seconds", lambda call, device: 1e-11 * sizes[-1] ** 3)
    assert _roofline.gemm_rate("cpu", "float32") == pytest.approx(2e11)
    assert sizes == [128, 256, 512]  # 512³ multiply-adds take 1.3 ms


def test_a_stream_reads_twice_and_writes_once_and_comes_back_after_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[int] = []

    def add(b: Tensor, c: Tensor, *, alpha: float, out: Tensor) -> None:
        assert len({tensor.data_ptr() for tensor in (b, c, out)}) == 3
        written.append(out.data_ptr())

    monkeypatch.setattr(_roofline, "PIECE", {"cpu": 2**10})
    monkeypatch.setattr(_roofline, "stream_bytes", lambda device: 8 * 3 * 4 * 2**10 - 1)
    monkeypatch.setattr("torch.add", add)
    monkeypatch.setattr(_roofline, "_seconds", lambda call, device: call() or 0.01)
    assert _roofline.stream_rate("cpu") == 3 * 4 * 2**10 / 0.01
    assert len(set(written)) == 8
    assert written[:8] == written[8:16] == sorted(set(written))


def test_a_stream_does_not_fit_into_the_largest_cache(tmp_path: Path) -> None:
    for index, size in enumerate(("48K", "32K", "266240K")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
    assert _roofline.last_level_cache(tmp_path) == 266240 * 2**10
    assert _roofline.stream_bytes("cpu", tmp_path) > 266240 * 2**10


def test_where_no_cache_is_told_the_stream_is_still_large(tmp_path: Path) -> None:
    assert _roofline.stream_bytes("cpu", tmp_path) == 2**27


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_this_machine_has_rates(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    for budget in ("GEMM_SECONDS", "STREAM_SECONDS", "EXPONENTIAL_SECONDS"):
        monkeypatch.setattr(_roofline, budget, 1e-3)
    monkeypatch.setattr(_roofline, "GEMM_SIZES", {"cpu": (64,)})
    monkeypatch.setattr(_roofline, "stream_bytes", lambda device: 2**20)
    rates = _roofline.measure_rates("cpu", dtype)
    assert min(rates.gemm, rates.stream, rates.exponential) > 1e6
