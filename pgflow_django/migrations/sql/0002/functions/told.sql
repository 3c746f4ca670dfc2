-- What was noted down since tell(), as a JSON array of events, null for none; ends the noting.
create or replace function pgflow.told()
returns text
language plpgsql volatile
as $$
declare
    v_told text := current_setting('pgflow.told', true);
begin
    perform set_config('pgflow.told', '', true);
    return case when length(v_told) > 1 then rtrim(v_told, ',') || ']' end;
end
$$;
