"""The kernels of the quality rules against plain-Python definitions of every rule, on arbitrary Unicode."""

import re
import tomllib
import unicodedata
from collections import Counter
from importlib.resources import files
from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.kernels.c4_lines import REMOVED, remove_lines
from lhama.corpus.kernels.characters import ENDS_SENTENCE, PUNCTUATION, code_points
from lhama.corpus.kernels.measure import ALL_LINES, MEASURES, LineRules, measure_texts
from lhama.corpus.kernels.phrases import MOST_STATES, machine_for
from lhama.corpus.words import texts_of

STOP_WORDS = ("de", "a", "é", "o", "que")
TERMINALS = tuple(map(chr, code_points(ENDS_SENTENCE)))
PUNCTUATION_MARKS = {*map(chr, code_points(PUNCTUATION)), *TERMINALS}
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")


def is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" or character == "_"


def words_of(text: str) -> list[str]:
    """Cut as words.py documents it: runs of word characters, or of one and the same other character."""
    runs = groupby(text, lambda one: "word" if is_word(one) else "" if one.isspace() else one)
    return ["".join(run) for kind, run in runs if kind]


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def repeated(items: list[str]) -> tuple[int, int]:
    """Return how many items came before, and their characters."""
    seen: set[str] = set()
    count = characters = 0
    for item in items:
        if item in seen:
            count, characters = count + 1, characters + len(item)
        seen.add(item)
    return count, characters


def top_run(words: list[str], size: int) -> int:
    runs = Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
    if not runs:
        return 0
    run, times = runs.most_common(1)[0]
    return len(" ".join(run)) * times


def repeated_runs(words: list[str], size: int) -> int:
    seen: set[tuple[str, ...]] = set()
    at = characters = 0
    while at + size <= len(words):
        run = tuple(words[at : at + size])
        if run in seen:
            characters += len("".join(run))
            at += size
        else:
            seen.add(run)
            at += 1
    return characters


def folded(word: str) -> str:
    """Return the plain form of words.py: lower case, without accents, digits as 0."""

    def plain(character: str) -> str:
        if unicodedata.category(character) == "Nd":
            return "0"
        return unicodedata.normalize("NFD", character)[0].lower()[0]

    return "".join(map(plain, word))


def sentences_of(line: str) -> int:
    """Count the words after white space after an ended sentence, and one for the first."""
    pieces = re.findall(r"\s+|\S+", line)
    count, ended, spaced = 1, False, False
    for piece in pieces:
        if piece.isspace():
            spaced = ended
            continue
        before = ""
        for word in words_of(piece):
            if is_word(word[0]):
                if spaced:
                    count += 1
                if spaced or before == "mark":
                    ended = spaced = False
            elif word[0] in TERMINALS and (word[0] != "." or len(word) == 1):
                ended, spaced, before = True, False, "mark"
                continue
            before = ""
    return count


def judge_line(line: str, rules: LineRules) -> tuple[str, str]:
    """Return what C4 says of a stripped line, and the line without citations."""
    parts = line.split()
    if rules.longest and any(len(part) > rules.longest for part in parts):
        return "long_word", line
    if rules.citations:
        line = CITATION.sub("", line)
    if rules.terminal and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
        return "no_terminal", line
    if len(parts) < rules.words:
        return "few_words", line
    lower = line.lower()
    if rules.javascript and "javascript" in lower:
        return "javascript", line
    if rules.policy and any(phrase in lower for phrase in POLICIES):
        return "policy", line
    return "", line


def c4_counts(text: str, rules: LineRules) -> dict[str, float]:
    found = dict.fromkeys(("sentences", "lorem_ipsum_lines", "curly_bracket_lines"), 0.0)
    for raw in text.splitlines():
        verdict, line = judge_line(raw.strip(), rules)
        if not verdict and raw.strip():
            found["sentences"] += sentences_of(raw.strip())
        if verdict in ("", "javascript", "policy"):
            found["lorem_ipsum_lines"] += "lorem ipsum" in line.lower()
        if verdict in ("", "policy"):
            found["curly_bracket_lines"] += "{" in line
    return found


def gopher_counts(text: str, words: list[str]) -> dict[str, float]:
    lines = text.splitlines()
    speaking = [word for word in words if any(one not in PUNCTUATION_MARKS for one in word)]
    cased = [word for word in words if len(word) > 1 and any(map(has_case, word))]
    capitals = sum(not any(unicodedata.category(one) == "Ll" for one in word) for word in cased)
    exact = len(set(STOP_WORDS) & set(words))
    any_case = len({folded(word) for word in STOP_WORDS} & {folded(word) for word in words})
    return {
        "rule_words": len(speaking),
        "word_length": share(sum(map(len, speaking)), len(speaking)),
        "hashes": share(text.count("#"), len(words)),
        "ellipses": share(text.count("...") + text.count("…"), len(words)),
        "bullet_lines": share(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_lines": share(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "alpha_words": share(sum(any(one.isalpha() for one in word) for word in words), len(words)),
        "alpha_parts": share(sum(any(map(str.isalpha, part)) for part in text.split()), len(text.split())),
        "stop_words": exact,
        "stop_words_any_case": any_case if 2 * capitals > len(cased) else exact,
        "upper_words": share(capitals, len(cased)),
    }


def has_case(character: str) -> bool:
    return unicodedata.category(character) in ("Lu", "Lt", "Ll")


def repetition_counts(text: str, words: list[str]) -> dict[str, float]:
    paragraphs, lines = re.split(r"\n{2,}", text.strip()), re.split(r"\n+", text)
    found: dict[str, float] = {}
    for name, items in (("paragraph", paragraphs), ("line", lines)):
        count, characters = repeated(items)
        found[f"dup_{name}s"] = share(count, len(items))
        found[f"dup_{name}_chars"] = share(characters, len(text))
    for size in (2, 3, 4):
        found[f"top_{size}_gram_chars"] = share(top_run(words, size), len(text))
    for size in range(5, 11):
        found[f"dup_{size}_gram_chars"] = share(repeated_runs(words, size), len(text))
    return found


def fineweb_counts(text: str, words: list[str]) -> dict[str, float]:
    lines = [line for line in text.split("\n") if line.strip()]
    return {
        "punctuated_lines": share(sum(line.endswith(TERMINALS) for line in lines), len(lines)),
        "short_lines": share(sum(len(line) <= 30 for line in lines), len(lines)),
        "dup_full_line_chars": share(repeated(lines)[1], len(text.replace("\n", ""))),
        "line_feeds": share(text.count("\n"), len(words)),
    }


def by_definition(text: str, rules: LineRules = ALL_LINES) -> dict[str, float]:
    words = words_of(text)
    return (
        gopher_counts(text, words)
        | repetition_counts(text, words)
        | c4_counts(text, rules)
        | fineweb_counts(text, words)
    )


def measured(texts: list[str], rules: LineRules = ALL_LINES) -> list[dict[str, float]]:
    columns = measure_texts(texts_of(pa.array(texts, pa.large_string())), STOP_WORDS, rules)
    return [{name: float(column[row]) for name, column in columns.items()} for row in range(len(texts))]


def agree(text: str, rules: LineRules = ALL_LINES) -> None:
    expected = {name: float(np.float32(value)) for name, value in by_definition(text, rules).items()}
    assert measured([text], rules)[0] == {name: expected[name] for name in MEASURES}


PIECES = st.sampled_from(
    [
        *(
            "o",
            "a",
            "de",
            "que",
            "é",
            "gato",
            "GATO",
            "E\u0301",
            "viu",
            "ção",
            "ﬁm",
            "x",
            "_",
            "1",
            "12",
            "½",
            "٣",
            "１",
        ),
        *(
            " ",
            " ",
            " ",
            "  ",
            "\n",
            "\n",
            "\n\n",
            "\n\n\n",
            "\r\n",
            "\r",
            "\t",
            "\u00a0",
            "\u2028",
            "\x85",
            "\x0b",
            "\x1c",
        ),
        *(".", ". ", "..", "...", "…", "!", "?", "?!", '"', "'", ",", "-", "•", "• ", "- ", "#", "##", "»", "।", "。"),
        *("{", "}", "[", "]", "[1]", "[]", "[٣]", "[edit]", "[citation needed]", "[½]", "lorem ipsum", "Lorem Ipsum"),
        *(
            "JavaScript",
            "uses coo\u212aies",
            "privacy policy",
            "Terms of Use",
            "\U0001f999",
            "\U0001d400",
            "\u0301",
            "ǅ",
        ),
        *("o gato viu o rato ", "o gato viu o rato que viu o gato de botas e fugiu.\n", "x" * 400, "\x00", "İ"),
    ]
)
DIRTY = st.lists(PIECES, max_size=60).map("".join)
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
REPEATING = st.lists(st.sampled_from("abc"), max_size=150).map(" ".join)
RULES = st.builds(
    LineRules, st.booleans(), st.sampled_from([0, 3]), st.sampled_from([0, 5, 1000]), *[st.booleans()] * 3
)


@settings(max_examples=400, deadline=None)
@given(DIRTY, RULES)
def test_every_measurement_of_dirty_text_is_the_definition(text: str, rules: LineRules) -> None:
    agree(text, rules)


@settings(deadline=None)
@given(ANYTHING)
def test_every_measurement_of_any_text_is_the_definition(text: str) -> None:
    agree(text)


@settings(deadline=None)
@given(REPEATING)
def test_every_measurement_of_repeating_text_is_the_definition(text: str) -> None:
    agree(text)


def lines_by_definition(text: str, rules: LineRules) -> tuple[str, dict[str, int]]:
    kept, removed = [], Counter[str]()
    for raw in text.splitlines():
        verdict, line = judge_line(raw.strip(), rules)
        if verdict:
            removed[f"{verdict}_lines"] += 1
        else:
            kept.append(line)
    return "\n".join(kept).strip(), {name: removed[name] for name in REMOVED}


def without_lines(texts: list[str], rules: LineRules, language: str = "en") -> list[tuple[str, dict[str, int]]]:
    (data, offsets), removed = remove_lines(texts_of(pa.array(texts, pa.large_string())), rules, language)
    left = [data[offsets[row] : offsets[row + 1]].tobytes().decode() for row in range(len(texts))]
    return [(left[row], {name: int(column[row]) for name, column in removed.items()}) for row in range(len(texts))]


@settings(max_examples=200, deadline=None)
@given(st.lists(DIRTY, max_size=4), RULES)
def test_lines_are_removed_as_the_definition_removes_them(texts: list[str], rules: LineRules) -> None:
    assert without_lines(texts, rules) == [lines_by_definition(text, rules) for text in texts]


def own_policies(language: str) -> list[str]:
    table = tomllib.loads((files("lhama.corpus.languages") / f"{language}.toml").read_text(encoding="utf-8"))
    return [str(phrase) for phrase in table.get("policies", [])]


LANGUAGES = ("pt", "es", "fr", "gl", "en")
NEAR_POLICIES = st.sampled_from(
    [
        *(phrase[cut:] for language in LANGUAGES for phrase in own_policies(language) for cut in (0, 0, 0, 4)),
        "Polí",
        "\n",
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(LANGUAGES), st.lists(st.one_of(NEAR_POLICIES, NEAR_POLICIES.map(str.upper), PIECES), max_size=12)
)
def test_a_language_adds_its_own_policies(language: str, pieces: list[str]) -> None:
    """The rule takes out the lines with C4's phrases and those with the language's own, in any case, and no others."""
    text = "".join(pieces)
    known = (*POLICIES, *own_policies(language))
    lines = [line.strip() for line in text.splitlines()]
    speaking = [any(phrase in line.lower() for phrase in known) for line in lines]
    rules = LineRules(terminal=False, words=0, longest=0, javascript=False, policy=True, citations=False)
    left, removed = without_lines([text], rules, language)[0]
    assert removed["policy_lines"] == sum(speaking)
    assert left == "\n".join(line for line, said in zip(lines, speaking, strict=True) if not said).strip()


def test_policies_are_said_in_every_language() -> None:
    said = {
        "pt": "Leia a nossa POLÍTICA de privacidade.",
        "es": "Consulte los Términos de uso del sitio.",
        "fr": "Notre politique de confidentialité a changé.",
        "gl": "Este sitio utiliza cookies propias.",
    }
    rules = LineRules(False, 0, 0, False, True, False)
    for language, line in said.items():
        assert without_lines([line], rules, language)[0][0] == ""
        assert without_lines([line], rules, "en")[0][0] == without_lines([line], rules, "tlh")[0][0] == line
        assert without_lines(["A receita dos biscoitos da avó."], rules, language)[0][0] != ""


def test_too_many_phrases_are_refused() -> None:
    with pytest.raises(ValueError, match=f"there are {MOST_STATES}"):
        machine_for({f"{number:03} palavras": 1 for number in range(40)})


@settings(deadline=None)
@given(st.lists(st.one_of(DIRTY, ANYTHING), max_size=8))
def test_a_document_measures_the_same_alone_and_in_a_batch(texts: list[str]) -> None:
    together = measured(texts)
    assert together == [measured([text])[0] for text in texts]
    assert together[::-1] == measured(texts[::-1])
