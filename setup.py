"""Which folders make the package; all else is in pyproject.toml.

Written as code because pyproject.toml can find packages or place suites/ inside one, not both.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["softbench*"]), "softbench.suites"],
    package_dir={"softbench.suites": "suites"},
    package_data={"softbench.suites": ["**/*.yaml"]},
)
