-- Fails a run in which the outputs of a step's dependencies are too large to be joined as its input.
create or replace function pgflow._fail_oversized(run uuid, slug text)
returns void
language plpgsql volatile
as $$
begin
    perform pgflow._end_run(_fail_oversized.run, 'failed', _fail_oversized.slug, jsonb_build_object(
        'code', 'output_too_large',
        'step_slug', _fail_oversized.slug,
        'error_type', 'InvalidOutput',
        'error_message', (
            select pgflow._too_large(
                format('the input of step "%s"', _fail_oversized.slug),
                (sum(s.output_bytes) over ())::bigint, s.step_slug, s.output_bytes
            )
            from workflow_runs r
            join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = _fail_oversized.slug
            join workflow_step_states s on s.run_id = r.id and s.step_slug = any(vs.depends_on)
            where r.id = _fail_oversized.run
            order by s.output_bytes desc, s.step_slug limit 1
        )
    ));
    -- It never had tasks: a retry starts it afresh.
    update workflow_step_states s
    set remaining_tasks = null, initial_tasks = null, started_at = null
    where s.run_id = _fail_oversized.run and s.step_slug = _fail_oversized.slug and s.status = 'failed';
end
$$;
