"""Benchmarks: the workloads of ``docs/performance.md``, beside what the machine allows.

``python -m bench``, or ``make bench``. Not part of the package that is installed.
"""
