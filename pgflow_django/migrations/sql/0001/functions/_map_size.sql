-- How many tasks a map step gets: the array's length, always; `initial_tasks` only where the
-- upstream value is no array. Null where neither is known: a type violation.
create or replace function pgflow._map_size(
    run uuid, version_id bigint, dep_slug text, initial_tasks integer
)
returns integer
language plpgsql stable
as $$
declare
    v_source jsonb;
begin
    if _map_size.dep_slug is not null and 'map' = (
        select vs.step_type from workflow_version_steps vs
        where vs.version_id = _map_size.version_id and vs.step_slug = _map_size.dep_slug
    ) then
        return (
            select s.initial_tasks from workflow_step_states s
            where s.run_id = _map_size.run and s.step_slug = _map_size.dep_slug
        );
    end if;
    v_source := pgflow._map_source(_map_size.run, _map_size.dep_slug);
    if jsonb_typeof(v_source) = 'array' then
        return jsonb_array_length(v_source);
    end if;
    return _map_size.initial_tasks;
end
$$;
