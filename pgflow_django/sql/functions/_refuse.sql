-- Refuses what a person asks of a run: the transaction is as it was before the call. The code is for
-- programs, the sentence for people.
create or replace function pgflow._refuse(code text, sentence text)
returns void
language plpgsql volatile
as $$
begin
    raise exception using errcode = 'PF011', message = _refuse.sentence, detail = _refuse.code;
end
$$;
