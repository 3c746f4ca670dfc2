-- Records a warning for each map step among `steps` whose declared `initial_tasks` is not the
-- number of elements that it got: the array wins.
create or replace function pgflow._note_map_sizes(steps pgflow.step_ref[])
returns void
language plpgsql volatile
as $$
begin
    insert into workflow_run_events (run_id, at, level, kind, step_slug, message, data)
    select
        s.run_id, clock_timestamp(), 'warning', 'map_size_differs', s.step_slug,
        format('map step "%s" declares initial_tasks=%s but got an array of %s; every element is processed',
            s.step_slug, vs.initial_tasks, s.initial_tasks),
        jsonb_build_object('declared', vs.initial_tasks, 'found', s.initial_tasks)
    from unnest(_note_map_sizes.steps) as n
    join workflow_step_states s on s.run_id = n.run_id and s.step_slug = n.step_slug
    join workflow_runs r on r.id = s.run_id
    join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = s.step_slug
    where vs.step_type = 'map' and vs.initial_tasks <> s.initial_tasks;
end
$$;
