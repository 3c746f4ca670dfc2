-- Takes completed steps off their runs' counts; the last one completes its run. A run named without
-- a step completes where it has none left.
create or replace function pgflow._count_down(completed pgflow.step_ref[])
returns void
language plpgsql volatile
as $$
declare
    v_ended jsonb;
begin
    with counted as (
        update workflow_runs r
        set
            remaining_steps = r.remaining_steps - c.steps,
            status = case when r.remaining_steps = c.steps then 'completed' else r.status end,
            output = case when r.remaining_steps = c.steps then pgflow._run_output(r.id, r.version_id) end,
            ended_at = case when r.remaining_steps = c.steps then clock_timestamp() end
        from (
            select s.run_id, count(s.step_slug)::integer as steps
            from unnest(_count_down.completed) as s
            group by s.run_id order by s.run_id
        ) as c
        -- Not `status = 'started'`: the partial index on it would tempt the planner to scan all runs.
        -- An array of one: else a planner who takes the table for empty reads it for each of `c`.
        where r.id = any(array[c.run_id]) and r.ended_at is null
        returning r.id, r.workflow_slug, r.status
    )
    select jsonb_agg(jsonb_build_object(
        'kind', 'run_ended', 'run_id', c.id, 'workflow_slug', c.workflow_slug, 'status', 'completed'
    )) filter (where c.status = 'completed') into v_ended
    from counted c;
    if v_ended is not null and current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(v_ended);
    end if;
end
$$;
