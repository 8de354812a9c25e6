-- name: lock
select pg_advisory_xact_lock(%(space)s, %(lock)s)

-- name: known_by
select k.kind, k.value, article_id from article_key k
join unnest(%(kinds)s::text[], %(values)s::text[]) as wanted (kind, value)
  on k.kind = wanted.kind and k.value = wanted.value

-- name: create
with ordered as (
    select * from unnest(%(publishers)s::text[], %(first_seen)s::timestamptz[], %(urls)s::text[])
        with ordinality as t (publisher, first_seen, url, place)
    order by place
), made as materialized (
    select nextval(pg_get_serial_sequence('article', 'id')) as id, ordered.* from ordered
), kept as (
    insert into article (id, publisher, first_seen, indexed, url) overriding system value
    select id, publisher, first_seen, false, url from made
)
select id from made order by place

-- name: give_keys
insert into article_key (kind, value, article_id)
select * from unnest(%(kinds)s::text[], %(values)s::text[], %(articles)s::bigint[])
on conflict do nothing

-- name: merge_keys
update article_key set article_id = %(into)s where article_id = %(article)s

-- name: merge_entries
update entry set article_id = %(into)s where article_id = %(article)s

-- name: merge
update article set merged_into = %(into)s, indexed = false, copy_of = null, copied_share = 0,
    entry_id = null, version = version + 1
where id = %(article)s

-- name: merge_earlier
update article set merged_into = %(into)s where merged_into = %(article)s

-- name: link
update entry set article_id = member.article
from unnest(%(entries)s::bigint[], %(articles)s::bigint[]) as member (entry, article)
where id = any(%(entries)s) and id = member.entry

-- name: members
-- The entries of articles with the head of their latest revision, in the order in which they may speak for theirs.
select entry.article_id, entry.id, entry.publisher, r.published, r.language
from entry join revision r on r.entry_id = entry.id and r.number = entry.revision
where entry.article_id = any(%(articles)s)
order by article_id, array_position(array['full', 'teaser', 'summary', 'empty'], r.completeness),
    r.published nulls last, entry.canonical_url

-- name: get
select * from article where id = %(article)s

-- name: set_speakers
-- When it was first seen never moves into another year: that chooses the index that holds its document.
update article set entry_id = speaker.entry, publisher = entry.publisher, url = entry.canonical_url,
    published = speaker.published, indexed = speaker.indexed,
    first_seen = greatest(
        least(first_seen, (select min(discovered_at) from entry where article_id = article.id)),
        date_trunc('year', first_seen at time zone 'Europe/Paris') at time zone 'Europe/Paris')
from unnest(%(articles)s::bigint[], %(entries)s::bigint[], %(published)s::timestamptz[], %(indexed)s::boolean[])
    as speaker (article, entry, published, indexed)
join entry on entry.id = speaker.entry
where article.id = any(%(articles)s) and entry.id = any(%(entries)s) and article.id = speaker.article

-- name: outcomes
-- One entry speaks for each article; the others are the same article under another URL.
with settled as (
    select entry.id, outcome as before, case when entry.id <> article.entry_id then 'duplicate'
        when not article.indexed then 'not_french' when revision > 1 then 'revised' else 'new' end as now
    from article join entry on article_id = article.id
    where article.id = any(%(articles)s) and article_id = any(%(articles)s) and stage = 'done'
      and outcome in ('new', 'revised', 'duplicate', 'not_french')
), changed as (
    update entry set outcome = now from settled
    where entry.id = any(array(select id from settled where before <> now)) and entry.id = settled.id
      and stage = 'done' and outcome = before
)
select id, now as outcome from settled

-- name: texts
-- The articles of these entries, and their texts: the latest revision of the entry that speaks for each.
select e.id, e.article_id, a.indexed, r.*
from entry e join article a on a.id = e.article_id join entry speaker on speaker.id = a.entry_id
join revision r on r.entry_id = speaker.id and r.number = speaker.revision
where e.id = any(%(entries)s)

-- name: clear_fingerprints
with bands as (delete from band where article_id = any(%(articles)s))
delete from fingerprint where article_id = any(%(articles)s)

-- name: add_fingerprints
with compared as (
    insert into fingerprint (article_id, published, title, shingles)
    select id, published, t.title, shingles
    from unnest(%(articles)b::bigint[], %(titles)b::text[], %(shingles)b::bytea[]) as t (article, title, shingles)
    join article on id = t.article
)
insert into band (number, hash, article_id)
select * from unnest(%(numbers)b::smallint[], %(hashes)b::bigint[], %(of)b::bigint[])

-- name: candidates
-- Others that share a band and were published at about the same time, or at no known one.
select near.article_id, near.other
from (
    select distinct self.article_id, other.article_id as other
    from band self join band other using (number, hash)
    where self.article_id = any(%(articles)s) and other.article_id <> self.article_id
) as near join fingerprint self on self.article_id = near.article_id join fingerprint other on other.article_id = near.other
where coalesce(other.published between self.published - %(within)s and self.published + %(within)s, true)

-- name: fingerprints
select article_id, title, shingles from fingerprint where article_id = any(%(articles)s)

-- name: clear_copies
delete from copy where a = any(%(articles)s) or b = any(%(articles)s)
returning a, b

-- name: add_copies
insert into copy (a, b, share_a, share_b, jaccard)
select * from unnest(%(a)s::bigint[], %(b)s::bigint[], %(share_a)s::real[], %(share_b)s::real[], %(jaccard)s::real[])

-- name: followers
select id from article where copy_of = any(%(articles)s)

-- name: lead
-- All that share text with one of these articles and with no smaller one point at it; answers as `point` does.
with edge as (
    select a as self, b as other, share_b as share from copy where a = any(%(articles)s)
    union all
    select b, a, share_a from copy where b = any(%(articles)s)
), led as (
    select distinct on (other.id) other.id, other.copy_of as before, self.id as now, edge.share
    from edge join article self on self.id = edge.self join article other on other.id = edge.other
    left join article present on present.id = other.copy_of
    where other.copy_of is distinct from self.id
      and (coalesce(self.published, 'infinity'), self.publisher, self.url)
        < (coalesce(other.published, 'infinity'), other.publisher, other.url)
      and (present.id is null or (coalesce(self.published, 'infinity'), self.publisher, self.url)
        < (coalesce(present.published, 'infinity'), present.publisher, present.url))
    order by other.id, coalesce(self.published, 'infinity'), self.publisher, self.url
)
update article set copy_of = led.now, copied_share = led.share from led where article.id = led.id
returning article.id, article.copy_of as now, led.before

-- name: point
-- Each of these articles points at the smallest (published, publisher, url) among its direct matches, itself
-- included; answers the articles whose document changed by it.
with wanted as (
    select self.id, best.id as target, coalesce(best.share, 0) as share
    from article self left join lateral (
        select other.id, case when copy.a = self.id then copy.share_a else copy.share_b end as share
        from copy join article other on other.id = case when copy.a = self.id then copy.b else copy.a end
        where (copy.a = self.id or copy.b = self.id)
          and (coalesce(other.published, 'infinity'), other.publisher, other.url)
            < (coalesce(self.published, 'infinity'), self.publisher, self.url)
        order by coalesce(other.published, 'infinity'), other.publisher, other.url
        limit 1) as best on true
    where self.id = any(%(articles)s)
), before as (
    select id, copy_of from article where id = any(%(articles)s)
), changed as (
    update article set copy_of = wanted.target, copied_share = wanted.share
    from wanted
    where article.id = wanted.id and (article.copy_of, article.copied_share) is distinct from (wanted.target, wanted.share::real)
    returning article.id, article.copy_of
)
select changed.id, changed.copy_of as now, before.copy_of as before from changed join before using (id)

-- name: raise_to
-- The documents changed: a new version each, and the index must hear of it.
with wanted as (
    select id, least from article
    join unnest(%(articles)s::bigint[], %(least)s::bigint[]) as given (wanted_id, least) on id = wanted_id
    where id = any(%(articles)s)
    order by id for update of article
), changed as (
    update article set version = greatest(version + 1, least) from wanted
    where article.id = any(%(articles)s) and article.id = wanted.id
    returning article.id, version
)
insert into outbox (article_id, version, queued_at) select id, version, %(now)s from changed order by id
on conflict (article_id) do update set version = excluded.version, due_at = 'epoch', reason = '', put_off = 0

-- name: tags
select topic, version, score, confidence, hits from tag where article_id = %(article)s order by score desc, topic

-- name: clear_tags
delete from tag where article_id = %(article)s

-- name: set_tags
-- These articles carry these topics and no others; answers what they carried before.
with found as (
    select * from jsonb_to_recordset(%(found)s::jsonb) as found (article_id bigint, topic text, version int, score real,
        confidence real, hits jsonb)
), before as (
    select article_id, topic, score from tag where article_id = any(%(articles)s)
), gone as (
    delete from tag where article_id = any(%(articles)s)
      and not exists (select from found where found.article_id = tag.article_id and found.topic = tag.topic)
), now as (
    insert into tag (article_id, topic, version, score, confidence, hits)
    select article_id, topic, version, score, confidence, hits from found
    on conflict (article_id, topic) do update set version = excluded.version, score = excluded.score,
        confidence = excluded.confidence, hits = excluded.hits
)
select article_id, topic, score from before

-- name: documents
select a.id, a.version, a.indexed, e.canonical_url as url, r.title, r.lead, r.text, a.publisher, r.language, a.first_seen,
    a.published, r.modified, r.date_suspect, r.section, r.authors, r.image, r.paywalled, r.completeness,
    r.date_source, r.completeness_reason, r.engine,
    a.copy_of, a.copied_share, e.revision,
    (select count(*) from article c where c.copy_of = a.id) as copies,
    coalesce((select array_agg(topic order by score desc, topic) from tag where article_id = a.id), '{}') as topics,
    coalesce((select array_agg(score order by score desc, topic) from tag where article_id = a.id), '{}') as topic_scores
from article a
left join entry e on e.id = a.entry_id
left join revision r on r.entry_id = e.id and r.number = e.revision
where a.id = any(%(articles)s)
order by a.id

-- name: next_ids
select id from article where indexed and id > %(after)s order by id limit %(limit)s

-- name: count
select count(*) as n from article where indexed

-- name: versions
select id, version from article where indexed

-- name: find
select id, merged_into from article where id = %(id)s

-- name: entries_of
select id, url, canonical_url, publisher, discovered_at, stage, outcome, page_fate, reason, due_at, revision, run_id
from entry where article_id = %(article)s order by discovered_at, id

-- name: entry_by_url
select id, article_id from entry where canonical_url = %(url)s

-- name: revisions_of
select number, read_at, title, digest, completeness, engine, length(text) as characters
from revision where entry_id = %(entry)s order by number

-- name: pages_of
select page.id, fetched_at, url, status, fate, reason, outcome, archive_file, archive_offset
from page where entry_id = %(entry)s order by fetched_at, id

-- name: sightings_of
select feed.url as feed, entry.canonical_url as url, title, guid, first_at, last_at
from sighting join feed on feed.id = sighting.feed_id join entry on entry.id = sighting.entry_id
where entry_id = any(%(entries)s) order by first_at, feed.url

-- name: copies_of
select other.id, other.publisher, other.url, other.published, other.copy_of,
    case when copy.a = %(article)s then share_a else share_b end as share_here,
    case when copy.a = %(article)s then share_b else share_a end as share_there,
    (select title from revision r join entry e on e.id = r.entry_id and e.revision = r.number where e.id = other.entry_id) as title
from copy join article other on other.id = case when copy.a = %(article)s then copy.b else copy.a end
where copy.a = %(article)s or copy.b = %(article)s
order by other.published nulls last, other.publisher, other.url

-- name: groups
-- Originals with their copies, the largest groups first.
select a.id, a.publisher, a.url, a.published, r.title, c.id as copy_id, c.publisher as copy_publisher,
    c.copied_share as share, cr.title as copy_title
from article a join article c on c.copy_of = a.id
join entry e on e.id = a.entry_id join revision r on r.entry_id = e.id and r.number = e.revision
join entry ce on ce.id = c.entry_id join revision cr on cr.entry_id = ce.id and cr.number = ce.revision
where a.id in (select copy_of from article where copy_of is not null group by copy_of order by count(*) desc, copy_of limit %(limit)s)
order by a.id, c.published, c.id

-- name: publishers
select distinct publisher from article where indexed order by publisher

-- name: topic_counts
select topic, count(*) as n from tag join article on article.id = tag.article_id and indexed
group by topic order by n desc, topic
