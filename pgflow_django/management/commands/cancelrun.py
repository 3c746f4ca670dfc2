"""``manage.py cancelrun``: end runs before their end."""

from __future__ import annotations

from pgflow_django.cli.steering import SteeringCommand
from pgflow_django.runs import control


class Command(SteeringCommand):
    """Cancels runs; those that have ended already stay as they are."""

    help = """\
Cancel runs: nothing of them is started any more. Step functions that run just now go on to
their end, and their results are refused. Runs that have ended already stay as they are."""
    epilog = """\
examples:
  manage.py cancelrun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py cancelrun 01a20556-1b 01a20556-95 --reason "wrong month\""""

    act = staticmethod(control.cancel_run)
    done = "cancelled"
    found = "had ended already"
    reason = "cancelled by manage.py cancelrun"
