-- Makes a new run of a run's version, in which all that was done and does not come after `from_step` is
-- done as well; see rerun. The rest waits for _start_ready. Returns the new row.
create or replace function pgflow._copy_run(
    old workflow_runs, from_step text, new_input jsonb, run_key text, owner bigint, parent uuid, started_by text,
    via text, at timestamptz
)
returns workflow_runs
language plpgsql volatile
as $$
declare
    v_old workflow_runs := _copy_run.old;
    v_new workflow_runs;
    v_kept text[];
begin
    v_kept := pgflow._kept_steps(v_old, _copy_run.from_step);
    if
        v_old.version <> 0
        and exists (select from workflows w where w.workflow_slug = v_old.workflow_slug and not w.is_active)
    then
        raise exception using errcode = 'PF002', message = 'workflow_inactive';
    end if;

    insert into workflow_runs (
        id, workflow_slug, version, version_id, input, remaining_steps, key, owner_id, parent_run_id, rerun_of,
        started_by, via, started_at
    )
    select
        pgflow.uuid7(), v_old.workflow_slug, v_old.version, v_old.version_id,
        coalesce(_copy_run.new_input, v_old.input), v.steps_count - cardinality(v_kept), _copy_run.run_key,
        _copy_run.owner, _copy_run.parent, v_old.id, _copy_run.started_by, _copy_run.via, _copy_run.at
    from workflow_versions v where v.id = v_old.version_id
    returning * into v_new;
    if current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_build_array(jsonb_build_object(
            'kind', 'run_started', 'run_id', v_new.id, 'workflow_slug', v_new.workflow_slug, 'retried', false
        )));
    end if;

    insert into workflow_step_states (
        run_id, step_slug, step_index, status, remaining_deps, remaining_tasks, initial_tasks, output_bytes,
        started_at, ended_at
    )
    select
        v_new.id, s.step_slug, s.step_index, s.status, s.remaining_deps, s.remaining_tasks, s.initial_tasks,
        s.output_bytes, s.started_at, s.ended_at
    from workflow_step_states s
    where s.run_id = v_old.id and s.step_slug = any(v_kept)
    union all
    select
        v_new.id, vs.step_slug, vs.step_index, 'created',
        (select count(*) from unnest(vs.depends_on) as dep where dep <> all(v_kept)), null, null, 0, null, null
    from workflow_version_steps vs
    where vs.version_id = v_old.version_id and vs.step_slug <> all(v_kept);

    insert into workflow_step_tasks (
        run_id, step_slug, task_index, status, attempts_count, worker, item, output, queued_at, started_at, ended_at
    )
    select
        v_new.id, t.step_slug, t.task_index, t.status, t.attempts_count, t.worker, t.item, t.output, t.queued_at,
        t.started_at, t.ended_at
    from workflow_step_tasks t
    where t.run_id = v_old.id and t.step_slug = any(v_kept);
    return v_new;
end
$$;
