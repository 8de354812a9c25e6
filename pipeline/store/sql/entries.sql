-- name: claim
with free as (
    select id from entry
    where stage = %(stage)s and due_at <= %(now)s and (lease_until is null or lease_until < clock_timestamp())
    order by priority, due_at, id
    limit %(limit)s
    for update skip locked)
update entry set lease_token = %(token)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
from free where entry.id = free.id
returning entry.*

-- name: claim_of_host
with free as (
    select id from entry
    where host = %(host)s and stage in ('fetch', 'done') and due_at <= %(now)s
      and (lease_until is null or lease_until < clock_timestamp())
    order by priority, due_at, id
    limit %(limit)s
    for update skip locked)
update entry set lease_token = %(token)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
from free where entry.id = free.id
returning entry.*

-- name: held
-- No key changes: whoever notes that a feed lists these entries need not wait, nor be waited for.
select id from entry where id = any(%(ids)s) and lease_token = %(token)s order by id for no key update

-- name: pending
-- What is due in these stages: how much is free, how much is held, and when the first lease ends.
select count(*) filter (where free) as free, count(*) filter (where not free) as held,
    extract(epoch from min(lease_until) filter (where not free) - clock_timestamp())::float8 as seconds
from (
    select lease_until, lease_until is null or lease_until < clock_timestamp() as free from entry
    where stage = any(%(stages)s) and due_at <= %(now)s) as due

-- name: any_due
select exists (
    select from entry where stage = any(%(stages)s) and due_at <= %(now)s
      and mod(hashtext(host)::bigint + 2147483648, %(shards)s) = %(shard)s) as found

-- name: postpone
-- The host asked to be left alone: what nobody holds waits until then.
update entry set due_at = %(until)s, reason = %(reason)s
where id in (select id from entry where host = %(host)s and stage in ('fetch', 'done') and due_at < %(until)s
             and lease_token is null order by id for update skip locked)

-- name: move
-- Here and below the ids stand there twice. As a list they are looked up in the index of a table that is known to be
-- large; a join alone is read from the whole of it by a plan that was made while it was small, until that is dropped.
with said as (
    select * from jsonb_to_recordset(%(moves)s::jsonb) as said (entry_id bigint, stage text, due_at timestamptz,
        reason text, attempts int, fate text, outcome text)
)
update entry set stage = said.stage, due_at = said.due_at, reason = said.reason, attempts = said.attempts,
    page_fate = coalesce(said.fate, page_fate), outcome = coalesce(said.outcome, entry.outcome),
    lease_token = null, lease_until = null
from said where id = any(array(select entry_id from said)) and id = said.entry_id

-- name: end
-- Readings are over: when the next one is due, and how many in a row brought nothing. The next is due at once
-- if a feed announced a change after the page was asked for.
with said as (
    select * from jsonb_to_recordset(%(ends)s::jsonb) as said (entry_id bigint, due_at timestamptz, unchanged int,
        reason text, fate text, page_id bigint, outcome text)
)
update entry set stage = 'done', priority = 2, reason = said.reason, attempts = 0, unchanged = said.unchanged,
    due_at = coalesce((select max(fetched_at) from page where entry_id = entry.id
                       having max(page.announced) < entry.announced), said.due_at),
    page_fate = coalesce(said.fate, page_fate), page_id = coalesce(said.page_id, entry.page_id),
    outcome = coalesce(said.outcome, entry.outcome), lease_token = null, lease_until = null
from said where id = any(array(select entry_id from said)) and id = said.entry_id

-- name: add_page
-- Of an entry that the token still holds: no row, and nothing is written, where it does not. What is to be read
-- goes on to that in the same breath, as nearly all pages do, and like `move` leaves it.
with held as (
    select id from entry where id = %(entry)s and lease_token = %(token)s for no key update
), added as (
    insert into page (entry_id, run_id, fetched_at, url, status, fate, reason, content_type, etag, last_modified,
        archive_file, archive_offset, archive_length, announced)
    select id, %(run)s, %(at)s, %(url)s, %(status)s::int, %(fate)s, %(reason)s, %(content_type)s, %(etag)s,
        %(last_modified)s, %(archive_file)s, %(archive_offset)s::bigint, %(archive_length)s::int, %(announced)s
    from held
    returning id
), moved as (
    update entry set stage = 'extract', due_at = %(at)s, reason = '', attempts = 0, page_id = added.id,
        page_fate = coalesce(%(entry_fate)s, page_fate), lease_token = null, lease_until = null
    from added where entry.id = %(entry)s and %(to_read)s
)
select id from added

-- name: pages
select * from page where id = any(%(ids)s)

-- name: note_pages
with said as (
    select * from jsonb_to_recordset(%(notes)s::jsonb) as said (page_id bigint, fate text, reason text, outcome text)
)
update page set fate = coalesce(said.fate, page.fate), reason = coalesce(said.reason, page.reason),
    outcome = coalesce(said.outcome, page.outcome)
from said where id = any(array(select page_id from said)) and id = said.page_id

-- name: validators
-- Of the newest page that was read and is behind the text that is known, or brought no better one: only if that
-- is "not modified" is there nothing to be read.
select page.etag, page.last_modified
from entry join revision on revision.entry_id = entry.id and revision.number = entry.revision
join page on page.entry_id = entry.id
where entry.id = %(entry)s and revision.completeness in ('full', 'teaser')
  and page.status = 200 and page.fate in ('full', 'teaser')
  and (page.id = revision.page_id or page.id > revision.page_id and page.outcome = 'unchanged')
order by page.id desc limit 1

-- name: claims
-- The richest thing said, chosen in an order that does not depend on who came first.
select distinct on (entry_id) entry_id, title, summary, authors, s.language, published, updated
from sighting s join feed f on f.id = s.feed_id
where entry_id = any(%(ids)s)
order by entry_id, updated desc nulls last, length(summary) desc, f.url

-- name: said
select entry_id, feed_id, guid, title from sighting where entry_id = any(%(ids)s)

-- name: told
select distinct entry_id, url, title, published,
    case when completeness = 'full' and length(text) >= %(at_least)s then digest end as digest
from revision where entry_id = any(%(ids)s)

-- name: latest
select distinct on (entry_id) * from revision where entry_id = any(%(ids)s) order by entry_id, number desc

-- name: save_revisions
with saved as (
    select said.entry_id, said.number, said.page_id, said.read_at, said.digest, article.*
    from jsonb_to_recordset(%(revisions)s::jsonb) as said (entry_id bigint, number int, page_id bigint,
        read_at timestamptz, digest text, article jsonb),
    jsonb_to_record(said.article) as article (url text, title text, lead text, text text, authors jsonb, section text,
        published timestamptz, modified timestamptz, date_source text, date_suspect boolean, language text,
        language_confidence real, image text, paywalled boolean, completeness text, completeness_reason text, engine text)
), revised as (
    update entry set revision = saved.number from saved
    where id = any(array(select entry_id from saved)) and id = saved.entry_id
)
insert into revision (entry_id, number, page_id, read_at, digest, url, title, lead, text, authors, section,
    published, modified, date_source, date_suspect, language, language_confidence, image, paywalled,
    completeness, completeness_reason, engine)
select entry_id, number, page_id, read_at, digest, url, title, lead, text,
    array(select jsonb_array_elements_text(authors)), section, published, modified, date_source, date_suspect, language,
    language_confidence, image, paywalled, completeness, completeness_reason, engine
from saved
on conflict (entry_id, number) do update set page_id = excluded.page_id, read_at = excluded.read_at,
    digest = excluded.digest, url = excluded.url, title = excluded.title, lead = excluded.lead,
    text = excluded.text, authors = excluded.authors, section = excluded.section,
    published = excluded.published, modified = excluded.modified, date_source = excluded.date_source,
    date_suspect = excluded.date_suspect, language = excluded.language,
    language_confidence = excluded.language_confidence, image = excluded.image,
    paywalled = excluded.paywalled, completeness = excluded.completeness,
    completeness_reason = excluded.completeness_reason, engine = excluded.engine

-- name: add_document
insert into entry (canonical_url, url, host, publisher, run_id, discovered_at, stage, due_at, priority)
values (%(canonical_url)s, %(url)s, %(host)s, %(publisher)s, %(run)s, %(at)s, 'deduplicate', %(at)s, 1)
on conflict (canonical_url) do nothing
returning id

-- name: find
select id, revision, article_id from entry where canonical_url = %(canonical_url)s for update

-- name: requeue
-- Whoever works on the entry loses it: a text was given, so there is nothing to fetch.
update entry set stage = 'deduplicate', due_at = %(at)s, lease_token = null, lease_until = null where id = %(id)s

-- name: retry
-- An entry whose text is known goes on from there. It waits again, and its run's report says so. One that has an
-- outcome and attempts, and is not due, gave up on a later text.
update entry set stage = case when revision > 0 then 'deduplicate' else 'fetch' end, outcome = null, due_at = %(now)s,
    attempts = 0, priority = 1, reason = 'asked for again'
where id in (select id from entry where (outcome = 'failed' or stage = 'done' and attempts > 0 and due_at is null)
               and (run_id = %(run)s or canonical_url = any(%(urls)s))
             order by id for update)
