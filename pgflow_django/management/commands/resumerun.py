"""``manage.py resumerun``: let paused runs go on."""

from __future__ import annotations

from pgflow_django.cli.steering import SteeringCommand
from pgflow_django.runs import control


class Command(SteeringCommand):
    """Resumes runs; those that are not paused stay as they are."""

    help = """\
Let paused runs go on. What waits for its next attempt, or for a step's start delay, is due when it
was. Runs that are not paused stay as they are."""
    epilog = """\
examples:
  manage.py resumerun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py resumerun 01a20556-1b 01a20556-95"""

    act = staticmethod(control.resume_run)
    done = "resumed"
    found = "was not paused"
