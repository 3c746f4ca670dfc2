"""What rows of a fixture (``loaddata``, ``serialized_rollback``) need beside what they say.

JSON keeps no microseconds and no difference between null and nothing; and triggers count what the
rows of a fixture have counted already. Importing this module connects its receivers.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models import Exists, F, Func, JSONField, OuterRef
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver

from pgflow_django.choices import TaskStatus
from pgflow_django.models.definitions import Workflow, WorkflowStep, WorkflowVersion
from pgflow_django.models.runtime import WorkflowRun, WorkflowStepTask


def _json_null() -> Func:
    return Func(template="'null'::jsonb", output_field=JSONField())


@receiver(pre_save, sender=Workflow)
def keep_version(instance: Workflow, using: str, raw: bool, **_: Any) -> None:
    """Let the version of a flow that is there never go back: runs may be pinned to it."""
    if raw and (known := _find(instance, using)):
        instance.created_at = known.created_at
        instance.version = max(instance.version, known.version)


@receiver(pre_save, sender=WorkflowVersion)
def keep_moment(instance: WorkflowVersion, using: str, raw: bool, **_: Any) -> None:
    """Let a version that is there have its own moment, to the microsecond."""
    if raw and (known := _find(instance, using)):
        instance.created_at = known.created_at


@receiver(post_save, sender=WorkflowVersion)
def make_queues(instance: WorkflowVersion, using: str, raw: bool, **_: Any) -> None:
    """Make the queues of a version, which nobody pins any more."""
    if raw:
        with connections[using].cursor() as cursor:
            sql = "select pgflow.ensure_queue(name) from unnest(%s::text[]) as name"
            cursor.execute(sql, [instance.queues])


@receiver(pre_save, sender=WorkflowStep)
def keep_count(instance: WorkflowStep, using: str, raw: bool, **_: Any) -> None:
    """Let a step that is there have the count of its edges that are there; others may follow."""
    if raw and (known := _find(instance, using)):
        instance.deps_count = known.deps_count


@receiver(post_save, sender=WorkflowStep)
def count_back(instance: WorkflowStep, using: str, raw: bool, created: bool, **_: Any) -> None:
    """Let a flow have the version of its row, which knows of this step already."""
    if raw and created:
        before = WorkflowVersion.objects.filter(
            workflow_slug=OuterRef("workflow_slug"), version=OuterRef("version") - 1
        )
        flow = Workflow.objects.using(using).filter(pk=instance.workflow_slug, version__gt=1)
        flow.exclude(Exists(before)).update(version=F("version") - 1)


@receiver(pre_save, sender=WorkflowRun)
def keep_null_input(instance: WorkflowRun, raw: bool, **_: Any) -> None:
    """Tell the input null from none, which no run has."""
    if raw and instance.input is None:
        instance.input = _json_null()


@receiver(pre_save, sender=WorkflowStepTask)
def keep_null_output(instance: WorkflowStepTask, raw: bool, **_: Any) -> None:
    """Tell the output null from none, which no completed task has."""
    if raw and instance.output is None and instance.status == TaskStatus.COMPLETED:
        instance.output = _json_null()


def _find(instance: Any, using: str) -> Any:
    return type(instance).objects.using(using).filter(pk=instance.pk).first()
