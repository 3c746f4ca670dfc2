"""Who runs what ``start_flow`` starts: workers, or, eagerly, the caller.

Service layer. ``pgflow_django.celery.install(app)`` puts in what the Celery app says; celery itself
is never imported here.
"""

from __future__ import annotations

from collections.abc import Callable


def _no() -> bool:
    return False


_is_eager: Callable[[], bool] = _no
_propagates: Callable[[], bool] = _no


def set_eager(is_eager: Callable[[], bool], propagates: Callable[[], bool] = _no) -> None:
    """Say how to find out whether runs are executed where they are started.

    ``is_eager()`` is asked at each start; ``propagates()`` says whether a run that fails then
    raises ``RunFailed`` at its start. Celery calls these ``task_always_eager`` and
    ``task_eager_propagates``.
    """
    global _is_eager, _propagates
    _is_eager, _propagates = is_eager, propagates


def is_eager() -> bool:
    """Whether ``start_flow`` executes the run before it returns."""
    return bool(_is_eager())


def propagates() -> bool:
    """Whether a run that fails in eager mode raises ``RunFailed``."""
    return bool(_propagates())
