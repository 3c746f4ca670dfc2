-- Notes one event down, where somebody listens: see tell().
create or replace function pgflow._tell(kind text, run uuid, workflow_slug text, facts jsonb)
returns void
language plpgsql volatile
as $$
begin
    perform set_config(
        'pgflow.told',
        current_setting('pgflow.told')
        || (jsonb_build_object('kind', _tell.kind, 'run_id', _tell.run, 'workflow_slug', _tell.workflow_slug)
            || _tell.facts)::text
        || ',',
        true
    );
end
$$;
