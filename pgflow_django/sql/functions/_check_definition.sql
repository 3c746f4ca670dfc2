-- Raises where the edges of a flow form a cycle, are too many, or disagree with `deps_count`.
--
-- Called by the deferred trigger `definition_is_sound`, at the end of every transaction that
-- changed the flow. Mostly steps stand behind what they wait for: then no cycle is searched.
create or replace function pgflow._check_definition(slug text)
returns void
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_nestloop = off
set jit = off
as $$
declare
    v_flow record;
    v_bad record;
    v_cycle text[];
begin
    select
        sum(s.edges) as edges, bool_or(s.looks_ahead) as looks_ahead,
        bool_or(s.deps_count <> s.edges) as miscounts
    into v_flow
    from (
        select
            step.step_slug, step.deps_count, count(e.dep_slug) as edges,
            bool_or(dep.step_index >= step.step_index) as looks_ahead
        from workflow_steps step
        left join workflow_step_dependencies_def e
            on e.workflow_slug = step.workflow_slug and e.step_slug = step.step_slug
        left join workflow_steps dep
            on dep.workflow_slug = e.workflow_slug and dep.step_slug = e.dep_slug
        where step.workflow_slug = _check_definition.slug
        group by step.step_slug, step.deps_count
    ) s;

    if v_flow.miscounts then
        select s.step_slug, s.deps_count, count(e.dep_slug) as edges into v_bad
        from workflow_steps s
        left join workflow_step_dependencies_def e using (workflow_slug, step_slug)
        where s.workflow_slug = _check_definition.slug
        group by s.step_slug, s.deps_count having s.deps_count <> count(e.dep_slug)
        limit 1;
        raise exception 'Step "%" of flow "%" has deps_count %, but % dependencies.',
            v_bad.step_slug, _check_definition.slug, v_bad.deps_count, v_bad.edges
            using errcode = 'check_violation', constraint = 'deps_count_agrees_with_edges';
    end if;
    if v_flow.edges > 20000 then
        raise exception 'Flow "%" has % dependencies, but may have at most 20,000.',
            _check_definition.slug, v_flow.edges
            using errcode = 'check_violation', constraint = 'flow_has_not_too_many_dependencies';
    end if;
    if v_flow.looks_ahead then
        v_cycle := pgflow._find_cycle(_check_definition.slug);
    end if;
    if v_cycle is not null then
        raise exception 'Flow "%" has a cycle: %.', _check_definition.slug,
            array_to_string(v_cycle, ' → ')
            using errcode = 'check_violation', constraint = 'flow_has_no_cycle';
    end if;
end
$$;
