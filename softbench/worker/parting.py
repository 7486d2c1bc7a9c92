"""How a worker ends: with its driver, and with everything that it had started.

Under Linux the kernel tells: it ends the worker when the driver is gone, even while a C call keeps
every Python thread from running; and it wakes a guard, a sleeping fork of the worker, when the
worker is gone, however it went. The guard then ends the worker's process group: what a case started
and left behind would run on otherwise, since nobody else knows of it.
A process that made a session of its own has left the group, and is not found. Elsewhere a worker
sees its driver's end by its closed input, and what it started is ended by the driver alone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # from the kernel's prctl.h


def end_with_driver() -> None:
    """Have the kernel end this process when its parent is gone."""
    _when_parent_dies(signal.SIGKILL)


def leave_nobody() -> None:
    """Have everything in this process's group ended when it is gone; if it leads the group.

    To be called before any thread is started.
    """
    worker = os.getpid()
    if sys.platform == "linux" and os.getpgrp() == worker and os.fork() == 0:
        _guard(worker)


def _guard(worker: int) -> NoReturn:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.closerange(0, 4096)  # who waits for the worker's pipes to close waits for the worker alone
    _when_parent_dies(signal.SIGUSR1)
    if os.getppid() == worker:
        signal.sigwait({signal.SIGUSR1})
    os.killpg(worker, signal.SIGKILL)  # this process too
    os._exit(0)


def _when_parent_dies(sent: signal.Signals) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, sent)
