"""Gives blocks of cases to workers, resumes, turns every way a case can go into a Record."""

from softbench.run.crew import Crew, WorkerLost
from softbench.run.driver import Run
from softbench.run.ledger import Ledger
from softbench.run.progress import Context, Progress

__all__ = ["Context", "Crew", "Ledger", "Progress", "Run", "WorkerLost"]
