"""What makes one article more relevant than another, the same in every engine.

Does not rank anything: engines do, each by the frequency of words in its own documents.
"""

from typing import Final

# Mean average precision of 12 topical queries on 214 articles labelled by two readers: .684 without boosts,
# .700 with these, .699 with title × 3, .694 with × 10. Finding 300 articles again by words of their lead
# (mean reciprocal rank): .831, .807, .617, .274.
BOOSTS: Final = {"title": 2.0, "lead": 1.5, "text": 1.0}
# What two neighbours of a query add where they stand together, beside what each adds by itself. Mean average
# precision of 43 queries of several words on those articles: .769 without, .780 with .5 and .7, .772 with 1,
# .759 with 2.
NEARBY: Final = 0.7
