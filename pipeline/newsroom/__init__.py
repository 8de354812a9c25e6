"""The sample newsroom: invented publishers with feeds and articles, served on loopback.

It is what `veille demo` shows and what end-to-end tests run against. It knows nothing of how Veille reads it.
In its home it keeps `newsroom.json`, `newsroom.lock`, `access.log` and, of a long one, `access.log.1`;
`veille newsroom` and the demonstration put the configuration beside them, `config/`, and Veille its library.
In reading order: `content` (values), `loading` (data files), `clock`, `printing` (what is out when, and
where), `pages`, `syndication`, `sitemaps`, `site`; `hazards`, `web` and `access`, which answer; `states`,
`server` and `serving`, which keep and run it; `gold`, which says what must become of all of it.

What it serves is a function of its publishers, the moment of its first start, and the moment its clock shows.

To add an article, put a file into `data/articles/<publisher>/<slug>.md`: YAML between two `---` lines
(number, title, lead, section, author, hours before the first start; the rest is documented at
`content.Story`), then paragraphs separated by blank lines; and say in `data/gold.yaml` what must become of
it. To add a publisher: an item in `data/publishers.yaml`, a page in `templates/<publisher>.html` and a folder
of articles.

To look at it in a browser: `veille newsroom`.
"""
