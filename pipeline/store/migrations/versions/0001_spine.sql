-- The spine: what was seen, what was read, what is known of it, and what the index must still hear of.

create sequence lease_token;

-- A run of the pipeline. Its report is computed from the rows that name it, never stored.
create table run (
    id             text primary key,
    number         bigint not null unique generated always as identity, -- what people type
    kind           text not null,        -- scheduled, manual, backfill, command, import
    started_at     timestamptz not null,
    finished_at    timestamptz,
    interval_start timestamptz,
    interval_end   timestamptz,
    polls          boolean not null,     -- whether it asks live feeds
    reason         text not null         -- why it does or does not
);

create index run_started on run (started_at);

-- How long a run's steps took, all tasks and repetitions added up.
create table timing (
    run_id  text not null references run,
    step    text not null,
    seconds double precision not null,
    primary key (run_id, step)
);

-- The unit of politeness: one request at a time, next_at at the earliest. Both clocks are the server's own.
create table host (
    name             text primary key,   -- host, or host:port
    next_at          timestamptz not null default 'epoch',
    crawl_delay      real,
    lease_token      bigint,
    lease_until      timestamptz,
    robots_status    int,                -- null: never answered
    robots_body      bytea,              -- without a status: why there is none
    robots_at        timestamptz,
    robots_failing_since timestamptz     -- null while robots.txt can be read
);

create index host_lease on host (lease_token) where lease_token is not null;

create table feed (
    id         bigint generated always as identity primary key,
    url        text not null unique,
    publisher  text not null,
    section    text not null default '',
    host       text not null,
    etag       text not null default '',
    last_modified text not null default '',
    digest     text not null default '', -- of the newest body, channel dates left out
    not_before timestamptz not null default 'epoch',
    failures   int not null default 0,   -- in a row
    error      text not null default '', -- of the last poll
    polled_at  timestamptz,
    changed_at timestamptz
);
create index feed_host on feed (host);

-- One polling of a feed by a run. Only a changed feed has a place in the archive and entries.
create table poll (
    id             bigint generated always as identity primary key,
    feed_id        bigint not null references feed,
    run_id         text not null references run,
    at             timestamptz not null,
    result         text not null check (result in ('changed', 'unchanged', 'waiting', 'failed', 'no_feed')),
    status         int,
    error          text not null default '',
    format         text not null default '',
    broken         text not null default '',
    without_link   int not null default 0,
    truncated      int not null default 0,
    items          int not null default 0, -- links, repetitions included
    archive_file   text,
    archive_offset bigint,
    archive_length int,
    entry_ids      bigint[] not null default '{}'
);
create index poll_run on poll (run_id);
create index poll_feed on poll (feed_id, at);

create table article (
    id          bigint generated always as identity primary key,  -- given once, never recomputed
    publisher   text not null,
    first_seen  timestamptz not null,
    entry_id    bigint,                  -- whose latest revision is the article's text
    version     bigint not null default 1,
    indexed     boolean not null,        -- false: a tombstone for the index (merged, or in another language)
    merged_into bigint references article,
    published   timestamptz,             -- these three order the members of a group of copies
    url         text not null,
    copy_of     bigint references article,
    copied_share real not null default 0
);
create index article_copy_of on article (copy_of) where copy_of is not null;
create index article_merged_into on article (merged_into) where merged_into is not null;

-- An entry: a URL that a source says is an article. It moves from stage to stage in place.
create table entry (
    id            bigint generated always as identity primary key,
    canonical_url text not null unique,
    url           text not null,         -- as first published
    host          text not null,
    publisher     text not null,
    run_id        text not null references run,  -- that first discovered it
    discovered_at timestamptz not null,
    stage         text not null check (stage in ('fetch', 'extract', 'deduplicate', 'tag', 'done')),
    due_at        timestamptz,           -- null: nothing more is planned
    priority      smallint not null default 1,   -- 1 new, 2 read again, 3 history
    attempts      int not null default 0,
    reason        text not null default '',      -- why it waits, or why it failed; of its page: page.reason
    lease_token   bigint,
    lease_until   timestamptz,
    outcome       text,                  -- null until the first passage is done
    page_fate     text not null default 'not_fetched',
    page_id       bigint,                -- the reading under work, or the last one
    article_id    bigint references article,
    revision      int not null default 0,-- the number of its latest revision
    unchanged     int not null default 0,-- readings in a row that brought nothing
    announced     int not null default 0 -- times that a feed changed what it says of it
);
create index entry_due on entry (stage, priority, due_at, id) where due_at is not null;
create index entry_outcome on entry (outcome);
create index entry_waiting on entry (discovered_at) where outcome is null;
create index entry_under_way on entry (stage, discovered_at) where stage <> 'done';
create index entry_host_due on entry (host, priority, due_at) where due_at is not null and stage in ('fetch', 'done');
create index entry_run on entry (run_id);
create index entry_article on entry (article_id);
create index entry_lease on entry (lease_token) where lease_token is not null;
alter table article add constraint article_entry foreign key (entry_id) references entry;

-- What a feed says of an entry, as it said it last.
create table sighting (
    entry_id  bigint not null references entry,
    feed_id   bigint not null references feed,
    guid      text not null,
    title     text not null,
    summary   text not null,
    authors   text[] not null default '{}',
    language  text not null default '',
    published timestamptz,
    updated   timestamptz,
    first_at  timestamptz not null,
    last_at   timestamptz not null,
    primary key (entry_id, feed_id)
);

-- One reading of an entry's page.
create table page (
    id             bigint generated always as identity primary key,
    entry_id       bigint not null references entry,
    run_id         text not null references run,
    fetched_at     timestamptz not null,
    url            text not null,        -- final, after redirects
    status         int,
    fate           text not null,
    reason         text not null default '',  -- why it was not read, or not in full
    content_type   text not null default '',
    etag           text not null default '',
    last_modified  text not null default '',
    archive_file   text,
    archive_offset bigint,
    archive_length int,
    outcome        text,                 -- what this reading did
    announced      int not null default 0 -- of the changes that feeds announced, those before it was asked for
);
create index page_entry on page (entry_id, fetched_at);
create index page_run on page (run_id);

-- The texts of an entry, one a change.
create table revision (
    entry_id   bigint not null references entry,
    number     int not null,
    page_id    bigint references page,
    read_at    timestamptz not null,
    digest     text not null,            -- of title and text
    url        text not null,
    title      text not null,
    lead       text not null,
    text       text not null,
    authors    text[] not null,
    section    text not null,
    published  timestamptz,
    modified   timestamptz,
    date_source text not null,
    date_suspect boolean not null,
    language   text not null,
    language_confidence real not null,
    image      text not null,
    paywalled  boolean,
    completeness text not null,
    completeness_reason text not null,
    engine     text not null,
    primary key (entry_id, number)
);

-- The names by which an article is known. Finding an article is inserting its keys.
create table article_key (
    kind       text not null,
    value      text not null,
    article_id bigint not null references article,
    primary key (kind, value)
);
create index article_key_article on article_key (article_id);

-- What an article is compared by, as it was when it was compared last.
create table fingerprint (
    article_id bigint primary key references article,
    published  timestamptz,
    title      text not null,
    shingles   bytea not null            -- 8 bytes each
);
alter table fingerprint alter column shingles set storage external;  -- hashes do not compress

create table band (
    number     smallint not null,
    hash       bigint not null,
    article_id bigint not null references article,
    primary key (number, hash, article_id)
);
create index band_article on band (article_id);

-- Two articles that share text; share_a is the share of a's shingles that stand in b.
-- Refers to articles without constraints, which cost twice the edge; no article is ever deleted.
create table copy (
    a       bigint not null,
    b       bigint not null,
    share_a real not null,
    share_b real not null,
    jaccard real not null,
    primary key (a, b),
    check (a < b)
);
create index copy_b on copy (b);

create table tag (
    article_id bigint not null references article,
    topic      text not null,
    version    int not null,             -- of the rule
    score      real not null,
    confidence real not null,
    hits       jsonb not null,
    primary key (article_id, topic)
);
create index tag_topic on tag (topic);

-- The dirty set: documents that the index has not yet acknowledged at their current version.
create table outbox (
    article_id  bigint primary key references article,
    version     bigint not null,
    queued_at   timestamptz not null,
    due_at      timestamptz not null default 'epoch',  -- infinity: refused by the engine, for this reason
    reason      text not null default '',
    put_off     int not null default 0,                -- so many times in a row; it waits longer each time
    lease_token bigint,
    lease_until timestamptz
);
create index outbox_due on outbox (due_at);
create index outbox_lease on outbox (lease_token) where lease_token is not null;
