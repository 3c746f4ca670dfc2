-- Inserts the tasks of steps that have just started. The first `feed` single tasks that the
-- calling worker can run at once are handed to it (started under `claim_id`); all others are
-- queued and get messages, those of a paused run none. Returns what was handed over.
create or replace function pgflow._create_tasks(
    ready pgflow.ready_step[],
    feed integer,
    claim_id bigint,
    caller workflow_workers
)
returns pgflow.task_range[]
language plpgsql volatile
as $$
declare
    v_step pgflow.ready_step;
    v_fed pgflow.task_range[];
    v_queued pgflow.ready_step[];
    v_has_map boolean := false;
    v_left integer := _create_tasks.feed;
    v_now timestamptz := clock_timestamp();
begin
    foreach v_step in array _create_tasks.ready loop
        if
            v_left > 0 and v_step.step_type = 'single' and v_step.start_delay = 0
            and (v_step.queue = 'in_process' or v_step.queue = any(_create_tasks.caller.queues))
            and (_create_tasks.caller.functions is null or v_step.function = any(_create_tasks.caller.functions))
        then
            v_fed := v_fed || row(v_step.run_id, v_step.step_slug, 0, 1)::pgflow.task_range;
            v_left := v_left - 1;
        else
            v_queued := v_queued || v_step;
            v_has_map := v_has_map or v_step.step_type = 'map';
        end if;
    end loop;

    if v_fed is not null then
        insert into workflow_step_tasks (
            run_id, step_slug, task_index, status, attempts_count, claim_id, worker, queued_at, started_at
        )
        select
            f.run_id, f.step_slug, 0, 'started', 1, _create_tasks.claim_id,
            _create_tasks.caller.hostname || ':' || _create_tasks.caller.pid, v_now, v_now
        from unnest(v_fed) as f;
    end if;
    if v_queued is not null then
        insert into workflow_step_tasks (run_id, step_slug, task_index, status, queued_at)
        select r.run_id, r.step_slug, 0, 'queued', v_now
        from unnest(v_queued) as r where r.step_type = 'single';
        if v_has_map then
            perform pgflow._create_map_tasks(v_queued);
        end if;
        perform pgflow._send_tasks(v_queued);
    end if;
    return v_fed;
end
$$;
