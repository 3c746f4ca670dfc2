-- What a worker needs to run the tasks of a claim, as JSON text: {"accepted", "claim", "inputs":
-- {run id: run input}, "groups": [...]}. A group is a range of tasks of one step of a run, each as
-- [task_index, attempt, item]; run inputs, dependencies' outputs and constants come once for all
-- tasks that share them. A map over a value that is no array has that value as "broadcast".
create or replace function pgflow._describe(claim bigint, ranges pgflow.task_range[], accepted integer)
returns text
language plpgsql stable
as $$
begin
    return json_build_object(
        'accepted', _describe.accepted,
        'claim', _describe.claim,
        'inputs', (
            select json_object_agg(r.id, r.input)
            from workflow_runs r
            where r.id = any(array(select distinct g.run_id from unnest(_describe.ranges) as g))
        ),
        'groups', (
            select json_agg(json_build_object(
                'run_id', r.id, 'workflow_slug', r.workflow_slug, 'step_slug', vs.step_slug,
                'step_type', vs.step_type, 'function', vs.function, 'params', vs.params,
                'timeout', vs.timeout, 'max_attempts', vs.max_attempts, 'version_id', vs.version_id,
                'next', case when vs.step_type = 'single' and cardinality(vs.dependents) = 1 then vs.dependents[1] end,
                'tasks', task.list,
                'deps', dep.outputs,
                'broadcast', case
                    when vs.step_type = 'map' and task.is_plain
                        then json_build_array(pgflow._map_source(r.id, vs.depends_on[1]))
                end
            ))
            from unnest(_describe.ranges) as g
            join workflow_runs r on r.id = g.run_id
            join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = g.step_slug
            cross join lateral (
                select
                    json_agg(json_build_array(t.task_index, t.attempts_count, t.item)) as list,
                    bool_or(t.item is null) as is_plain
                from workflow_step_tasks t
                where
                    t.run_id = g.run_id and t.step_slug = g.step_slug
                    and t.task_index >= g.task_index and t.task_index < g.task_index + g.count
                    and t.claim_id = _describe.claim
            ) as task
            left join lateral (
                select json_object_agg(d.slug, case up.step_type
                    when 'single' then (
                        select t.output from workflow_step_tasks t
                        where t.run_id = g.run_id and t.step_slug = d.slug and t.task_index = 0
                    )
                    else pgflow._step_output(g.run_id, d.slug, up.step_type)
                end) as outputs
                from unnest(vs.depends_on) as d (slug)
                join workflow_version_steps up on up.version_id = vs.version_id and up.step_slug = d.slug
            ) as dep on vs.step_type = 'single'
            where task.list is not null
        )
    );
end
$$;
