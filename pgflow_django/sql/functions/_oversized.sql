-- Those of `steps` whose dependencies gave more than one input may hold. Asked before the input is
-- built: PostgreSQL refuses a value beyond its own bounds, and memory goes long before that.
create or replace function pgflow._oversized(steps pgflow.ready_step[])
returns pgflow.step_ref[]
language plpgsql stable
as $$
begin
    return array(
        select row(r.run_id, r.step_slug)::pgflow.step_ref
        from unnest(_oversized.steps) as r
        join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = r.step_slug
        where
            (r.step_type = 'single' or (vs.inputs is not null and pgflow._reads_whole(vs.inputs, vs.depends_on[1])))
            and r.tasks between 0 and 2147483647  -- always; for the plan, see settle_and_claim
            and (
                select sum(s.output_bytes) from workflow_step_states s
                where s.run_id = r.run_id and s.step_slug = any(vs.depends_on)
            ) > pgflow._max_joined_bytes()
    );
end
$$;
