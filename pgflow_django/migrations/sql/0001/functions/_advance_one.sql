-- Follows one completed step to its dependent, where that is one single step: the link of a chain.
-- Gives the dependent as `ready` once it waits for nothing more. Any other shape comes back as
-- `left_over`, for _advance to follow with its statements for many.
create or replace function pgflow._advance_one(
    run uuid, slug text, out ready pgflow.ready_step[], out left_over pgflow.step_ref[]
)
language plpgsql volatile
set search_path from current
as $$
declare
    v_run record;
    v_child workflow_version_steps;
    v_left integer;
begin
    select r.version_id, r.workflow_slug, r.owner_id, vs.dependents into v_run
    from workflow_runs r
    join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = _advance_one.slug
    where r.id = _advance_one.run;
    if v_run.dependents = '{}' then
        return;
    end if;
    select * into v_child from workflow_version_steps vs
    where vs.version_id = v_run.version_id and vs.step_slug = v_run.dependents[1];
    if cardinality(v_run.dependents) > 1 or v_child.step_type = 'map' then
        left_over := array[row(_advance_one.run, _advance_one.slug)::pgflow.step_ref];
        return;
    end if;

    update workflow_step_states s
    set
        remaining_deps = s.remaining_deps - 1,
        status = case when s.remaining_deps = 1 then 'started' else s.status end,
        remaining_tasks = case when s.remaining_deps = 1 then 1 end,
        initial_tasks = case when s.remaining_deps = 1 then 1 end,
        started_at = case when s.remaining_deps = 1 then clock_timestamp() end
    where s.run_id = _advance_one.run and s.step_slug = v_child.step_slug and s.status = 'created'
    returning s.remaining_deps into v_left;
    if v_left = 0 then
        ready := array[row(
            _advance_one.run, v_run.version_id, v_run.workflow_slug, v_child.step_slug, 'single', 1,
            v_child.function, case when v_run.owner_id is null then v_child.queue else 'in_process' end,
            v_child.start_delay
        )::pgflow.ready_step];
    end if;
end
$$;
