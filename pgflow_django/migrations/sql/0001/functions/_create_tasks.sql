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
    v_fed pgflow.task_range[];
    v_queued pgflow.ready_step[];
begin
    if _create_tasks.feed > 0 then
        v_fed := pgflow._feed_tasks(
            _create_tasks.ready, _create_tasks.feed, _create_tasks.claim_id, _create_tasks.caller
        );
        if cardinality(v_fed) = cardinality(_create_tasks.ready) then
            return v_fed;
        end if;
    end if;

    v_queued := array(
        select r from unnest(_create_tasks.ready) as r
        where not exists (
            select from unnest(v_fed) f where f.run_id = r.run_id and f.step_slug = r.step_slug
        )
    );
    insert into workflow_step_tasks (run_id, step_slug, task_index, status, queued_at)
    select r.run_id, r.step_slug, 0, 'queued', clock_timestamp()
    from unnest(v_queued) as r where r.step_type = 'single';

    if exists (select from unnest(v_queued) as r where r.step_type = 'map') then
        perform pgflow._create_map_tasks(v_queued);
    end if;
    perform pgflow._send_tasks(v_queued);
    return v_fed;
end
$$;
