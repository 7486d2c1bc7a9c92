"""A process that measures blocks of cases: `python -m softbench.worker`, started by an executor."""
