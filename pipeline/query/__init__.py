"""The query language: what a person types becomes a frozen tree, the same for every engine. *Pure.*

    Ukraine paix              both words: AND is the default, because people who watch the press add words to
                              narrow a list of thousands; an alert that grew with every word would be useless
    "accord de paix"          the words side by side; also « … » and “…”; stop words keep their places
    "accord paix"~3           at most three words more between them
    porte-avions   49.3       a compound is a phrase of its parts
    paix OR trêve             capitals only: « et », « ou », "or" are words
    gaz AND (paix OR trêve)   AND binds tighter than OR, NOT tightest
    Ukraine NOT Crimée        also -Crimée; +word is word; a query may consist of exclusions alone
    Zelensk*                  at least two letters; at the end of a word or a phrase
    title:budget  title:(budget OR impôt)  publisher:"Le Monde"  author:Lefèvre  topic:climat  url:presse.fr
    published:2025-07         a year, month or day in Europe/Paris; [2025-01-01 TO *], {… TO …}, >=, <=, >, <
    copies:>=3  words:[300 TO *]  topic:*  NOT published:*  *

Signs without a letter or digit are skipped, as are unquoted stop words beside other words. Whatever else
cannot be understood raises QueryError with its position: an unclosed quote or parenthesis is an error and
never guessed at, because a guess would silently change what a saved query watches.

Does not run queries and does not know any engine.
"""

from pipeline.query.parser import MAX_DEPTH, MAX_LENGTH, MAX_PARTS, parse
from pipeline.query.tree import (
    FIELDS,
    And,
    Days,
    Everything,
    Kind,
    Not,
    Numbers,
    Or,
    Present,
    Query,
    QueryError,
    Term,
    Value,
    Words,
    address,
    addresses,
    names,
    one_name,
    values,
)

__all__ = [
    "FIELDS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "MAX_PARTS",
    "And",
    "Days",
    "Everything",
    "Kind",
    "Not",
    "Numbers",
    "Or",
    "Present",
    "Query",
    "QueryError",
    "Term",
    "Value",
    "Words",
    "address",
    "addresses",
    "names",
    "one_name",
    "parse",
    "values",
]
