-- The value that a map step maps over, where its dependency is a single step or the run's input.
create or replace function pgflow._map_source(run uuid, dep_slug text)
returns jsonb
language plpgsql stable
as $$
begin
    if _map_source.dep_slug is null then
        return (select r.input from workflow_runs r where r.id = _map_source.run);
    end if;
    return (
        select t.output from workflow_step_tasks t
        where t.run_id = _map_source.run and t.step_slug = _map_source.dep_slug and t.task_index = 0
    );
end
$$;
