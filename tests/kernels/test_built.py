"""Where a C++ compiler is and the source is, kernels were built, the best for this processor too.

The tests of the kernels are skipped where none was built, and an extension that is optional fails
without a word: without this test nothing would be red if no kernel came at all.

Mutants seen red: no shared library, none for the processor's best instruction set, a library under
another name.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import softbench
from softbench.kernels import _compiled

ROOT = Path(softbench.__file__).parents[1]
COMPILERS = (os.environ.get("CXX", "").partition(" ")[0], "c++", "g++", "clang++")


@pytest.mark.skipif(not any(map(shutil.which, filter(None, COMPILERS))), reason="no C++ compiler")
@pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="installed without its source")
def test_the_best_build_for_this_processor_is_here() -> None:
    assert _compiled.build() == _compiled.RUNNING[0], (
        f"this processor runs {' or '.join(_compiled.RUNNING)}, the best first; what was built is "
        f"{_compiled.build()}: `python setup.py build_ext --inplace` says why"
    )
