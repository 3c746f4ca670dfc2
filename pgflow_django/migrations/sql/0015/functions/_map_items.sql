-- The elements of a map step: of the run input where `dep_slug` is null, else of that step's
-- output, in which a skipped task has null. `tasks` rows without value where the upstream value is no
-- array.
create or replace function pgflow._map_items(
    run uuid, version_id bigint, dep_slug text, tasks integer
)
returns table (index integer, value jsonb)
language plpgsql stable
as $$
declare
    v_source jsonb;
begin
    if _map_items.dep_slug is not null and 'map' = (
        select vs.step_type from workflow_version_steps vs
        where vs.version_id = _map_items.version_id and vs.step_slug = _map_items.dep_slug
    ) then
        return query
            select t.task_index, coalesce(t.output, 'null') from workflow_step_tasks t
            where t.run_id = _map_items.run and t.step_slug = _map_items.dep_slug;
        return;
    end if;

    v_source := pgflow._map_source(_map_items.run, _map_items.dep_slug);
    if jsonb_typeof(v_source) = 'array' then
        return query
            select (e.ord - 1)::integer, e.element
            from jsonb_array_elements(v_source) with ordinality as e (element, ord);
    else
        return query select i, null::jsonb from generate_series(0, _map_items.tasks - 1) as i;
    end if;
end
$$;
