"""Workers of many processes: nodes, wake-ups, and a shorter hot path."""

from __future__ import annotations

import django.db.models.lookups
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0001_initial"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="workflowrun",
            name="run_status_moves_as_allowed",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="workflowstepstate",
            name="step_status_moves_as_allowed",
        ),
        migrations.RemoveConstraint(
            model_name="workflowrun",
            name="run_columns_agree_with_its_status",
        ),
        migrations.RemoveConstraint(
            model_name="workflowsteptask",
            name="task_columns_agree_with_its_status",
        ),
        migrations.AddField(
            model_name="workflowworker",
            name="is_asleep",
            field=models.BooleanField(
                db_default=False, default=False, help_text="wants NOTIFY to tell it of new messages"
            ),
        ),
        migrations.AddField(
            model_name="workflowworker",
            name="node",
            field=models.TextField(
                db_default="", default="", help_text="the Celery node that it belongs to, if any"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowrun",
            trigger=pgtrigger.compiler.Trigger(
                name="run_status_moves_as_allowed",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."status" IS DISTINCT FROM NEW."status" AND (OLD."status" || \':\' || NEW."status") <> ALL (\'{started:completed,started:failed,started:cancelled,started:paused,paused:started,paused:cancelled,failed:started,cancelled:started}\'))',
                    declare="DECLARE _is_valid_transition BOOLEAN;",
                    func='SELECT CONCAT(OLD."status", \':\', NEW."status") = ANY(\'{started:completed,started:failed,started:cancelled,started:paused,paused:started,paused:cancelled,failed:started,cancelled:started}\'::text[]) INTO _is_valid_transition; IF (_is_valid_transition IS FALSE AND OLD."status" IS DISTINCT FROM NEW."status") THEN RAISE EXCEPTION \'pgtrigger: Invalid transition of field "status" from "%" to "%" on table %\', OLD."status", NEW."status", TG_TABLE_NAME; ELSE RETURN NEW; END IF;',
                    hash="5685d6b5c3373588a1bf95203f116c694b45246d",
                    operation="UPDATE",
                    pgid="pgtrigger_run_status_moves_as_allowed_07545",
                    table="workflow_runs",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstepstate",
            trigger=pgtrigger.compiler.Trigger(
                name="step_status_moves_as_allowed",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."status" IS DISTINCT FROM NEW."status" AND (OLD."status" || \':\' || NEW."status") <> ALL (\'{created:started,created:completed,created:failed,created:skipped,created:cancelled,started:completed,started:failed,started:skipped,started:cancelled,failed:created,cancelled:created,failed:completed,failed:skipped}\'))',
                    declare="DECLARE _is_valid_transition BOOLEAN;",
                    func='SELECT CONCAT(OLD."status", \':\', NEW."status") = ANY(\'{created:started,created:completed,created:failed,created:skipped,created:cancelled,started:completed,started:failed,started:skipped,started:cancelled,failed:created,cancelled:created,failed:completed,failed:skipped}\'::text[]) INTO _is_valid_transition; IF (_is_valid_transition IS FALSE AND OLD."status" IS DISTINCT FROM NEW."status") THEN RAISE EXCEPTION \'pgtrigger: Invalid transition of field "status" from "%" to "%" on table %\', OLD."status", NEW."status", TG_TABLE_NAME; ELSE RETURN NEW; END IF;',
                    hash="9664bf159c6825ef6c5c3da05bf9577b719475e7",
                    operation="UPDATE",
                    pgid="pgtrigger_step_status_moves_as_allowed_1fa32",
                    table="workflow_step_states",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("remaining_steps__gte", 0),
                    ("status__in", ["started", "paused", "completed", "failed", "cancelled"]),
                    django.db.models.lookups.Exact(
                        models.Q(("status__in", ["started", "paused"])),
                        django.db.models.lookups.IsNull(models.F("ended_at"), True),
                    ),
                    django.db.models.lookups.Exact(
                        models.Q(("status", "completed")),
                        django.db.models.lookups.IsNull(models.F("output"), False),
                    ),
                    django.db.models.lookups.Exact(
                        models.Q(("status", "failed")),
                        django.db.models.lookups.IsNull(models.F("error"), False),
                    ),
                    models.Q(
                        ("remaining_steps", 0),
                        models.Q(("status", "completed"), _negated=True),
                        _connector="OR",
                    ),
                ),
                name="run_columns_agree_with_its_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowsteptask",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("attempts_count__gte", 0),
                    (
                        "status__in",
                        ["queued", "started", "completed", "failed", "skipped", "cancelled"],
                    ),
                    ("task_index__gte", 0),
                    django.db.models.lookups.Exact(
                        models.Q(("status", "started")),
                        django.db.models.lookups.IsNull(models.F("claim_id"), False),
                    ),
                    django.db.models.lookups.Exact(
                        models.Q(("status", "completed")),
                        django.db.models.lookups.IsNull(models.F("output"), False),
                    ),
                ),
                name="task_columns_agree_with_its_status",
            ),
        ),
        operations.InstallFunctions("0002"),
    ]
