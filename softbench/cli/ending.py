"""How a command ends: its exit code, and the one line that explains it where it went wrong."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any

import typer


class BadInputError(Exception):
    """What was typed cannot be used; the message is one line."""


INTERRUPTED = 130
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what is written to, full


def exit_code(command: Callable[[], Any]) -> int:
    """Run `command`: 0 fine, 2 usage, 4 errors, 130 interrupted. A defect of ours is raised."""
    try:
        code: int = command() or 0
        if code == INTERRUPTED:  # newer typer makes this of a Ctrl-C, without a word
            raise KeyboardInterrupt
        return code
    except (KeyboardInterrupt, typer.Abort):
        return _one_line(
            "interrupted; the same command goes on where this one stopped", INTERRUPTED
        )
    except BrokenPipeError:  # `softbench list attention | head -1`
        sys.stderr.close()
        return 0
    except Exception as error:
        known = _code_of(error)
        if known is None:
            raise
        return _one_line(_message(error), known)


def explained(error: Exception) -> bool:
    """Whether an error ends a command with a line of its own; what does not is a defect of ours."""
    return _code_of(error) is not None


def _one_line(message: str, code: int) -> int:
    print(f"softbench: {' '.join(message.split())}", file=sys.stderr)
    return code


def _message(error: Exception) -> str:
    """What an error says; those of the command line's parser have a form for people."""
    told: str = error.format_message() if hasattr(error, "format_message") else str(error)
    return told


def _code_of(error: Exception) -> int | None:
    """The exit code of an error that is explained in one line; None for a defect of ours.

    The parser's errors are known by their method: newer typer brings a click of its own, whose
    classes are not those of the package click.
    """
    from softbench.plugins import BrokenPluginError, UnknownNameError
    from softbench.records import RecordsError
    from softbench.run import WorkerLost
    from softbench.suite import SuiteError

    explained = UnknownNameError | BrokenPluginError | RecordsError | SuiteError | BadInputError
    if isinstance(error, explained) or hasattr(error, "format_message"):
        return 2
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return 2
    return 4 if isinstance(error, WorkerLost) else None
