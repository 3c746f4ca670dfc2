-- What a worker needs to run the tasks of a claim, as JSON text:
--
-- {"accepted", "claim",
--  "runs": {run id: [workflow slug, input]},
--  "outputs": [[run id, step slug, output], ...] of dependencies of single steps, and of those that
--             inputs of a map step name,
--  "steps": {version id: {step slug: {...}}},
--  "groups": [[run id, version id, step slug, [[task index, attempt, item], ...], broadcast], ...]}
--
-- Whatever tasks share comes once. A group is a range of tasks of one step of a run; a map over a
-- value that is no array has that value as its broadcast, in an array.
create or replace function pgflow._describe(claim bigint, ranges pgflow.task_range[], accepted integer)
returns text
language plpgsql stable
as $$
begin
    return (
        with piece as materialized (
            select
                g.run_id, g.task_index, g.count, r.workflow_slug, r.input, r.version_id, vs.step_slug,
                vs.step_type, vs.depends_on, vs.function, vs.params, vs.timeout, vs.max_attempts,
                vs.inputs,
                case when vs.step_type = 'single' and cardinality(vs.dependents) = 1 then vs.dependents[1] end as next
            from unnest(_describe.ranges) as g
            join workflow_runs r on r.id = g.run_id
            join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = g.step_slug
            where g.count between 0 and 2147483647  -- always; for the plan, see settle_and_claim
        )
        select json_build_object(
            'accepted', _describe.accepted,
            'claim', _describe.claim,
            'runs', (
                select json_object_agg(r.run_id, json_build_array(r.workflow_slug, r.input))
                from (select distinct on (p.run_id) p.* from piece p) as r
            ),
            'outputs', (
                select json_agg(json_build_array(d.run_id, d.slug, case up.step_type
                    when 'single' then (
                        select t.output from workflow_step_tasks t
                        where t.run_id = d.run_id and t.step_slug = d.slug and t.task_index = 0
                    )
                    else pgflow._step_output(d.run_id, d.slug, up.step_type)
                end))
                from (
                    select distinct p.run_id, p.version_id, slug
                    from piece p, unnest(p.depends_on) as slug
                    where p.step_type = 'single' or (p.inputs is not null and pgflow._reads_whole(p.inputs, slug))
                ) as d
                join workflow_version_steps up on up.version_id = d.version_id and up.step_slug = d.slug
            ),
            'steps', (
                select json_object_agg(v.version_id, v.steps)
                from (
                    select s.version_id, json_object_agg(s.step_slug, json_build_object(
                        'step_type', s.step_type, 'function', s.function, 'params', s.params,
                        'timeout', s.timeout, 'max_attempts', s.max_attempts, 'depends_on', s.depends_on,
                        'next', s.next, 'inputs', s.inputs
                    )) as steps
                    from (select distinct on (p.version_id, p.step_slug) p.* from piece p) as s
                    group by s.version_id
                ) as v
            ),
            'groups', (
                select json_agg(json_build_array(
                    p.run_id, p.version_id, p.step_slug, task.list,
                    case
                        when p.step_type = 'map' and task.is_plain
                            then json_build_array(pgflow._map_source(p.run_id, p.depends_on[1]))
                    end
                ))
                from piece p
                cross join lateral (
                    select
                        json_agg(json_build_array(t.task_index, t.attempts_count, t.item)) as list,
                        bool_or(t.item is null) as is_plain
                    from workflow_step_tasks t
                    where
                        t.run_id = p.run_id and t.step_slug = p.step_slug
                        and t.task_index >= p.task_index and t.task_index < p.task_index + p.count
                        and t.claim_id = _describe.claim
                ) as task
                where task.list is not null
            )
        )
    );
end
$$;
