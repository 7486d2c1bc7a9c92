"""The ImageNet recipe from a folder with broken JPEGs to an evaluated checkpoint."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "results" / "training" / "end_to_end.py"


@pytest.mark.slow
def test_the_recipe_runs_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("end_to_end", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "HERE", tmp_path)
    assert script.main() == 0
    assert "refused with the names of the broken files" in (tmp_path / "end_to_end.md").read_text()
