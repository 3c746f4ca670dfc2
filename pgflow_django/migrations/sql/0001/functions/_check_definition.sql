-- Raises where the edges of a flow form a cycle, are too many, or disagree with `deps_count`.
--
-- Called by the deferred trigger `definition_is_sound`. Linear: the steps are numbered; v_targets
-- holds the dependents of step 1, then those of step 2, and so on, v_ends where each step's end;
-- then steps that wait for nothing are taken away until none is left.
create or replace function pgflow._check_definition(slug text)
returns void
language plpgsql volatile
set search_path from current
set plan_cache_mode = force_custom_plan
set jit = off
as $$
declare
    v_bad record;
    v_slugs text[];
    v_waits integer[];
    v_ends integer[];
    v_targets integer[];
    v_ready integer[];
    v_done integer := 0;
    v_step integer;
    v_target integer;
    v_path text[];
begin
    select s.step_slug, s.deps_count, count(e.dep_slug) as edges into v_bad
    from workflow_steps s
    left join workflow_step_dependencies_def e using (workflow_slug, step_slug)
    where s.workflow_slug = _check_definition.slug
    group by s.step_slug, s.deps_count having s.deps_count <> count(e.dep_slug)
    limit 1;
    if found then
        raise exception 'Step "%" of flow "%" has deps_count %, but % dependencies.',
            v_bad.step_slug, _check_definition.slug, v_bad.deps_count, v_bad.edges
            using errcode = 'check_violation', constraint = 'deps_count_agrees_with_edges';
    end if;

    select
        array_agg(n.step_slug order by n.position), array_agg(n.deps_count order by n.position),
        array_agg(n.dependents order by n.position)
    into v_slugs, v_waits, v_ends
    from (
        select
            s.step_slug, s.deps_count, row_number() over steps as position,
            sum(coalesce(e.count, 0)) over steps as dependents
        from workflow_steps s
        left join (
            select d.dep_slug, count(*) from workflow_step_dependencies_def d
            where d.workflow_slug = _check_definition.slug group by d.dep_slug
        ) e on e.dep_slug = s.step_slug
        where s.workflow_slug = _check_definition.slug
        window steps as (order by s.step_index, s.step_slug rows unbounded preceding)
    ) n;
    if v_ends[cardinality(v_ends)] > 20000 then
        raise exception 'Flow "%" has % dependencies, but may have at most 20,000.',
            _check_definition.slug, v_ends[cardinality(v_ends)]
            using errcode = 'check_violation', constraint = 'flow_has_not_too_many_dependencies';
    end if;
    v_targets := array(
        select step.position
        from workflow_step_dependencies_def e
        join unnest(v_slugs) with ordinality step (slug, position) on step.slug = e.step_slug
        join unnest(v_slugs) with ordinality dep (slug, position) on dep.slug = e.dep_slug
        where e.workflow_slug = _check_definition.slug
        order by dep.position
    );

    v_ready := array(
        select s.position from unnest(v_waits) with ordinality s (waits, position) where s.waits = 0
    );
    while v_done < cardinality(v_ready) loop
        v_done := v_done + 1;
        v_step := v_ready[v_done];
        for i in coalesce(v_ends[v_step - 1], 0) + 1 .. v_ends[v_step] loop
            v_target := v_targets[i];
            v_waits[v_target] := v_waits[v_target] - 1;
            if v_waits[v_target] = 0 then
                v_ready := v_ready || v_target;
            end if;
        end loop;
    end loop;
    if v_done = coalesce(cardinality(v_slugs), 0) then
        return;
    end if;

    -- Every step that is left waits for another one that is left: going back must meet one twice.
    v_slugs := array(
        select s.slug from rows from (unnest(v_slugs), unnest(v_waits)) s (slug, waits)
        where s.waits > 0
    );
    v_path := v_slugs[1:1];
    loop
        v_path := (
            select e.dep_slug || v_path from workflow_step_dependencies_def e
            where
                e.workflow_slug = _check_definition.slug and e.step_slug = v_path[1]
                and e.dep_slug = any(v_slugs)
            limit 1
        );
        exit when v_path[1] = any(v_path[2:]);
    end loop;
    raise exception 'Flow "%" has a cycle: %.', _check_definition.slug,
        array_to_string(v_path[1:1 + array_position(v_path[2:], v_path[1])], ' → ')
        using errcode = 'check_violation', constraint = 'flow_has_no_cycle';
end
$$;
