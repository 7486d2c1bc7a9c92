"""Names of cells: as short as they may be, and no two alike.

Mutants seen red: what sets twins apart left out; a key that all twins share put in.
"""

from __future__ import annotations

from gate_cases import case

from softbench.gate.naming import names


def test_a_label_that_stands_alone_is_the_name() -> None:
    alone = case("soft")
    assert names([alone, case()]) == {
        alone.id: "soft/eager N=16 forward",
        case().id: "softmax/eager N=16 forward",
    }


def test_twins_are_told_apart_by_what_differs_and_by_nothing_else() -> None:
    twins = [
        case("soft", params={"num_landmarks": count, "num_newton_iters": 20}) for count in (4, 16)
    ]
    assert list(names(twins).values()) == [
        "soft/eager N=16 forward num_landmarks=4",
        "soft/eager N=16 forward num_landmarks=16",
    ]


def test_no_two_names_are_alike() -> None:
    many = [
        case(mode=mode, seed=seed, dtype=dtype, shape={"num_heads": heads})
        for mode in ("forward", "forward_backward")
        for seed in (0, 1)
        for dtype in ("float32", "float64")
        for heads in (1, 2)
    ]
    assert len(set(names(many).values())) == len(many) == 16


def test_cells_of_two_models_are_told_apart() -> None:
    models = [{"name": "vit", "depth": depth, "dim": 8} for depth in (1, 2)]
    models.append({"name": "pyramid", "size": "tiny"})
    cells = [case(level="model", model=model) for model in models]
    assert list(names(cells).values()) == [
        "vit softmax/eager N=16 forward depth=1",
        "vit softmax/eager N=16 forward depth=2",
        "pyramid softmax/eager N=16 forward",
    ]
