-- What a worker needs to run the tasks of a claim, as JSON text: {"accepted", "claim", "inputs":
-- {run id: run input}, "groups": [...]}. A group is a step of a run with its tasks as
-- [task_index, attempt, item]; run inputs, dependencies' outputs and constants come once for all
-- tasks that share them. A map over a value that is no array has that value as "broadcast".
create or replace function pgflow._describe(claim bigint, ranges pgflow.task_range[], accepted integer)
returns text
language plpgsql stable
as $$
begin
    if cardinality(_describe.ranges) = 1 and _describe.ranges[1].count = 1 then
        -- The same for one task, without what grouping costs.
        return (
            select json_build_object(
                'accepted', _describe.accepted,
                'claim', _describe.claim,
                'inputs', json_build_object(r.id, r.input),
                'groups', json_build_array(pgflow._describe_step(
                    r.id, r.workflow_slug, vs,
                    json_build_array(json_build_array(t.task_index, t.attempts_count, t.item)), t.item is null
                ))
            )
            from workflow_step_tasks t
            join workflow_runs r on r.id = t.run_id
            join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = t.step_slug
            where
                t.run_id = _describe.ranges[1].run_id and t.step_slug = _describe.ranges[1].step_slug
                and t.task_index = _describe.ranges[1].task_index and t.claim_id = _describe.claim
        );
    end if;
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
                pgflow._describe_step(r.id, r.workflow_slug, vs, s.tasks, s.is_plain) as description
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
