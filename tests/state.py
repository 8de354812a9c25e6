"""The final state of a library, in a form that does not depend on the order of work.

Articles are named by the URLs of their entries; first-seen times, runs, versions and ids are left out.
"""

import dataclasses

from pipeline.store import articles


def of(runtime):
    """Everything that must be the same, however the work was ordered, repeated or interrupted."""
    with runtime.store.transaction("state") as tx:
        rows = tx.execute(
            "select id, article_id, canonical_url, outcome, stage from entry order by canonical_url"
        ).fetchall()
        names = {}
        for row in rows:
            if row["article_id"]:
                names.setdefault(row["article_id"], []).append(row["canonical_url"])
        names = {article: " ".join(urls) for article, urls in names.items()}
        feeds = {str(row["id"]): row["url"] for row in tx.execute("select id, url from feed")}
        living, dead = articles.documents(tx, list(names), runtime.catalogue)
        return {
            "entries": {row["canonical_url"]: (row["stage"], row["outcome"]) for row in rows},
            "keys": sorted(
                (names[row["article_id"]], row["kind"], _value(row, feeds))
                for row in tx.execute("select * from article_key")
            ),
            "revisions": sorted(
                (row["canonical_url"], row["number"], row["digest"])
                for row in tx.execute(
                    "select canonical_url, number, digest from revision join entry on entry.id = entry_id"
                )
            ),
            "edges": sorted(
                tuple(
                    sorted(
                        [
                            (names[row["a"]], round(row["share_a"], 4)),
                            (names[row["b"]], round(row["share_b"], 4)),
                        ]
                    )
                )
                for row in tx.execute("select * from copy")
            ),
            "tags": sorted(
                (names[row["article_id"]], row["topic"], round(row["score"], 3), str(row["hits"]))
                for row in tx.execute("select * from tag")
            ),
            "documents": {names[int(d.id)]: _document(d, names) for d in living},
            "tombstones": len(dead),
            "outbox": tx.execute("select count(*) as n from outbox").fetchone()["n"],
        }


def _document(document, names):
    fields = dataclasses.asdict(document)
    for name in ("id", "version", "first_seen"):
        del fields[name]
    fields["copy_of"] = names[int(fields["copy_of"])] if fields["copy_of"] else ""
    fields["copied_share"] = round(fields["copied_share"], 4)
    return fields


def _value(row, feeds):
    if row["kind"] == "guid":
        feed, _, guid = row["value"].partition(":")
        return f"{feeds[feed]} {guid}"
    return row["value"]
