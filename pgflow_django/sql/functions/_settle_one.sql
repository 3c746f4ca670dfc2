-- Settles one result (see settle_and_claim) and follows it: `accepted` is 0 where its claim no
-- longer covers the task; `fed` are tasks handed to `caller`.
--
-- The same transitions as the statements for many, in plain ones: they take a third of the time,
-- and a chain of steps settles one at a time. Any other shape than a chain goes on in _advance.
create or replace function pgflow._settle_one(
    result jsonb, feed integer, claim_id bigint, caller workflow_workers,
    out accepted integer, out fed pgflow.task_range[]
)
language plpgsql volatile
as $$
declare
    v_run_id uuid := _settle_one.result->>'r';
    v_slug text := _settle_one.result->>'s';
    v_run record;
    v_next workflow_version_steps;
    v_left integer;
    v_now timestamptz := clock_timestamp();
begin
    accepted := 0;
    select r.version_id, r.workflow_slug, r.owner_id, vs.dependents into v_run
    from workflow_runs r
    join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = v_slug
    where r.id = v_run_id
    for key share of r;

    update workflow_step_tasks t
    set status = 'completed', output = _settle_one.result->'o', claim_id = null, ended_at = v_now
    where
        t.run_id = v_run_id and t.step_slug = v_slug and t.task_index = (_settle_one.result->>'i')::integer
        and t.claim_id = (_settle_one.result->>'c')::bigint and t.status = 'started';
    if not found then
        return;
    end if;
    accepted := 1;
    update workflow_step_states s
    set
        remaining_tasks = s.remaining_tasks - 1,
        status = case when s.remaining_tasks = 1 then 'completed' else s.status end,
        ended_at = case when s.remaining_tasks = 1 then v_now end
    where s.run_id = v_run_id and s.step_slug = v_slug
    returning s.remaining_tasks into v_left;
    if v_left > 0 then
        return;
    end if;

    if cardinality(v_run.dependents) = 1 then
        select * into v_next from workflow_version_steps vs
        where vs.version_id = v_run.version_id and vs.step_slug = v_run.dependents[1];
    end if;
    if cardinality(v_run.dependents) > 1 or v_next.step_type = 'map' then
        fed := pgflow._advance(
            array[row(v_run_id, v_slug)::pgflow.step_ref], _settle_one.feed, _settle_one.claim_id, _settle_one.caller
        );
        return;
    end if;

    if v_next.step_slug is not null then
        update workflow_step_states s
        set
            remaining_deps = s.remaining_deps - 1,
            status = case when s.remaining_deps = 1 then 'started' else s.status end,
            remaining_tasks = case when s.remaining_deps = 1 then 1 end,
            initial_tasks = case when s.remaining_deps = 1 then 1 end,
            started_at = case when s.remaining_deps = 1 then v_now end
        where s.run_id = v_run_id and s.step_slug = v_next.step_slug and s.status = 'created'
        returning s.remaining_deps into v_left;
        if v_left = 0 then
            fed := pgflow._create_tasks(
                array[row(
                    v_run_id, v_run.version_id, v_run.workflow_slug, v_next.step_slug, 'single', 1, v_next.function,
                    case when v_run.owner_id is null then v_next.queue else 'in_process' end, v_next.start_delay
                )::pgflow.ready_step],
                _settle_one.feed, _settle_one.claim_id, _settle_one.caller
            );
        end if;
    end if;
    perform pgflow._count_down(v_run_id, 1);
end
$$;
