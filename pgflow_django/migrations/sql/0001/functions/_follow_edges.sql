-- Makes deps_count and version follow edges that one statement added or removed. Edge number i is
-- `steps[i]` waiting for `deps[i]` in `flows[i]`.
--
-- Added edges that their step's deps_count announced complete the version which that step made,
-- unless a run has taken that version since. Removed edges that went with a step are part of that
-- step's removal, which counts by itself.
create or replace function pgflow._follow_edges(
    flows text[], deps text[], steps text[], removed boolean
)
returns void
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    v_recounted text[];
begin
    with recounted as (
        update workflow_steps s set deps_count = edges.count
        from (
            select c.flow, c.step, (
                select count(*) from workflow_step_dependencies_def d
                where d.workflow_slug = c.flow and d.step_slug = c.step
            ) as count
            from (
                select distinct e.flow, e.step
                from unnest(_follow_edges.flows, _follow_edges.steps) e (flow, step)
            ) c
        ) edges
        where
            s.workflow_slug = edges.flow and s.step_slug = edges.step
            and s.deps_count <> edges.count
        returning s.workflow_slug
    )
    select array_agg(distinct r.workflow_slug) into v_recounted from recounted r;

    if _follow_edges.removed then
        update workflows set version = version + 1
        where workflow_slug in (
            select e.flow
            from unnest(_follow_edges.flows, _follow_edges.deps, _follow_edges.steps)
                e (flow, dep, step)
            join workflow_steps s on s.workflow_slug = e.flow and s.step_slug = e.step
            join workflow_steps d on d.workflow_slug = e.flow and d.step_slug = e.dep
        );
    else
        update workflows w set version = w.version + 1
        where w.workflow_slug = any(_follow_edges.flows) and (
            w.workflow_slug = any(v_recounted)
            or exists (
                select from workflow_versions v
                where v.workflow_slug = w.workflow_slug and v.version = w.version
            )
        );
    end if;
end
$$;
