-- Inserts up to `feed` tasks of single steps as started by the calling worker, under `claim_id`:
-- those that it can run, at once, from queues that it serves. Returns them.
create or replace function pgflow._feed_tasks(
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
begin
    v_fed := array(
        select row(r.run_id, r.step_slug, 0, 1)::pgflow.task_range
        from unnest(_feed_tasks.ready) as r
        where
            r.step_type = 'single' and r.start_delay = 0
            and (r.queue = 'in_process' or r.queue = any(_feed_tasks.caller.queues))
            and (_feed_tasks.caller.functions is null or r.function = any(_feed_tasks.caller.functions))
        limit _feed_tasks.feed
    );
    insert into workflow_step_tasks (
        run_id, step_slug, task_index, status, attempts_count, claim_id, worker, queued_at, started_at
    )
    select
        f.run_id, f.step_slug, 0, 'started', 1, _feed_tasks.claim_id,
        _feed_tasks.caller.hostname || ':' || _feed_tasks.caller.pid, v_now, v_now
    from unnest(v_fed) as f;
    return nullif(v_fed, '{}');
end
$$;
