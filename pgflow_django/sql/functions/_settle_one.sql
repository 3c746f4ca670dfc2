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
    v_left integer;
    v_bytes bigint := greatest(pg_column_size(_settle_one.result->'o'), (_settle_one.result->>'z')::bigint, 0);
    v_is_followed boolean := false;
    v_now timestamptz := clock_timestamp();
begin
    accepted := 0;
    select
        r.version_id, r.workflow_slug, r.owner_id, r.status, vs.step_type = 'single' as is_single, vs.dependents,
        n.step_slug as next, n.function, n.queue, n.start_delay,
        r.ended_at is null and n.step_type = 'single' and cardinality(n.depends_on) = 1 as is_link
    into v_run
    from workflow_runs r
    join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = v_slug
    left join workflow_version_steps n on n.version_id = r.version_id and n.step_slug = vs.dependents[1]
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

    if v_run.is_single and v_run.is_link and cardinality(v_run.dependents) = 1 then
        -- The link of a chain: this step is completed, the next one starts, in one statement.
        update workflow_step_states s
        set
            status = case when s.step_slug = v_slug then 'completed' else 'started' end,
            remaining_deps = 0,
            remaining_tasks = case when s.step_slug = v_slug then 0 else 1 end,
            initial_tasks = 1,
            output_bytes = case when s.step_slug = v_slug then v_bytes else 0 end,
            started_at = case when s.step_slug = v_slug then s.started_at else v_now end,
            ended_at = case when s.step_slug = v_slug then v_now end
        where
            s.run_id = v_run_id and s.step_slug in (v_slug, v_run.next)
            and 2 = (  -- nobody has ended one of them by hand
                select count(*) from workflow_step_states o
                where
                    o.run_id = v_run_id and o.step_slug in (v_slug, v_run.next)
                    and o.status = case when o.step_slug = v_slug then 'started' else 'created' end
            );
        v_is_followed := found;
    end if;
    if not v_is_followed then
        update workflow_step_states s
        set
            remaining_tasks = s.remaining_tasks - 1,
            output_bytes = s.output_bytes + v_bytes,
            status = case when s.remaining_tasks = 1 then 'completed' else s.status end,
            ended_at = case when s.remaining_tasks = 1 then v_now end
        where s.run_id = v_run_id and s.step_slug = v_slug and s.status = 'started'
        returning s.remaining_tasks into v_left;
        if v_left = 0 then
            fed := pgflow._advance(
                array[row(v_run_id, v_slug)::pgflow.step_ref],
                _settle_one.feed, _settle_one.claim_id, _settle_one.caller
            );
        end if;
        return;
    end if;

    fed := pgflow._create_tasks(
        array[row(
            v_run_id, v_run.version_id, v_run.workflow_slug, v_run.next, 'single', 1, v_run.function,
            pgflow._queue_of(v_run.status, v_run.owner_id, v_run.queue), v_run.start_delay
        )::pgflow.ready_step],
        _settle_one.feed, _settle_one.claim_id, _settle_one.caller
    );
    if current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_build_array(jsonb_build_object(
            'kind', 'step_completed', 'run_id', v_run_id, 'workflow_slug', v_run.workflow_slug, 'step_slug', v_slug
        )));
    end if;
    update workflow_runs r set remaining_steps = r.remaining_steps - 1
    where r.id = v_run_id and r.ended_at is null;
end
$$;
