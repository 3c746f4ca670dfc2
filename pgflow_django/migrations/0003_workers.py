"""Workers of many processes: nodes, wake-ups, and a shorter hot path."""

from __future__ import annotations

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
        operations.InstallFunctions("0003"),
    ]
