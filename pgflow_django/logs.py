"""What log records say of runs: every record about an attempt tells which one it is.

Service layer.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from pgflow_django.worker.current import current_task

if TYPE_CHECKING:
    # Django sets logging up before the models can be imported.
    from pgflow_django.worker.claimed import ClaimedTask

# Libraries leave it to the site where their records go: without this, a site that has not said
# so would find them on stderr, between the lines of its commands.
logging.getLogger("pgflow_django").addHandler(logging.NullHandler())

FIELDS: Final = ("run_id", "workflow_slug", "step_slug", "task_index", "attempt")


class RunContextFilter(logging.Filter):
    """Gives every record the fields of ``FIELDS``, for formats such as ``%(run_id)s``.

    For handlers of a site's ``LOGGING``. A record that is written inside a step function gets
    those of the attempt; what it brings itself (``extra``) stays; all others get ``empty``.
    """

    def __init__(self, name: str = "", *, empty: Any = "-") -> None:
        """``name`` is that of ``logging.Filter``: only records of this logger pass."""
        super().__init__(name)
        self.empty = empty

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is missing."""
        task = current_task()
        known = {} if task is None else extra_of(task)
        for field in FIELDS:
            if not hasattr(record, field):
                setattr(record, field, known.get(field, self.empty))
        return super().filter(record)


def extra_of(task: ClaimedTask) -> dict[str, Any]:
    """The ``extra`` of a record about an attempt."""
    group = task.group
    values = (group.run_id, group.workflow_slug, group.step_slug, task.index, task.attempt)
    return dict(zip(FIELDS, values, strict=True))
