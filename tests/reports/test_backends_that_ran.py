"""A report says which backends ran where the names of its lines do not.

Mutants seen red: what was asked for told in place of what ran, softmax named twice, named where
siblings' labels name it, said where all is eager, a mechanism named once for each of its lines.
"""

from __future__ import annotations

from collections.abc import Mapping

from synthetic_records import case, timed

from softbench.case import Record
from softbench.reports import _notes
from softbench.reports._groups import groups


def said(ran: Mapping[tuple[str, str], str]) -> str:
    """Of latencies of (mechanism, backend asked for) by what ran."""
    made: list[Record] = []
    for (attention, asked), backend in ran.items():
        for n in (196, 784):
            made += timed(case(attention, n, backend=asked), 1e-3, backend_ran=backend)
    [group] = groups(made)
    return _notes.backends(group)


def test_what_auto_took_is_told() -> None:
    ran = {
        ("soft", "auto"): "fused",
        ("linformer", "auto"): "fused",
        ("performer", "auto"): "eager",
    }
    assert said(ran) == "Backends: fused of SOFT and Linformer; eager of Performer."


def test_all_eager_needs_no_words() -> None:
    assert said({("soft", "eager"): "eager", ("performer", "auto"): "eager"}) == ""


def test_labels_that_name_the_backend_suffice() -> None:
    ran = {("softmax", "sdpa"): "sdpa", ("soft", "eager"): "eager", ("soft", "fused"): "fused"}
    assert said(ran) == ""


def test_auto_beside_others_is_told_still() -> None:
    ran = {("soft", "eager"): "eager", ("soft", "auto"): "fused"}
    assert said(ran) == "Backends: fused of SOFT."


def test_variants_are_named_once() -> None:
    made: list[Record] = []
    for number in (16, 49):
        one = case("soft", backend="fused", params={"num_landmarks": number})
        made += timed(one, 1e-3, backend_ran="fused")
    [group] = groups(made)
    assert _notes.backends(group) == "Backends: fused of SOFT."
    assert _notes.setting(group, {}).endswith("Backends: fused of SOFT.")


def test_processes_that_disagree_are_both_told() -> None:
    one = case("soft", backend="auto")
    made = [
        record
        for repeat, backend in enumerate(("fused", "eager"))
        for record in timed(one, 1e-3, spread=[1.0] * (repeat + 1), backend_ran=backend)[repeat:]
    ]
    [group] = groups(made)
    assert _notes.backends(group) == "Backends: eager and fused of SOFT."
