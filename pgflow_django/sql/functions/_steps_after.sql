-- The steps of a version that come after one, over however many others.
create or replace function pgflow._steps_after(version_id bigint, slug text)
returns text[]
language plpgsql stable
as $$
begin
    return array(
        with recursive after (slug) as (
            select unnest(vs.dependents) from workflow_version_steps vs
            where vs.version_id = _steps_after.version_id and vs.step_slug = _steps_after.slug
            union
            select unnest(vs.dependents) from after a
            join workflow_version_steps vs on vs.version_id = _steps_after.version_id and vs.step_slug = a.slug
        )
        select a.slug from after a
    );
end
$$;
