-- Starts a new run with the input of another one, or with a given one; returns its id, null where there
-- is no such run. The old run stays as it is.
--
-- Without `from_step` it is a start as any other (see start_flow), of the flow as it is now; of a trial
-- with the version that it was pinned to. With `from_step` it is of the same version, and all that is
-- done and does not come after that step is taken over with its outputs and its times: refused where
-- something is not done that the step waits for. Locks the old run.
--
-- With `run_key`, the run that already has it on this flow is returned instead.
create or replace function pgflow.rerun(
    run uuid,
    from_step text default null,
    new_input jsonb default null,
    checked text default null,
    owner bigint default null,
    parent uuid default null,
    started_by text default '',
    via text default '',
    by text default '',
    run_key text default null
)
returns uuid
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_old workflow_runs := pgflow._lock_run(rerun.run);
    v_new workflow_runs;
    v_now timestamptz := clock_timestamp();
begin
    if v_old.id is null then
        return null;
    end if;
    if rerun.run_key is not null then
        select r.id into v_new.id
        from workflow_runs r where r.workflow_slug = v_old.workflow_slug and r.key = rerun.run_key;
        if found then
            return v_new.id;
        end if;
    end if;
    if rerun.from_step is null then
        v_new.id := (pgflow.start_flow(
            v_old.workflow_slug, jsonb_build_array(coalesce(rerun.new_input, v_old.input)),
            run_key => rerun.run_key, owner => rerun.owner, parent => rerun.parent, checked => rerun.checked,
            trial => case when v_old.version = 0 then v_old.version_id end,
            started_by => rerun.started_by, via => rerun.via, rerun_of => v_old.id
        ))[1];
    else
        v_new := pgflow._copy_run(
            v_old, rerun.from_step, rerun.new_input, rerun.run_key, rerun.owner, rerun.parent, rerun.started_by,
            rerun.via, v_now
        );
    end if;
    perform pgflow._note_action(
        v_new.id, 'rerun', format('a rerun of run %s', v_old.id), rerun.by, '', rerun.from_step, null,
        jsonb_build_object('rerun_of', v_old.id), at => v_now
    );
    if rerun.from_step is not null then
        perform pgflow._start_ready(v_new, v_now);
    end if;
    return v_new.id;
end
$$;
