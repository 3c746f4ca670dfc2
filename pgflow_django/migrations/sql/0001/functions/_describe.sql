-- What a worker needs to run the tasks of a claim, as JSON text: {"accepted", "claim", "inputs":
-- {run id: run input}, "groups": [...]}. A group is a step of a run with its tasks as
-- [task_index, attempt, item]; run inputs, dependencies' outputs and constants come once for all
-- tasks that share them. A map over a value that is no array has that value as "broadcast".
create or replace function pgflow._describe(claim bigint, ranges pgflow.task_range[], accepted integer)
returns text
language plpgsql stable
as $$
begin
    return (
        select json_build_object(
            'accepted', _describe.accepted,
            'claim', _describe.claim,
            'inputs', json_object_agg(g.run_id, g.run_input) filter (where g.is_first),
            'groups', json_agg(g.description)
        )
        from (
            select
                r.id as run_id, r.input as run_input,
                row_number() over (partition by r.id) = 1 as is_first,
                json_build_object(
                    'run_id', r.id, 'workflow_slug', r.workflow_slug, 'step_slug', s.step_slug,
                    'step_type', vs.step_type, 'function', vs.function, 'params', vs.params,
                    'timeout', vs.timeout, 'max_attempts', vs.max_attempts, 'tasks', s.tasks,
                    case when vs.step_type = 'map' then 'broadcast' else 'deps' end,
                    case
                        when vs.step_type = 'single' then pgflow._dep_outputs(r.id, r.version_id, vs.depends_on)
                        when s.is_plain then json_build_array(pgflow._map_source(r.id, vs.depends_on[1]))
                    end
                ) as description
            from (
                select
                    t.run_id, t.step_slug, bool_or(t.item is null) as is_plain,
                    json_agg(json_build_array(t.task_index, t.attempts_count, t.item)) as tasks
                from unnest(_describe.ranges) as q
                join workflow_step_tasks t
                    on t.run_id = q.run_id and t.step_slug = q.step_slug
                    and t.task_index >= q.task_index and t.task_index < q.task_index + q.count
                where t.claim_id = _describe.claim
                group by t.run_id, t.step_slug
            ) as s
            join workflow_runs r on r.id = s.run_id
            join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = s.step_slug
        ) as g
    );
end
$$;
