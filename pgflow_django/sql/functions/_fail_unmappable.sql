-- Fails a run in which a map step became ready over a value that is no array, without
-- `initial_tasks` to say how many tasks to make of it.
create or replace function pgflow._fail_unmappable(run uuid, slug text)
returns void
language plpgsql volatile
as $$
declare
    v_dep text;
    v_found text;
begin
    select vs.depends_on[1], coalesce(jsonb_typeof(pgflow._map_source(r.id, vs.depends_on[1])), 'nothing')
    into v_dep, v_found
    from workflow_runs r
    join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = _fail_unmappable.slug
    where r.id = _fail_unmappable.run;

    perform pgflow._end_run(_fail_unmappable.run, 'failed', _fail_unmappable.slug, jsonb_build_object(
        'code', 'type_violation',
        'step_slug', _fail_unmappable.slug,
        'error_type', 'TypeViolation',
        'error_message', format(
            'map step "%s" maps over the output of step "%s", which is %s %s, not an array; '
            'return a list from "%s" or give "%s" initial_tasks',
            _fail_unmappable.slug, v_dep, case when v_found = 'object' then 'an' else 'a' end, v_found,
            v_dep, _fail_unmappable.slug)
    ));
end
$$;
