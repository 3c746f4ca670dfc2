-- Settles one result (see settle_and_claim). Returns the step that it completed, as an array; an
-- empty one where the step has tasks left; null where its claim no longer covers the task.
--
-- The same transitions as for many results, in plain statements: they take a third of the time,
-- and a chain of steps settles one at a time.
create or replace function pgflow._settle_one(result jsonb)
returns pgflow.step_ref[]
language plpgsql volatile
set search_path from current
as $$
declare
    v_run uuid := _settle_one.result->>'r';
    v_step text := _settle_one.result->>'s';
    v_left integer;
    v_now timestamptz := clock_timestamp();
begin
    perform from workflow_runs r where r.id = v_run for key share;
    update workflow_step_tasks t
    set status = 'completed', output = _settle_one.result->'o', claim_id = null, ended_at = v_now
    where
        t.run_id = v_run and t.step_slug = v_step and t.task_index = (_settle_one.result->>'i')::integer
        and t.claim_id = (_settle_one.result->>'c')::bigint and t.status = 'started';
    if not found then
        return null;
    end if;
    update workflow_step_states s
    set
        remaining_tasks = s.remaining_tasks - 1,
        status = case when s.remaining_tasks = 1 then 'completed' else s.status end,
        ended_at = case when s.remaining_tasks = 1 then v_now end
    where s.run_id = v_run and s.step_slug = v_step
    returning s.remaining_tasks into v_left;
    if v_left > 0 then
        return '{}';
    end if;
    return array[row(v_run, v_step)::pgflow.step_ref];
end
$$;
