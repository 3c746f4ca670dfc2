-- Hands back claimed tasks whose functions have not begun: they are queued again at once, for
-- anybody, and no attempt is spent. Returns how many were handed back.
--
-- tasks  [{"r": run id, "s": step slug, "i": task index, "c": claim id}]
create or replace function pgflow.release_tasks(tasks jsonb)
returns integer
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_found record;
    v_released integer := 0;
begin
    perform from workflow_runs r
    where r.id = any(array(select distinct (f->>'r')::uuid from jsonb_array_elements(release_tasks.tasks) as f))
    order by r.id
    for key share;

    for v_found in
        select t as task, vs as step
        from jsonb_to_recordset(release_tasks.tasks) as f (r uuid, s text, i integer, c bigint)
        join workflow_step_tasks t
            on t.run_id = f.r and t.step_slug = f.s and t.task_index = f.i
            and t.claim_id = f.c and t.status = 'started'
        join workflow_runs r on r.id = t.run_id
        join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = t.step_slug
        where f.i between 0 and 2147483647  -- always; for the plan, see settle_and_claim
        order by t.run_id, t.step_slug, t.task_index
        for update of t
    loop
        perform pgflow._requeue_task(v_found.task, v_found.step, clock_timestamp(), 1, false, null);
        v_released := v_released + 1;
    end loop;
    return v_released;
end
$$;
