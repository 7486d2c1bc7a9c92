"""Which folders make the package, and its compiled kernels; all else is in pyproject.toml.

Written as code because pyproject.toml can find packages or place suites/ inside one, not both, and
knows no optional extensions.
"""

import platform
import runpy
from pathlib import Path

from setuptools import Extension, find_packages, setup

# Instruction sets for which the kernels are built; the processor's best is taken when they load.
X86 = {"avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"], "avx2": ["-march=x86-64-v3"]}
SETS = (X86 if platform.machine() in ("x86_64", "AMD64") else {}) | {"plain": []}
# What vectors need to be as quick as scalars are allowed to be; NaN stays NaN.
OPTIONS = ["-std=c++17", "-O2", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"]
# Of vectors handed to functions, of GCC's own headers, and of what clang does not know of these.
WARNINGS = ("psabi", "uninitialized", "maybe-uninitialized", "unknown-warning-option")
QUIET = [f"-Wno-{name}" for name in WARNINGS]
FOLDER = "softbench/kernels/cpu"
DIGEST = runpy.run_path("softbench/kernels/_sources.py")["digest"]()
HEADERS = [f"{FOLDER}/low_rank.cpp", *sorted(map(str, Path(FOLDER).glob("*.hpp")))]

setup(
    packages=[*find_packages(include=["softbench*"]), "softbench.suites"],
    package_dir={"softbench.suites": "suites"},
    package_data={"softbench.suites": ["**/*.yaml", "**/*.json"]},
    exclude_package_data={"softbench.kernels": ["cpu/*"]},  # to build from, not to run
    options={"build_ext": {"parallel": True}},
    ext_modules=[
        Extension(
            f"softbench.kernels._low_rank_{name}",
            [f"{FOLDER}/{name}.cpp"],
            depends=HEADERS,
            define_macros=[("SOURCES", f'"{DIGEST}"')],
            extra_compile_args=[*OPTIONS, *QUIET, *flags],
            extra_link_args=["-pthread"],
            language="c++",
            optional=True,  # without a compiler there is no fused backend, and nothing else is lost
        )
        for name, flags in SETS.items()
    ],
)
