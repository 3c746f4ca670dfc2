-- A run's output: {leaf step: its output} over the completed leaf steps. Volatile as _step_output.
--
-- Raises PF008, output_too_large, before it builds more than may be joined: then the result that
-- would complete the run does not count, and its attempt fails.
create or replace function pgflow._run_output(run uuid, version_id bigint)
returns jsonb
language plpgsql volatile
as $$
declare
    v_leaves integer;
    v_bytes bigint;
    v_slug text;
    v_type text;
begin
    select count(*), sum(s.output_bytes), min(vs.step_slug), min(vs.step_type)
    into v_leaves, v_bytes, v_slug, v_type
    from workflow_version_steps vs
    join workflow_step_states s on s.run_id = _run_output.run and s.step_slug = vs.step_slug
    where vs.version_id = _run_output.version_id and vs.dependents = '{}' and s.status = 'completed';
    if v_bytes > pgflow._max_joined_bytes() then
        raise exception using errcode = 'PF008', message = (
            select pgflow._too_large('the output of the run', v_bytes, s.step_slug, s.output_bytes)
            from workflow_step_states s
            join workflow_version_steps vs on vs.version_id = _run_output.version_id and vs.step_slug = s.step_slug
            where s.run_id = _run_output.run and vs.dependents = '{}' and s.status = 'completed'
            order by s.output_bytes desc, s.step_slug limit 1
        );
    end if;
    if v_leaves = 1 then  -- as most flows have it: nothing need be read again
        return jsonb_build_object(v_slug, pgflow._step_output(_run_output.run, v_slug, v_type));
    end if;
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
