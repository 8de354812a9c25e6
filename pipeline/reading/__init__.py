"""From bytes to entries and articles. *Pure.*

Feeds: `syndication` knows the formats, `feeds` makes entries of their items. Pages: `charsets` decodes,
`jsonld` and `metadata` find what a page declares, `articles` reads its text; `plaintext`, `dates` and
`language` serve both. Fetches nothing, keeps nothing; `workers` runs what may be slow or hostile.
"""

PAGE_CAP = (
    10_000_000  # bytes, decoded, of a page that is fetched or read; of 1 465 real ones the largest has 4 MB
)
