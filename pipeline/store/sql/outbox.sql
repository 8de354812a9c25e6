-- name: claim
with free as (
    select article_id from outbox
    where due_at <= %(now)s and (lease_until is null or lease_until < clock_timestamp())
    order by queued_at, article_id
    limit %(limit)s
    for update skip locked)
update outbox set lease_token = %(token)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
from free where outbox.article_id = free.article_id
returning outbox.article_id

-- name: pending
-- How much is free, how much is held, and when the first lease ends.
select count(*) filter (where free) as free, count(*) filter (where not free) as held,
    extract(epoch from min(lease_until) filter (where not free) - clock_timestamp())::float8 as seconds
from (
    select lease_until, lease_until is null or lease_until < clock_timestamp() as free from outbox
    where due_at <= %(now)s) as due

-- name: acknowledge
-- Only what was written: a document saved again meanwhile stays dirty.
delete from outbox where article_id in (
    select article_id from outbox
    join unnest(%(ids)s::bigint[], %(versions)s::bigint[]) as written (id, v) on article_id = id and version = v
    order by article_id for update of outbox)

-- name: size
select count(*) filter (where due_at < 'infinity') as waiting, min(queued_at) filter (where due_at < 'infinity') as oldest,
    count(*) filter (where due_at = 'infinity') as refused
from outbox

-- name: waiting
select article_id from outbox where due_at < 'infinity'

-- name: quarantine
-- The engine will never take these as they are; a new version of the document tries again.
update outbox set due_at = 'infinity', reason = said
from (
    select article_id as id, said from outbox
    join unnest(%(ids)s::bigint[], %(versions)s::bigint[], %(reasons)s::text[]) as refused (id, v, said)
        on article_id = id and version = v
    order by article_id for update of outbox) as still
where article_id = still.id

-- name: refused
select article_id, reason from outbox where due_at = 'infinity'

-- name: offer_again
update outbox set due_at = 'epoch' where article_id in (
    select article_id from outbox where due_at = 'infinity' order by article_id for update)
