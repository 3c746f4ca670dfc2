-- Whether a claim covers tasks that are not settled yet.
create or replace function pgflow._holds_tasks(claim bigint)
returns boolean
language plpgsql stable
as $$
begin
    return exists (
        select
        from workflow_claims c,
            jsonb_to_recordset(c.tasks) as g (run_id uuid, step_slug text, task_index integer, count integer)
        join workflow_step_tasks t
            on t.run_id = g.run_id and t.step_slug = g.step_slug
            and t.task_index >= g.task_index and t.task_index < g.task_index + g.count
        where
            c.id = _holds_tasks.claim and t.claim_id = c.id
            and g.count between 0 and 2147483647  -- always; for the plan, see settle_and_claim
    );
end
$$;
