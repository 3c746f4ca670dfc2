-- A cycle of a flow's steps, each before the one that waits for it, the first again at the end; or
-- null. Expects `deps_count` to be right.
--
-- Linear: the steps are numbered; v_targets holds the dependents of step 1, then those of step 2,
-- and so on, v_ends where each step's end; then steps that wait for nothing are taken away until
-- none is left.
create or replace function pgflow._find_cycle(slug text)
returns text[]
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_nestloop = off
set jit = off
as $$
declare
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
            where d.workflow_slug = _find_cycle.slug group by d.dep_slug
        ) e on e.dep_slug = s.step_slug
        where s.workflow_slug = _find_cycle.slug
        window steps as (order by s.step_index, s.step_slug rows unbounded preceding)
    ) n;
    v_targets := array(
        select step.position
        from workflow_step_dependencies_def e
        join unnest(v_slugs) with ordinality step (slug, position) on step.slug = e.step_slug
        join unnest(v_slugs) with ordinality dep (slug, position) on dep.slug = e.dep_slug
        where e.workflow_slug = _find_cycle.slug
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
    if v_done = cardinality(v_slugs) then
        return null;
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
                e.workflow_slug = _find_cycle.slug and e.step_slug = v_path[1]
                and e.dep_slug = any(v_slugs)
            limit 1
        );
        exit when v_path[1] = any(v_path[2:]);
    end loop;
    return v_path[1:1 + array_position(v_path[2:], v_path[1])];
end
$$;
