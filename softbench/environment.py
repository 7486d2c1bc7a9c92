"""What machine and versions these are (stable, hashed) and what one invocation found (changing).

`read` is called in the worker, which has torch loaded anyway; `Invocation.now` in the driver.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from softbench import __version__
from softbench.case import Value, content_hash

CODE = ("softbench", "pyproject.toml")
LIBRARIES = ("torch", "triton", "numpy", "timm", "fvcore")


class Gpu(Value):
    """One accelerator: memory in bytes, compute capability as "9.0"."""

    name: str
    memory: int
    capability: str


class Environment(Value):
    """What stays the same between two runs that may be compared."""

    system: str
    cpu: str
    cores: int
    memory: int
    gpus: list[Gpu]
    driver: str | None
    cuda: str | None
    python: str
    libraries: dict[str, str]
    threads: int
    softbench: str

    @property
    def id(self) -> str:
        """Twelve hex digits that change with anything stable."""
        return content_hash(self.model_dump(mode="json"), 12)

    @property
    def auto_device(self) -> str:
        """What `device: auto` means here."""
        return "cuda" if self.gpus else "cpu"

    def has(self, device: str) -> bool:
        """Whether a case on `device` (cpu, meta, cuda, cuda:1) can run here."""
        kind, _, index = device.partition(":")
        return kind in ("cpu", "meta") or (kind == "cuda" and int(index or 0) < len(self.gpus))


def read(threads: int) -> Environment:
    """The environment of this process, which uses `threads` torch threads."""
    import psutil
    import torch

    return Environment(
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu_name(),
        cores=psutil.cpu_count() or 1,
        memory=psutil.virtual_memory().total,
        gpus=_gpus(),
        driver=_driver(),
        cuda=torch.version.cuda,
        python=platform.python_version(),
        libraries=_versions(),
        threads=threads,
        softbench=__version__,
    )


class Invocation(Value):
    """What changes from one start of softbench to the next; `plugins` maps files to hashes."""

    id: str
    command: str
    started: str
    load: list[float]
    clock_mhz: float | None
    commit: str | None
    dirty: str | None
    plugins: dict[str, str]

    @classmethod
    def now(cls, command: Sequence[str], plugins: Mapping[str, str]) -> Invocation:
        """The invocation that starts here and now with `command` as typed."""
        import psutil

        frequency = psutil.cpu_freq()
        return cls(
            id=content_hash([list(command), os.getpid(), time.time_ns()], 12),
            command=" ".join(command),
            started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            load=[round(load, 2) for load in psutil.getloadavg()],
            clock_mhz=round(frequency.current, 1) if frequency else None,
            commit=_git("rev-parse", "HEAD"),
            dirty=_dirty(),
            plugins=dict(plugins),
        )

    @property
    def source(self) -> tuple[str | None, str | None, tuple[tuple[str, str], ...]]:
        """What code measured: commit, dirty diff and plug-in files."""
        return (self.commit, self.dirty, tuple(sorted(self.plugins.items())))


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[Gpu]:
    import torch

    if not torch.cuda.is_available():
        return []
    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return [
        Gpu(name=gpu.name, memory=gpu.total_memory, capability=f"{gpu.major}.{gpu.minor}")
        for gpu in found
    ]


def _driver() -> str | None:
    """The NVIDIA driver's version as the kernel module tells it."""
    told = Path("/proc/driver/nvidia/version")
    words = told.read_text().split() if told.exists() else []
    return next((word for word in words if word[:1].isdigit() and word.count(".") >= 1), None)


def _versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "absent"
    return versions


def _git(*arguments: str) -> str | None:
    """What git says of softbench's own source; None if that is not a checkout."""
    package = Path(__file__).parent
    if not (package.parent / ".git").exists():
        return None
    try:
        told = subprocess.run(
            ["git", "-C", str(package.parent), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        return None
    return told.stdout.strip() if told.returncode == 0 else None


def _dirty() -> str | None:
    """A hash of the uncommitted change to the code that measures; None where there is none.

    A file that git does not know yet, such as a mechanism just dropped in, is a change too.
    """
    difference = _git("diff", "HEAD", "--", *CODE)
    new = _git("ls-files", "--others", "--exclude-standard", "--full-name", "--", *CODE)
    if not difference and not new:
        return None
    changed = hashlib.sha256((difference or "").encode())
    for name in (new or "").splitlines():
        changed.update(name.encode() + b"\0" + (Path(__file__).parents[1] / name).read_bytes())
    return changed.hexdigest()[:12]
