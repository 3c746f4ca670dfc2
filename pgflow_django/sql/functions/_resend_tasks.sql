-- Puts messages for the tasks of these steps that are queued into their queues: one for each row of
-- neighbours, of 100 at most. For steps of which a part has completed; see retry_run.
create or replace function pgflow._resend_tasks(steps pgflow.ready_step[])
returns void
language plpgsql volatile
as $$
declare
    c_send constant text :=
        'insert into pgmq.%I (enqueued_at, vt, message)'
        ' select $3, $3, jsonb_build_object('
        '     ''workflow_slug'', r.workflow_slug, ''run_id'', r.run_id, ''step_slug'', r.step_slug,'
        '     ''task_index'', min(t.task_index), ''count'', count(*), ''function'', r.function'
        ' )'
        ' from unnest($1) as r,'
        ' lateral ('
        '     select q.task_index, q.task_index - row_number() over (order by q.task_index) as gap'
        '     from workflow_step_tasks q'
        '     where q.run_id = r.run_id and q.step_slug = r.step_slug and q.status = ''queued'''
        ' ) as t'
        ' where r.queue = $2'
        ' group by r.workflow_slug, r.run_id, r.step_slug, r.function, t.gap, t.task_index / 100'
        ' order by r.step_slug, min(t.task_index)';
    v_queue text;
begin
    for v_queue in select distinct r.queue from unnest(_resend_tasks.steps) as r loop
        execute format(c_send, 'q_pgflow_' || v_queue) using _resend_tasks.steps, v_queue, clock_timestamp();
        perform pgflow._wake_sleepers(v_queue);
    end loop;
end
$$;
