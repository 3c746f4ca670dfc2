-- Inserts the tasks of steps that have just started. The first `feed` single tasks that the
-- calling worker can run at once are handed to it (started under `claim_id`); all others are
-- queued and get messages. Returns what was handed over.
create or replace function pgflow._create_tasks(
    ready pgflow.ready_step[],
    feed integer,
    claim_id bigint,
    caller workflow_workers
)
returns pgflow.task_range[]
language plpgsql volatile
set search_path from current
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_fed pgflow.task_range[];
    v_queued pgflow.ready_step[];
begin
    with step as materialized (
        select r.*, row_number() over () <= _create_tasks.feed as is_fed
        from unnest(_create_tasks.ready) as r
        where
            r.step_type = 'single'
            and _create_tasks.feed > 0
            and r.start_delay = 0
            and (r.queue = 'in_process' or r.queue = any(_create_tasks.caller.queues))
            and (_create_tasks.caller.functions is null or r.function = any(_create_tasks.caller.functions))
    ),
    fed as (
        insert into workflow_step_tasks (
            run_id, step_slug, task_index, status, attempts_count, claim_id, worker,
            queued_at, started_at
        )
        select
            s.run_id, s.step_slug, 0, 'started', 1, _create_tasks.claim_id,
            _create_tasks.caller.hostname || ':' || _create_tasks.caller.pid, v_now, v_now
        from step s where s.is_fed
        returning workflow_step_tasks.run_id, workflow_step_tasks.step_slug
    )
    select array_agg(row(f.run_id, f.step_slug, 0, 1)::pgflow.task_range) into v_fed from fed f;

    if cardinality(v_fed) = cardinality(_create_tasks.ready) then
        return v_fed;
    end if;

    v_queued := array(
        select r from unnest(_create_tasks.ready) as r
        where not exists (
            select from unnest(v_fed) f where f.run_id = r.run_id and f.step_slug = r.step_slug
        )
    );
    insert into workflow_step_tasks (run_id, step_slug, task_index, status, queued_at)
    select r.run_id, r.step_slug, 0, 'queued', v_now
    from unnest(v_queued) as r where r.step_type = 'single';

    if exists (select from unnest(v_queued) as r where r.step_type = 'map') then
        perform pgflow._create_map_tasks(v_queued);
    end if;
    perform pgflow._send_tasks(v_queued);
    return v_fed;
end
$$;
