"""One side of ``--compare``: measures, one by one, what is asked for on standard input.

Its ``pgflow_django`` is that which its path leads to; the workloads are those of this ``bench``.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from time import monotonic
from typing import Any

from bench.__main__ import finish, prepare_django
from bench.figures import Item, Sample, median_sample
from bench.options import Options, parse_options

#: Seconds that a figure takes at least.
_SECONDS = 0.5


def main() -> int:
    """Tell the number of the workloads, then the figures of each whose number comes in a line."""
    options = parse_options()
    prepare_django(options)
    return finish(lambda: measure(options))


def measure(options: Options) -> int:
    """Go on until standard input ends, as it does with the process that asks."""
    from django.core.management import call_command

    from bench import contracts, flows, plan
    from bench.celery_engine import CeleryPrefork, Standing
    from bench.harness import warm_up

    call_command("migrate", verbosity=0)
    flows.install()
    contracts.install()
    with ExitStack() as stack:
        items = plan.compared(options, Standing(CeleryPrefork(2), stack))
        warm_up(options)
        print(len(items), flush=True)
        for line in sys.stdin:
            print(json.dumps(_line(items[int(line)], _SECONDS * options.scale)), flush=True)
    return 0


def _line(item: Item, seconds: float) -> dict[str, Any]:
    """Measure it, several times where it is over sooner than that: the medians."""
    samples: list[Sample] = []
    enough_at = monotonic() + seconds
    while not samples or monotonic() < enough_at:
        samples.append(item.measure())
    return item.subject.line(median_sample(samples))


if __name__ == "__main__":
    sys.exit(main())
