"""The most memory that a process needs for W2, measured in one of its own."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

from bench.figures import Sample


def measure_memory(items: int) -> Sample:
    """Run W2 in a new process; the most memory that it had, in MB."""
    command = [sys.executable, "-m", "bench.memory", str(items)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"peak_mb": float(result.stdout)}


def main(items: int) -> None:
    """Run W2 and print the peak, in MB."""
    from bench.engines import InProcess
    from bench.flows import MAP
    from bench.workloads import Throughput

    Throughput(InProcess(), MAP, items).measure()
    print(_peak())


def _peak() -> float:
    """The most memory that this process had, in MB.

    Linux keeps ``ru_maxrss`` over ``exec``, so it would not be less than the parent's.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    import django

    django.setup()
    main(int(sys.argv[1]))
