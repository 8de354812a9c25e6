"""From bytes to entries and articles. *Pure.*

Feeds: `syndication` knows the formats, `feeds` makes entries of their items. Pages: `charsets` decodes,
`jsonld` and `metadata` find what a page declares, `articles` reads its text; `plaintext`, `dates` and
`language` serve both. Fetches nothing, keeps nothing; `workers` runs what may be slow or hostile.
"""

# Bytes, decoded, of what is fetched or read; of 1 465 real pages the largest has 4 MB.
PAGE_CAP = 10_000_000
FEED_CAP = 15 << 20
