-- Writes the version that runs starting now are pinned to: on the first start after a change.
--
-- One statement, so that one snapshot sees flow, steps and edges; no lock, so that an editor's
-- open transaction never holds up a start. Two starts at once may write the version twice, which
-- does no harm. Null where the flow has no steps.
create or replace function pgflow.pin_version(slug text)
returns workflow_versions
language plpgsql volatile
set search_path from current
as $$
declare
    v_version workflow_versions;
    v_queue text;
begin
    with flow as (
        select * from workflows w where w.workflow_slug = pin_version.slug
    ),
    step as (
        select s.*, coalesce(s.queue, flow.queue) as used_queue
        from workflow_steps s join flow on flow.workflow_slug = s.workflow_slug
    ),
    edge as (
        select d.dep_slug, d.step_slug, dep.step_index as dep_index, st.step_index
        from workflow_step_dependencies_def d
        join step dep on dep.step_slug = d.dep_slug
        join step st on st.step_slug = d.step_slug
        where d.workflow_slug = pin_version.slug
    ),
    deps as (
        select e.step_slug, array_agg(e.dep_slug order by e.dep_index) as slugs
        from edge e group by e.step_slug
    ),
    dependents as (
        select e.dep_slug, array_agg(e.step_slug order by e.step_index) as slugs
        from edge e group by e.dep_slug
    ),
    version as (
        insert into workflow_versions (workflow_slug, version, queues, steps_count, has_root_map)
        select
            flow.workflow_slug, flow.version, array(select distinct used_queue from step),
            (select count(*) from step),
            exists (
                select from step
                where step.step_type = 'map' and step.step_slug not in (select edge.step_slug from edge)
            )
        from flow where exists (select from step)
        returning *
    ),
    pinned as (
        insert into workflow_version_steps (
            version_id, step_slug, step_index, step_type, depends_on, dependents, initial_tasks,
            max_attempts, timeout, base_delay, start_delay, function, params, queue, description, inputs
        )
        select
            version.id, step.step_slug, step.step_index, step.step_type,
            coalesce(deps.slugs, '{}'), coalesce(dependents.slugs, '{}'), step.initial_tasks,
            greatest(coalesce(step.max_attempts, flow.max_attempts), 1),
            coalesce(step.timeout, flow.timeout), coalesce(step.base_delay, flow.base_delay),
            step.start_delay, coalesce(step.function, step.step_slug), step.params, step.used_queue,
            step.description, step.inputs
        from version
        cross join flow
        cross join step
        left join deps on deps.step_slug = step.step_slug
        left join dependents on dependents.dep_slug = step.step_slug
    )
    select version.* into v_version from version;

    foreach v_queue in array coalesce(v_version.queues, '{}') loop
        perform pgflow.ensure_queue(v_queue);
    end loop;
    return v_version;
end
$$;
