-- Puts a started task back into its queue, visible from `visible_at` on. `refund` attempts are
-- given back: 1 where its function had not begun. Of a paused run it gets no message.
create or replace function pgflow._requeue_task(
    task workflow_step_tasks, step workflow_version_steps, visible_at timestamptz, refund integer,
    alone boolean, task_error jsonb
)
returns void
language plpgsql volatile
as $$
declare
    v_run workflow_runs;
begin
    update workflow_step_tasks t
    set
        status = 'queued', claim_id = null, attempts_count = t.attempts_count - _requeue_task.refund,
        error = coalesce(_requeue_task.task_error, t.error)
    where
        t.run_id = (_requeue_task.task).run_id and t.step_slug = (_requeue_task.task).step_slug
        and t.task_index = (_requeue_task.task).task_index;

    select * into v_run from workflow_runs r where r.id = (_requeue_task.task).run_id;
    perform pgflow._send_messages(
        pgflow._queue_of(v_run.status, v_run.owner_id, (_requeue_task.step).queue),
        array[_requeue_task.visible_at],
        array[jsonb_build_object(
            'workflow_slug', v_run.workflow_slug, 'run_id', v_run.id,
            'step_slug', (_requeue_task.task).step_slug, 'task_index', (_requeue_task.task).task_index,
            'count', 1, 'function', (_requeue_task.step).function, 'alone', _requeue_task.alone
        )]
    );
end
$$;
