-- Puts messages for the tasks of these steps that are queued into their queues, or for the one of that
-- index: one for each row of neighbours, of 100 at most. A task that has failed is due when its next
-- attempt is, another one `start_delay` after it was queued. Passes over steps of a paused run, which
-- have no queue.
create or replace function pgflow._resend_tasks(steps pgflow.ready_step[], index integer default null)
returns void
language plpgsql volatile
as $$
declare
    c_send constant text :=
        'insert into pgmq.%I (enqueued_at, vt, message)'
        ' select t.due, t.due, jsonb_build_object('
        '     ''workflow_slug'', t.workflow_slug, ''run_id'', t.run_id, ''step_slug'', t.step_slug,'
        '     ''task_index'', min(t.task_index), ''count'', count(*), ''function'', t.function'
        ' )'
        ' from ('
        '     select q.*, q.task_index'
        '         - row_number() over (partition by q.run_id, q.step_slug, q.due order by q.task_index) as gap'
        '     from ('
        '         select r.workflow_slug, r.run_id, r.step_slug, r.function, t.task_index,'
        '             greatest($3, case'
        '                 when t.attempts_count = 0 then t.queued_at + make_interval(secs => r.start_delay)'
        '                 else ('
        '                     select a.retry_at from workflow_task_attempts a'
        '                     where a.run_id = t.run_id and a.step_slug = t.step_slug and a.task_index = t.task_index'
        '                     order by a.id desc limit 1'
        '                 )'
        '             end) as due'
        '         from unnest($1) as r'
        '         join workflow_step_tasks t on t.run_id = r.run_id and t.step_slug = r.step_slug'
        '         where r.queue = $2 and t.status = ''queued'' and t.task_index = coalesce($4, t.task_index)'
        '     ) as q'
        ' ) as t'
        ' group by t.workflow_slug, t.run_id, t.step_slug, t.function, t.due, t.gap, t.task_index / 100'
        ' order by t.due, t.step_slug, min(t.task_index)';
    v_queue text;
begin
    for v_queue in select distinct r.queue from unnest(_resend_tasks.steps) as r where r.queue is not null loop
        execute format(c_send, 'q_pgflow_' || v_queue)
        using _resend_tasks.steps, v_queue, clock_timestamp(), _resend_tasks.index;
        perform pgflow._wake_sleepers(v_queue);
    end loop;
end
$$;
