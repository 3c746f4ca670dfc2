-- The steps of a run that are done and do not come after one of them; see rerun. Refuses where something
-- is not done that this one waits for, or was skipped that it maps over.
create or replace function pgflow._kept_steps(run workflow_runs, from_step text)
returns text[]
language plpgsql volatile
as $$
declare
    v_again text[] := pgflow._steps_after((_kept_steps.run).version_id, _kept_steps.from_step) || _kept_steps.from_step;
    v_lacking record;
    v_skipped text;
begin
    perform from workflow_version_steps vs
    where vs.version_id = (_kept_steps.run).version_id and vs.step_slug = _kept_steps.from_step;
    if not found then
        perform pgflow._refuse('step_not_found', format(
            'run %s of flow "%s" has no step "%s"',
            (_kept_steps.run).id, (_kept_steps.run).workflow_slug, _kept_steps.from_step
        ));
    end if;

    select s.step_slug, s.status into v_lacking
    from workflow_step_states s
    where
        s.run_id = (_kept_steps.run).id and s.status not in ('completed', 'skipped')
        and s.step_slug = any(array(
            select unnest(vs.depends_on) from workflow_version_steps vs
            where vs.version_id = (_kept_steps.run).version_id and vs.step_slug = _kept_steps.from_step
        ))
    order by s.step_index limit 1;
    if found then
        perform pgflow._refuse('rerun_not_possible', format(
            'run %s can''t be rerun from step "%s": step "%s", which that waits for, is not done, it is %s',
            (_kept_steps.run).id, _kept_steps.from_step, v_lacking.step_slug, v_lacking.status
        ));
    end if;
    select s.step_slug into v_skipped
    from workflow_version_steps vs
    join workflow_step_states s on s.run_id = (_kept_steps.run).id and s.step_slug = vs.depends_on[1]
    where
        vs.version_id = (_kept_steps.run).version_id and vs.step_slug = _kept_steps.from_step
        and vs.step_type = 'map' and s.status = 'skipped';
    if found then
        perform pgflow._refuse('rerun_not_possible', format(
            'run %s can''t be rerun from step "%s": step "%s", which that maps over, was skipped',
            (_kept_steps.run).id, _kept_steps.from_step, v_skipped
        ));
    end if;
    return array(
        select s.step_slug from workflow_step_states s
        where
            s.run_id = (_kept_steps.run).id and s.status in ('completed', 'skipped') and s.step_slug <> all(v_again)
    );
end
$$;
