"""``manage.py pauserun``: start nothing more of runs for a while."""

from __future__ import annotations

from pgflow_django.cli.steering import SteeringCommand
from pgflow_django.runs import control


class Command(SteeringCommand):
    """Pauses runs; those that are paused already stay as they are."""

    help = """\
Pause runs: nothing more of them is started until they are resumed. Step functions that run just
now go on to their end, and count; a run of which that was the last has ended."""
    epilog = """\
examples:
  manage.py pauserun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py pauserun 01a20556-1b 01a20556-95 --reason "the model is down\""""

    act = staticmethod(control.pause_run)
    done = "paused"
    found = "was so already"
