"""Chaos and fault-injection tests for algorithmic-trading stacks that cannot pass vacuously.

Data flows one way: scenario -> world (dependencies, hosts, faults) -> history -> invariants -> verdict -> reports.
This package imports neither the scenarios, nor the targets, nor the reports: it finds them by name.
"""

__version__ = "0.1.0"
