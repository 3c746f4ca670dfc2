-- Lets the state of a step follow the verdict upon its tasks; see decide_step. Returns whether the step
-- is done now. The run's row is locked by the caller.
create or replace function pgflow._decide_state(
    run workflow_runs, slug text, index integer, verdict text, output jsonb, tasks integer
)
returns boolean
language plpgsql volatile
as $$
declare
    v_bytes bigint := coalesce(
        greatest(pg_column_size(_decide_state.output), octet_length(_decide_state.output::text)), 0
    );
    v_status text := _decide_state.verdict;
    v_now timestamptz := clock_timestamp();
begin
    if _decide_state.index is null then
        if exists (
            select from workflow_step_tasks t
            where
                t.run_id = (_decide_state.run).id and t.step_slug = _decide_state.slug and t.status = 'completed'
        ) then
            v_status := 'completed';
        end if;
        update workflow_step_states s
        set
            status = v_status,
            remaining_deps = case v_status when 'completed' then 0 else s.remaining_deps end,
            initial_tasks = coalesce(s.initial_tasks, case v_status when 'completed' then _decide_state.tasks end),
            remaining_tasks = case when v_status = 'completed' or s.initial_tasks is not null then 0 end,
            output_bytes = s.output_bytes + v_bytes,
            started_at = case v_status when 'completed' then coalesce(s.started_at, v_now) else s.started_at end,
            ended_at = v_now
        where s.run_id = (_decide_state.run).id and s.step_slug = _decide_state.slug;
        return true;
    end if;
    -- Where it has just been taken up again, _start_ready counts what is left.
    update workflow_step_states s
    set
        remaining_tasks = s.remaining_tasks - 1,
        output_bytes = s.output_bytes + v_bytes,
        status = case when s.remaining_tasks = 1 then 'completed' else s.status end,
        ended_at = case when s.remaining_tasks = 1 then v_now end
    where s.run_id = (_decide_state.run).id and s.step_slug = _decide_state.slug
    returning s.status into v_status;
    return v_status = 'completed';
end
$$;
