"""The moments at which tests kill Veille, by name, and the transactions that need none.

Does not kill anything: `test_crash` does. `name#3` is the third time that the moment comes.
"""


def around(*commits: str) -> list[str]:
    """The moments before and after these transactions' commits."""
    return [f"{side}_commit_{name}" for name in commits for side in ("before", "after")]


# A line that starts with nothing.
FROM_NOTHING = [
    "inside_migration",
    *("after_fetch", "after_fetch#7", "after_archive", "after_archive#9"),
    *("inside_archive_write", "inside_archive_write#5", "inside_archive_write#20"),
    *around("start", "offer", "sync", "resting"),
    *around("new_token#2", "hold#2", "asked#6", "save_robots", "discover"),
    *around("claim_host#2", "turn#9", "claim_pages#3", "fetch#5"),
    *around("claim_entries", "renew", "extract", "release#4"),
]
# A line that finds all pages read: its feeds say nothing new.
FROM_TEXTS = [
    *around("poll", "claim_entries#2", "deduplicate", "tag"),
    *around("claim_documents#2", "read_documents", "acknowledge"),
    "after_index_write",
    *around("timing#5", "finish"),
]
# A line among sites that refuse, lead elsewhere or ask to be left alone, with an entry that brings up a bug.
AMONG_TROUBLE = around("give_back", "pause", "postpone", "fetch_later", "set_aside", "poll")
# What people tell Veille to do, and the commit by which it is done.
COMMANDS = {
    ("feeds", "import", "feed.xml", "--url", "http://gazette.localhost/rss"): "import",
    ("documents", "import", "documents.ndjson"): "documents",
    ("retry", "--run", "last"): "retry",
    ("index", "rebuild"): "offer",
    ("index", "retry"): "offer_again",
    ("index", "reconcile"): "offer_missing",
}

MOMENTS = [
    *FROM_NOTHING,
    *FROM_TEXTS,
    *AMONG_TROUBLE,
    *(p for name in COMMANDS.values() for p in around(name)),
]
KILLED = {moment.partition("_commit_")[2].partition("#")[0] for moment in MOMENTS if "_commit_" in moment}
# These ask, and leave what stood before: a kill there is one shortly after the commit before.
READING = {
    "schema_version": "which schema is found",
    "due": "which feeds a run has no answer from",
    "robots": "what is known of a host's rules",
    "validators": "what a page was like when it was read",
    "pending": "what is left of a stage",
    "read": "a page, and what feeds say of it",
    "rebuild": "documents for a new index",
    "check": "what the store holds, to compare the index with",
    "left": "how much is left, for whoever watches",
    "report": "what a run did",
    "runs": "which runs there were",
    "recent": "the last runs, for the demonstration",
    "tell": "what came of the demonstration",
    "still_refused": "what the engine refuses after it was asked again",
    "reasons": "why the engine refused documents or put them off",
    "figures": "how many documents there should be, for `veille doctor`",
    "doctor": "what `veille doctor` asks",
    "count": "how many documents a new index will have, for the progress bar",
    "status": "the figures of `veille status`",
    "show": "one article, for `veille show`",
    "topics": "which topics are carried, for the commands",
    "publishers": "whose articles there are, for the search",
}
