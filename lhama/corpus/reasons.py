"""The names under which documents leave the training text, each with a sentence for people.

A rule has a name, and the name is the reason. The order is the order of judgement: a document is counted under the
first reason that holds.
"""

from collections.abc import Iterable

BROKEN = {
    "empty_file": "The file holds no document at all.",
    "truncated_file": "A compressed file ends too early or is damaged; documents before that place are kept.",
    "unreadable_file": "The file, or a part of it, is not what its format demands.",
    "line_too_long": "A line is longer than any document may be.",
    "nul_bytes": "There are NUL bytes in the text.",
    "bad_utf8": "The text is not valid UTF-8, or holds half a surrogate pair.",
    "broken_line": "The line is not valid JSON or CSV.",
    "broken_xml": "The dump of Wikipedia is damaged here; the pages before and after it are read.",
    "broken_record": "There is no whole record of a web archive where one should be.",
    "wrong_length": "A record of a web archive does not end where it says.",
    "missing_text": "There is no text under the source's text_column.",
    "wrong_type": "The row is not an object, or its text is not a string.",
}
READ = {
    "redirect": "The page of Wikipedia only leads to another one.",
    "not_an_article": "The page of Wikipedia is a talk page, template, category or the like.",
    "not_a_page": "The record of a web archive holds no page, but a request, a picture or the like.",
    "http_error": "The web server did not answer with a page but with an error or a redirect.",
    "page_too_long": "The web page is longer than 5 million characters, or unpacks to more than 32 MB.",
    "no_main_text": "The web page has no main text: menus, forms, galleries, or too little of it.",
    "blocked_domain": "Its domain is on the source's blocklist.",
    "blocked_url": "Its address begins like one on the source's blocklist.",
    "no_example": "The row is no example of instructions: a part of it is missing, or no layout fits.",
    "link_outside": "It is a link that leads out of the source's folder.",
    "vendored": "The code was copied from another project: it stands in node_modules, vendor or the like.",
    "binary_file": "It has the ending of code, and holds no text.",
    "too_large": "A file of code with more than 1 MB is data.",
    "no_license": "The source wants permissive licences, and no licence file speaks for this code.",
    "other_license": "The source wants permissive licences, and this code has another one.",
    "generated": "The code says that a program made it.",
    "minified": "The lines of code are too long for people: over 1,000 characters, or over 100 on average.",
}
"""Why something that a reader found is no document."""
CLEANED = {
    "empty": "The text is empty or only white space.",
    "opted_out": "Its owner wants it out: its id is in corpus.opt_out.",
    "too_short": "The text has fewer characters than corpus.minimum_characters.",
    "other_language": "It is in none of corpus.languages, or not surely enough.",
    "european": "It is surely European Portuguese.",
}
REPEATED = {
    "personal_data": "It holds personal data, and corpus.personal_data is drop.",
    "contaminated": "It stands in a test set, and too little is left without it.",
    "copy_of_heldout": "The text is also a held-out document, which training must not see.",
    "exact_duplicate": "The very same text came before, in this source or another one.",
    "near_copy_of_heldout": "The text is nearly a held-out document, which training must not see.",
    "near_duplicate": "Nearly the same text came before, in this source or another one.",
    "contained": "Most of the text stands in one document that came before.",
    "holds_heldout": "Half of the text or more is a held-out document, which training must not see.",
    "heldout_in_training": "It was held out, but stands in a longer document of the training text.",
    "domain_full": "Its domain has as many documents as the source may have of each.",
    "boilerplate": "Without the lines that repeat in its source hardly anything is left.",
}


def in_order(verdicts: Iterable[str]) -> list[str]:
    """Bring the reasons among verdicts into the order of judgement; classifiers come after the rules, by name."""
    before, after = [*BROKEN, *READ, *CLEANED, *_rules()], list(REPEATED)
    found = set(verdicts) - {"kept", "heldout"}
    classifiers = sorted(found - {*before, *after})
    return [name for name in (*before, *classifiers, *after) if name in found]


def meaning(reason: str) -> str:
    """Say a reason in a sentence."""
    every = BROKEN | READ | CLEANED | _rules() | REPEATED
    return every.get(reason, f"The classifier {reason} gives it a score of at least its threshold.")


def _rules() -> dict[str, str]:
    """Return the rules by name in the order of judgement, each with what it says of a document that breaks it."""
    from lhama.corpus.rule_table import MEANING

    return MEANING
