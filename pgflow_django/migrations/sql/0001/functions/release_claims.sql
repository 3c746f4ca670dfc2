-- Hands back whatever these claims still cover, and forgets them. For a claim whose answer was lost
-- with the connection, and for a worker that stops. Returns how many tasks were handed back.
create or replace function pgflow.release_claims(claims bigint[])
returns integer
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_tasks jsonb;
begin
    -- Runs before claims: the order in which results are settled.
    perform from workflow_runs r
    where r.id = any(array(
        select (g->>'run_id')::uuid
        from workflow_claims c, jsonb_array_elements(c.tasks) as g
        where c.id = any(release_claims.claims)
    ))
    order by r.id
    for key share;

    with gone as (
        delete from workflow_claims c where c.id = any(release_claims.claims)
        returning c.id, c.tasks
    )
    select jsonb_agg(jsonb_build_object('r', g.run_id, 's', g.step_slug, 'i', i, 'c', gone.id))
    into v_tasks
    from gone,
        jsonb_to_recordset(gone.tasks) as g (run_id uuid, step_slug text, task_index integer, count integer),
        generate_series(g.task_index, g.task_index + g.count - 1) as i;
    return case when v_tasks is null then 0 else pgflow.release_tasks(v_tasks) end;
end
$$;
