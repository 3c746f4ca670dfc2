-- Puts messages for ready steps into their queues: one for a single step, one per 100 tasks of a
-- map.
create or replace function pgflow._send_tasks(ready pgflow.ready_step[])
returns void
language plpgsql volatile
set search_path from current
as $$
declare
    c_chunk constant integer := 100;
    v_batch record;
begin
    for v_batch in
        select
            r.queue,
            r.start_delay,
            array_agg(jsonb_build_object(
                'workflow_slug', r.workflow_slug, 'run_id', r.run_id, 'step_slug', r.step_slug,
                'task_index', lo, 'count', least(c_chunk, r.tasks - lo), 'function', r.function
            )) as messages
        from unnest(_send_tasks.ready) as r
        cross join lateral generate_series(0, r.tasks - 1, c_chunk) as lo
        group by 1, 2
    loop
        perform pgmq.send_batch(
            'pgflow_' || v_batch.queue, v_batch.messages,
            clock_timestamp() + make_interval(secs => v_batch.start_delay)
        );
    end loop;
end
$$;
