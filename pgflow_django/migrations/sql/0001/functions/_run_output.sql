-- A run's output: {leaf step: its output} over the completed leaf steps. Volatile as _step_output.
create or replace function pgflow._run_output(run uuid, version_id bigint)
returns jsonb
language plpgsql volatile
as $$
begin
    return (
        select coalesce(
            jsonb_object_agg(vs.step_slug, pgflow._step_output(_run_output.run, vs.step_slug, vs.step_type)), '{}'
        )
        from workflow_version_steps vs
        join workflow_step_states s on s.run_id = _run_output.run and s.step_slug = vs.step_slug
        where vs.version_id = _run_output.version_id and vs.dependents = '{}' and s.status = 'completed'
    );
end
$$;
