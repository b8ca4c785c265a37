"""The names under which documents leave the training text, each with a sentence for people.

A rule has a name, and the name is the reason. The order is the order of judgement: a document is counted under the
first reason that holds.
"""

BROKEN = {
    "empty_file": "The file holds no document at all.",
    "truncated_file": "A compressed file ends too early or is damaged; documents before that place are kept.",
    "unreadable_file": "The file, or a part of it, is not what its format demands.",
    "line_too_long": "A line is longer than any document may be.",
    "nul_bytes": "There are NUL bytes in the text.",
    "bad_utf8": "The text is not valid UTF-8, or holds half a surrogate pair.",
    "broken_line": "The line is not valid JSON or CSV.",
    "missing_text": "There is no text under the source's text_column.",
    "wrong_type": "The row is not an object, or its text is not a string.",
}
CLEANED = {
    "empty": "The text is empty or only white space.",
    "too_short": "The text has fewer characters than corpus.minimum_characters.",
    "copy_of_heldout": "The text is also a held-out document, which training must not see.",
    "exact_duplicate": "The very same text came before, in this source or another one.",
}
MEANING = BROKEN | CLEANED
