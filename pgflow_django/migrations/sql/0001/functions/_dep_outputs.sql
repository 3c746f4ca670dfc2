-- {dependency: its output} for the task of a single step; null without dependencies.
create or replace function pgflow._dep_outputs(run uuid, version_id bigint, deps text[])
returns json
language plpgsql stable
as $$
begin
    if _dep_outputs.deps = '{}' then
        return null;
    end if;
    return (
        select json_object_agg(vs.step_slug, case vs.step_type
            when 'single' then (
                select t.output from workflow_step_tasks t
                where t.run_id = _dep_outputs.run and t.step_slug = vs.step_slug and t.task_index = 0
            )
            else (
                select coalesce(jsonb_agg(t.output order by t.task_index), '[]') from workflow_step_tasks t
                where t.run_id = _dep_outputs.run and t.step_slug = vs.step_slug
            )
        end)
        from unnest(_dep_outputs.deps) as dep (slug)
        join workflow_version_steps vs on vs.version_id = _dep_outputs.version_id and vs.step_slug = dep.slug
    );
end
$$;
