-- name: claim
-- What was sent in vain comes after all that was not.
with free as (
    select article_id from outbox
    where due_at <= %(now)s and (lease_until is null or lease_until < clock_timestamp())
    order by due_at, queued_at, article_id
    limit %(limit)s
    for update skip locked)
update outbox set lease_token = %(token)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
from free where outbox.article_id = free.article_id
returning outbox.article_id

-- name: pending
-- How much is free, how much is held or not due yet, and when the first of it is free.
select count(*) filter (where seconds <= 0) as free, count(*) filter (where seconds > 0) as held,
    min(seconds) filter (where seconds > 0) as seconds
from (
    select greatest(extract(epoch from lease_until - clock_timestamp()), extract(epoch from due_at - %(now)s))::float8 as seconds
    from outbox where due_at <= %(now)s + make_interval(secs => %(within)s)) as due

-- name: acknowledge
-- Only what was written: a document saved again meanwhile stays dirty. Here and below the ids stand there as a list as
-- well, which is looked up in the index of a table that is known to be large; a join alone is read from the whole of it
-- by a plan that was made while it was small, until that is dropped.
delete from outbox where article_id = any(array(
    select article_id from outbox
    join unnest(%(ids)s::bigint[], %(versions)s::bigint[]) as written (id, v) on article_id = id and version = v
    where article_id = any(%(ids)s) and lease_token = %(token)s
    order by article_id for update of outbox))

-- name: put_off
-- Each waits twice as long as before, from one second to an hour.
update outbox set due_at = %(now)s + make_interval(secs => least(power(2, least(put_off, 12)), 3600)),
    put_off = put_off + 1, reason = said
from (
    select article_id as id, said from outbox
    join unnest(%(ids)s::bigint[], %(versions)s::bigint[], %(reasons)s::text[]) as later (id, v, said)
        on article_id = id and version = v
    where article_id = any(%(ids)s) and lease_token = %(token)s
    order by article_id for update of outbox) as still
where article_id = any(%(ids)s) and article_id = still.id

-- name: pass_over
update outbox set due_at = %(now)s where article_id = any(array(
    select article_id from outbox
    join unnest(%(ids)s::bigint[], %(versions)s::bigint[]) as untold (id, v) on article_id = id and version = v
    where article_id = any(%(ids)s) and lease_token = %(token)s
    order by article_id for update of outbox))

-- name: size
select count(*) filter (where due_at < 'infinity') as waiting, min(queued_at) filter (where due_at < 'infinity') as oldest,
    count(*) filter (where due_at = 'infinity') as refused
from outbox

-- name: waiting
select article_id, reason from outbox where due_at < 'infinity'

-- name: quarantine
-- The engine will never take these as they are; a new version of the document tries again.
update outbox set due_at = 'infinity', reason = said
from (
    select article_id as id, said from outbox
    join unnest(%(ids)s::bigint[], %(versions)s::bigint[], %(reasons)s::text[]) as refused (id, v, said)
        on article_id = id and version = v
    where article_id = any(%(ids)s) and lease_token = %(token)s
    order by article_id for update of outbox) as still
where article_id = any(%(ids)s) and article_id = still.id

-- name: refused
select article_id, reason from outbox where due_at = 'infinity'

-- name: offer_again
update outbox set due_at = 'epoch', put_off = 0 where article_id in (
    select article_id from outbox where put_off > 0 or due_at = 'infinity' order by article_id for update)
