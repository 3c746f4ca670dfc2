-- Returns a lost worker's claim to the queues; see sweep. The runs' rows are locked by the caller.
create or replace function pgflow._return_claim(claim bigint, ranges jsonb)
returns void
language plpgsql volatile
as $$
declare
    v_found record;
    v_size integer := (select sum((g->>'count')::integer) from jsonb_array_elements(_return_claim.ranges) as g);
begin
    for v_found in
        select t as task, vs as step
        from jsonb_to_recordset(_return_claim.ranges)
            as g (run_id uuid, step_slug text, task_index integer, count integer)
        join workflow_step_tasks t
            on t.run_id = g.run_id and t.step_slug = g.step_slug
            and t.task_index >= g.task_index and t.task_index < g.task_index + g.count
            and t.claim_id = _return_claim.claim and t.status = 'started'
        join workflow_runs r on r.id = t.run_id
        join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = t.step_slug
        where g.count between 0 and 2147483647  -- always; for the plan, see settle_and_claim
        order by t.run_id, t.step_slug, t.task_index
    loop
        if v_size > 1 then
            perform pgflow._requeue_task(v_found.task, v_found.step, clock_timestamp(), 1, true, null);
        else
            perform pgflow._fail_task(
                (v_found.task).run_id, (v_found.task).step_slug, (v_found.task).task_index, _return_claim.claim,
                false, 0, jsonb_build_object(
                    'code', 'worker_lost', 'error_type', 'WorkerLost',
                    'error_message', format('the worker %s that ran it is gone', (v_found.task).worker)
                ), true
            );
        end if;
    end loop;
end
$$;
