-- Writes the version that a trial is pinned to, and gives its id. `steps` is a JSON array of rows of
-- workflow_version_steps, in the order of step_index, without their version. A version of the number 0
-- is no flow's, so that no other start finds it, and one that has no runs any more goes with them.
create or replace function pgflow.pin_trial(slug text, steps jsonb)
returns bigint
language plpgsql volatile
set search_path from current
as $$
declare
    v_version workflow_versions;
    v_queue text;
begin
    with step as (
        select * from jsonb_populate_recordset(null::workflow_version_steps, pin_trial.steps)
    )
    insert into workflow_versions (workflow_slug, version, queues, steps_count, has_root_map)
    select
        pin_trial.slug, 0, array(select distinct s.queue from step s), (select count(*) from step),
        exists (select from step s where s.step_type = 'map' and s.depends_on = '{}')
    returning * into v_version;
    insert into workflow_version_steps
    select (jsonb_populate_record(
        null::workflow_version_steps, s.step || jsonb_build_object('version_id', v_version.id)
    )).*
    from jsonb_array_elements(pin_trial.steps) as s (step);

    foreach v_queue in array v_version.queues loop
        perform pgflow.ensure_queue(v_queue);
    end loop;
    return v_version.id;
end
$$;
