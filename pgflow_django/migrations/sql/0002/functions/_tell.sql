-- Notes events down, where somebody listens: see tell(). They come as a JSON array of objects.
create or replace function pgflow._tell(events jsonb)
returns void
language plpgsql volatile
as $$
declare
    v_text text := _tell.events::text;
begin
    perform set_config(
        'pgflow.told', current_setting('pgflow.told') || substr(v_text, 2, length(v_text) - 2) || ',', true
    );
end
$$;
