-- Inserts the queued tasks of the map steps among `ready`: one per element of the upstream array,
-- each with its element, so that no claim has to parse the array again. Where the upstream value
-- is no array, `initial_tasks` tasks that all get that value; it is not copied into them.
create or replace function pgflow._create_map_tasks(ready pgflow.ready_step[])
returns void
language plpgsql volatile
as $$
begin
    insert into workflow_step_tasks (run_id, step_slug, task_index, status, item, queued_at)
    select r.run_id, r.step_slug, item.index, 'queued', item.value, clock_timestamp()
    from unnest(_create_map_tasks.ready) as r
    join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = r.step_slug
    cross join lateral pgflow._map_items(r.run_id, r.version_id, vs.depends_on[1], r.tasks) as item
    where r.step_type = 'map';
end
$$;
