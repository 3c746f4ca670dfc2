-- Skips all steps that come after one that is not done and have not begun, and returns them. One that
-- has begun, since a person has given what it waited for, goes on, also in a run that is taken up again.
create or replace function pgflow._skip_after(run workflow_runs, slug text)
returns text[]
language plpgsql volatile
as $$
declare
    v_skipped text[];
begin
    with skipped as (
        update workflow_step_states s set status = 'skipped', ended_at = clock_timestamp()
        where
            s.run_id = (_skip_after.run).id and s.status = 'created' and s.initial_tasks is null
            and s.step_slug = any(pgflow._steps_after((_skip_after.run).version_id, _skip_after.slug))
        returning s.step_slug, s.step_index
    )
    select coalesce(array_agg(s.step_slug order by s.step_index), '{}') into v_skipped from skipped s;
    return v_skipped;
end
$$;
