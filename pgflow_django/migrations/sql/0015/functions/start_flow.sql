-- Starts a run for each element of `inputs` (a JSON array) and returns their ids in that order.
-- With `run_key`, the run that already has it on this flow is returned instead. Root steps are
-- queued, or completed when they are maps over [], before this returns.
--
-- `checked` is the SHA-256 of the schema that the caller has checked the inputs against. Where the flow
-- has another one, nothing is started (PF010, with the schema); null asks for no check.
--
-- `started_by` is the name of the user who starts them, and `via` the door by which; empty for code.
-- `rerun_of` is the run whose input they take over. `trial` is a version that pin_trial has written: runs
-- are of that one, whatever is stored of the flow.
create or replace function pgflow.start_flow(
    slug text,
    inputs jsonb,
    run_key text default null,
    owner bigint default null,
    has_caller_functions boolean default false,
    parent uuid default null,
    fingerprint text default null,
    checked text default null,
    trial bigint default null,
    started_by text default '',
    via text default '',
    rerun_of uuid default null
)
returns uuid[]
language plpgsql volatile
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    v_flow workflows;
    v_version workflow_versions;
    v_ids uuid[];
    v_bad record;
    v_schema text;
    v_ready pgflow.ready_step[];
    v_empty pgflow.step_ref[];
    v_now timestamptz := clock_timestamp();
begin
    if start_flow.trial is null then
        select * into v_flow from workflows w where w.workflow_slug = start_flow.slug;
        if not found then
            raise exception using errcode = 'PF001', message = 'workflow_not_found';
        end if;
        if start_flow.run_key is not null then
            select array[r.id] into v_ids
            from workflow_runs r where r.workflow_slug = start_flow.slug and r.key = start_flow.run_key;
            if found then
                return v_ids;
            end if;
        end if;
        if not v_flow.is_active then
            raise exception using errcode = 'PF002', message = 'workflow_inactive';
        end if;
        if start_flow.fingerprint <> v_flow.fingerprint then
            raise exception using errcode = 'PF003', message = 'workflow_outdated';
        end if;
        if start_flow.checked is not null and v_flow.input_schema is not null then
            v_schema := v_flow.input_schema::text;
            if start_flow.checked <> encode(sha256(convert_to(v_schema, 'UTF8')), 'hex') then
                raise exception using errcode = 'PF010', message = 'input_not_checked', detail = v_schema;
            end if;
        end if;
        select * into v_version
        from workflow_versions v where v.workflow_slug = start_flow.slug and v.version = v_flow.version
        limit 1;
        if not found then
            v_version := pgflow.pin_version(start_flow.slug);
        end if;
    else
        select * into v_version from workflow_versions v where v.id = start_flow.trial and v.version = 0;
    end if;
    if v_version.id is null then
        raise exception using errcode = 'PF004', message = 'workflow_has_no_steps';
    end if;

    if v_version.has_root_map then
        select vs.step_slug, jsonb_typeof(i.input) as found into v_bad
        from workflow_version_steps vs, jsonb_array_elements(start_flow.inputs) as i (input)
        where
            vs.version_id = v_version.id and vs.depends_on = '{}' and vs.step_type = 'map'
            and vs.initial_tasks is null and jsonb_typeof(i.input) <> 'array'
        limit 1;
        if found then
            raise exception using errcode = 'PF005', message = 'type_violation',
                detail = jsonb_build_object('step_slug', v_bad.step_slug, 'found', v_bad.found)::text;
        end if;
    end if;

    v_ids := array(
        select pgflow.uuid7() from generate_series(1, jsonb_array_length(start_flow.inputs))
    );
    insert into workflow_runs (
        id, workflow_slug, version, version_id, input, remaining_steps, key, owner_id,
        has_caller_functions, parent_run_id, rerun_of, started_by, via, started_at
    )
    select
        i.id, start_flow.slug, v_version.version, v_version.id, i.value,
        v_version.steps_count,
        start_flow.run_key, start_flow.owner, start_flow.has_caller_functions, start_flow.parent,
        start_flow.rerun_of, start_flow.started_by, start_flow.via, v_now
    from rows from (unnest(v_ids), jsonb_array_elements(start_flow.inputs)) as i (id, value)
    on conflict (workflow_slug, key) where key is not null do nothing;
    if not found then  -- somebody else has just started the run of this key
        return array(
            select r.id from workflow_runs r
            where r.workflow_slug = start_flow.slug and r.key = start_flow.run_key
        );
    end if;
    if current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_agg(jsonb_build_object(
            'kind', 'run_started', 'run_id', id, 'workflow_slug', start_flow.slug, 'retried', false
        )))
        from unnest(v_ids) as id;
    end if;

    with sized as materialized (
        select
            run_id, vs.step_slug, vs.step_index, vs.step_type, cardinality(vs.depends_on) as deps,
            vs.function, vs.start_delay,
            case when start_flow.owner is null then vs.queue else 'in_process' end as queue,
            case
                when vs.depends_on <> '{}' then null
                when vs.step_type = 'single' then 1
                else pgflow._map_size(run_id, v_version.id, null, vs.initial_tasks)
            end as tasks
        from unnest(v_ids) as run_id
        join workflow_version_steps vs on vs.version_id = v_version.id
    ),
    state as (
        insert into workflow_step_states (
            run_id, step_slug, step_index, status, remaining_deps, remaining_tasks, initial_tasks,
            started_at, ended_at
        )
        select
            s.run_id, s.step_slug, s.step_index,
            case when s.tasks > 0 then 'started' when s.tasks = 0 then 'completed' else 'created' end,
            s.deps, s.tasks, s.tasks,
            case when s.tasks is not null then v_now end, case when s.tasks = 0 then v_now end
        from sized s
    )
    select
        array_agg(row(s.run_id, v_version.id, start_flow.slug, s.step_slug, s.step_type, s.tasks,
            s.function, s.queue, s.start_delay)::pgflow.ready_step) filter (where s.tasks > 0),
        array_agg(row(s.run_id, s.step_slug)::pgflow.step_ref) filter (where s.tasks = 0)
    into v_ready, v_empty
    from sized s where s.tasks is not null;

    if v_ready is not null then
        perform pgflow._create_tasks(v_ready, 0, null, null);
    end if;
    if v_empty is not null then
        perform pgflow._advance(v_empty, 0, null, null);
    end if;
    if v_version.has_root_map then
        perform pgflow._note_map_sizes(array(
            select row(run_id, vs.step_slug)::pgflow.step_ref
            from unnest(v_ids) as run_id, workflow_version_steps vs
            where vs.version_id = v_version.id and vs.depends_on = '{}'
        ));
    end if;
    return v_ids;
end
$$;
