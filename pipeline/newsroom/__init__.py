"""The sample newsroom: invented publishers with feeds and articles, served on loopback.

It is what `veille demo` shows and what end-to-end tests run against; it stores nothing but
`newsroom.json` in its home and knows nothing of how Veille reads it. In reading order: `content`
(data files), `printing` (dates and addresses), `pages`, `syndication`, `site`, `web`, `server`.

To add an article, put a file into `data/articles/<publisher>/<slug>.md`: YAML between two `---` lines
(number, title, lead, section, author, hours before the first start; the rest is documented at
`content.Story`), then paragraphs separated by blank lines. To add a publisher: an item in
`data/publishers.yaml`, a page in `templates/<publisher>.html` and a folder of articles.

To look at it in a browser: `python -m pipeline.newsroom --home DIR`.
"""
