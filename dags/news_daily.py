"""# The daily watch

Polls all feeds, fetches what is new, reads, compares and tags it, and writes it into the search index.

**If a task fails**, the others go on without it and the run is marked failed. Clear the task: it takes up
where the last attempt stopped, and nothing is done twice. `veille status` and `veille runs show` say what
waits, and why.

**A backfill** of a past day does not ask live feeds, which would answer with today.

**To try it** without a scheduler: `airflow dags test news_daily`. It asks the feeds of `VEILLE_CONFIG`, by
default those of the real press.
"""

import os
from datetime import datetime, timedelta

from airflow.sdk import CronDataIntervalTimetable, TriggerRule, chain, dag, task

# What one step could not do must not hold back the articles of the others: each works whatever is due.
GO_ON = TriggerRule.ALL_DONE
SHARDS = 8  # a task costs 0.25 CPU-s, so not one a host; 8 keep 4 slots busy


def pipeline(workers=1):
    """Veille's parts, opened inside a task."""
    from pipeline.logs import configure
    from pipeline.runtime import Runtime
    from pipeline.settings import from_environment

    settings = from_environment()
    configure(settings)
    return Runtime(settings, workers=workers)


def name(run_id):
    """The run's name in the store."""
    return f"news_daily/{run_id}"


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Europe/Paris"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=6),
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(minutes=60),
    },
    tags=["veille"],
    doc_md=__doc__,
)
def news_daily():
    @task
    def discover(run_id, dag_run, data_interval_start=None, data_interval_end=None):
        """Poll the feeds."""
        from pipeline import steps

        interval = (data_interval_start, data_interval_end)
        with pipeline() as runtime:
            steps.begin(runtime, name(run_id), dag_run.run_type.value, interval)

    @task(trigger_rule=GO_ON)
    def fetch(shard, run_id):
        """Fetch the due pages of one shard of hosts."""
        from pipeline import steps

        with pipeline() as runtime:
            steps.fetch(runtime, name(run_id), shard=shard, shards=SHARDS)

    @task(trigger_rule=GO_ON)
    def extract(worker, run_id):
        """Read the pages."""
        from pipeline import steps

        with pipeline() as runtime:
            steps.extract(runtime, name(run_id))

    @task(trigger_rule=GO_ON)
    def deduplicate(run_id):
        """Find out which article each page is, and what it copies."""
        from pipeline import steps

        with pipeline() as runtime:
            steps.deduplicate(runtime, name(run_id))

    @task(task_id="tag", trigger_rule=GO_ON)
    def tag_articles(run_id):
        """Give the articles their topics."""
        from pipeline import steps

        with pipeline() as runtime:
            steps.tag(runtime, name(run_id))

    @task(trigger_rule=GO_ON)
    def index(run_id):
        """Write the search index."""
        from pipeline import steps

        with pipeline() as runtime:
            return steps.index(runtime, name(run_id))

    @task(trigger_rule=GO_ON)
    def report(run_id):
        """What became of every entry."""
        from pipeline import steps

        with pipeline() as runtime:
            return steps.totals(steps.report(runtime, name(run_id)))

    @task
    def complete():
        """Runs only where every step succeeded: else the run counts as failed."""

    found = discover()
    fetched = fetch.expand(shard=list(range(SHARDS)))
    read = extract.expand(worker=list(range(os.cpu_count() or 1)))
    steps = [found, fetched, read, deduplicate(), tag_articles(), index(), report()]
    chain(*steps)
    steps >> complete()


news_daily()
