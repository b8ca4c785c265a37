"""Count what was found in documents beside their verdicts: repairs, personal data, buckets, rules, passages of tests.

In go read tables with their verdicts, out come numbers for report.json: by source what was mended and masked, by rule
how the measurements lie around the threshold, how many documents fail it, and how many fail nothing else.
"""

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from lhama.corpus.judge import HELDOUT
from lhama.corpus.judging import KEPT, Judging, Verdicts
from lhama.corpus.places import Places
from lhama.corpus.reasons import BROKEN, READ
from lhama.corpus.rule_table import RULES, Rule, Thresholds, all_failures
from lhama.corpus.shards import buckets_of
from lhama.corpus.staged import Integers

BINS = 40
SPAN = 3  # a histogram reaches so many times as far as the threshold
OLD_FROM = 0.004  # share of words in an old spelling, as in variety.py
UNREAD = ("empty", "opted_out", *BROKEN, *READ)
TALLY = 10_000  # documents with passages of tests that are counted; each may name 20 rows


class Findings:
    """Counts by source and by rule, filled table by table in corpus order."""

    def __init__(self, places: Places, judging: Judging, present: frozenset[str]) -> None:
        self._places, self._judging = places, judging
        self._counted = tuple(sorted(name for name in present if name.startswith(("repair_", "personal_"))))
        self._counted += ("translated_lines",) if any(source.thresholds for source in judging.sources) else ()
        self._documents: Counter[tuple[int, str]] = Counter()
        self._times: Counter[tuple[int, str]] = Counter()
        self._buckets: dict[int, dict[str, Integers]] = defaultdict(dict)
        self._taken: Counter[int] = Counter()
        self._said: list[str] = []
        self._languages: dict[int, Counter[str]] = defaultdict(Counter)
        self._varieties: dict[int, Integers] = defaultdict(lambda: np.zeros(4, np.int64))
        self._rules = {rule.name: _Histogram(rule, judging) for rule in RULES if _threshold(rule, judging) is not None}

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns that are looked at, beside those of the judge."""
        tests = ("taken_bytes", "tests") if self._judging.tests else ()
        variety = ("european", "old_spelling") if self._judging.european is not None else ()
        languages = ("language",) if self._judging.languages else ()
        return (*self._counted, *tests, *languages, *variety, *(f"score_{name}" for name, _ in self._judging.buckets))

    def add(self, table: Any, verdicts: Verdicts, numbers: Integers, sizes: Integers) -> None:
        """Count the next rows; `sizes` are the bytes of the texts as training sees them."""
        kept = verdicts == KEPT
        for number in np.unique(numbers[kept]).tolist():
            mine = kept & (numbers == number)
            for name in self._counted:
                column = table[name].to_numpy()[mine]
                self._documents[number, name] += int(np.count_nonzero(column))
                self._times[number, name] += int(column.sum())
            self._count_buckets(table, numbers, mine, number, sizes)
        self._count_tests(table, verdicts, numbers)
        self._count_languages(table, verdicts, numbers)
        self._count_varieties(table, verdicts, numbers)
        self._count_rules(table, verdicts, numbers)

    def of_source(self, number: int) -> dict[str, Any]:
        """Return what was found in the kept documents of a source."""
        found: dict[str, Any] = {"repairs": {}, "personal_data": {}, "translated_code": 0}
        for name in self._counted:
            counts = {"documents": self._documents[number, name], "times": self._times[number, name]}
            if name.startswith("repair_"):
                found["repairs"][name.removeprefix("repair_")] = counts
            elif name.startswith("personal_"):
                found["personal_data"][name.removeprefix("personal_")] = counts
            else:
                found["translated_code"] = counts["documents"]
        buckets = self._buckets[number]
        found["buckets"] = {
            name: {"documents": int(documents), "bytes": int(size)} for name, (documents, size) in buckets.items()
        }
        found["taken_bytes"] = self._taken[number]
        if self._judging.languages:
            found["languages"] = dict(self._languages[number].most_common())
        if self._judging.european is not None:
            names = ("documents", "european", "brazilian", "old_spelling")
            found["variety"] = dict(zip(names, self._varieties[number].tolist(), strict=True))
        return found

    def rules(self) -> dict[str, Any]:
        """Return for each rule that holds somewhere its histogram and who fails it."""
        return {name: histogram.as_dict() for name, histogram in self._rules.items()}

    def tests(self) -> dict[str, Any]:
        """Return which test sets were found, in how many documents, with examples."""
        if not self._said:
            return {}
        from lhama.corpus.decontaminate import tallied

        return tallied(self._said)

    def _count_buckets(self, table: Any, numbers: Integers, mine: Any, number: int, sizes: Integers) -> None:
        if not self._judging.buckets:
            return
        names = buckets_of(table, numbers, self._places, self._judging)[mine]
        for name in dict.fromkeys(names):
            if name != self._places.sources[number].name:
                chosen = names == name
                more = np.array([chosen.sum(), sizes[mine][chosen].sum()], np.int64)
                self._buckets[number][name] = self._buckets[number].get(name, np.zeros(2, np.int64)) + more

    def _count_tests(self, table: Any, verdicts: Verdicts, numbers: Integers) -> None:
        if not self._judging.tests:
            return
        taken = np.where((verdicts == KEPT) | (verdicts == "contaminated"), table["taken_bytes"].to_numpy(), 0)
        for number in np.unique(numbers[taken > 0]).tolist():
            self._taken[number] += int(taken[numbers == number].sum())
        room = max(0, TALLY - len(self._said))
        self._said += table["tests"].take(np.flatnonzero(taken > 0)[:room]).to_pylist()

    def _count_languages(self, table: Any, verdicts: Verdicts, numbers: Integers) -> None:
        """Count the likeliest language of each document of prose, whatever became of it."""
        if not self._judging.languages:
            return
        prose = np.array([source.prose for source in self._judging.sources])[numbers]
        spoken = prose & ~np.isin(verdicts, [*UNREAD, "too_short"])
        codes = table["language"].to_numpy().astype(str)
        for number in np.unique(numbers[spoken]).tolist():
            self._languages[number].update(codes[spoken & (numbers == number)].tolist())

    def _count_varieties(self, table: Any, verdicts: Verdicts, numbers: Integers) -> None:
        """Count which variety the documents of each source speak, whatever became of them."""
        if self._judging.european is None:
            return
        sure, chance = self._judging.european, table["european"].to_numpy()
        portuguese = [source.prose and source.language == "pt" for source in self._judging.sources]
        spoken = np.array(portuguese)[numbers] & ~np.isin(verdicts, [*UNREAD, "other_language", "too_short"])
        old = table["old_spelling"].to_numpy() >= OLD_FROM
        of = np.stack([spoken, chance >= sure, chance <= 1 - sure, old], axis=1)
        for number in np.unique(numbers).tolist():
            self._varieties[number] += (of & spoken[:, None])[numbers == number].sum(axis=0)

    def _count_rules(self, table: Any, verdicts: Verdicts, numbers: Integers) -> None:
        if not self._rules:
            return
        training = ~np.isin(verdicts, [HELDOUT, *UNREAD])
        for number in np.unique(numbers[training]).tolist():
            source = self._judging.sources[number]
            if not source.thresholds:
                continue
            rows = np.flatnonzero(training & (numbers == number))
            measures = {name: table[name].to_numpy()[rows] for name in self._judging.measurements}
            failures = all_failures(measures, Thresholds(source.language, dict(source.thresholds)))
            alone = failures.sum(axis=1) == 1
            for place, rule in enumerate(RULES):
                if rule.name in dict(source.thresholds):
                    self._rules[rule.name].add(measures[rule.measurement], failures[:, place], alone)


class _Histogram:
    """The measurements of one rule, in bins of equal width; what lies beyond the last one is in it."""

    def __init__(self, rule: Rule, judging: Judging) -> None:
        self._rule = rule
        self._threshold = _threshold(rule, judging) or 0.0
        reach = SPAN * self._threshold or 10.0
        share = rule.measurement not in ("rule_words", "word_length", "stop_words", "sentences") and self._threshold < 1
        self._high = min(1.0, reach) if share and self._threshold else reach
        self._counts = np.zeros(BINS, np.int64)
        self.fail, self.fail_alone = 0, 0

    def add(self, values: Any, failures: Any, alone: Any) -> None:
        places = np.minimum(values.astype(np.float64) / self._high * BINS, BINS - 1).astype(np.int64)
        self._counts += np.bincount(places, minlength=BINS)
        self.fail += int(failures.sum())
        self.fail_alone += int((failures & alone).sum())

    def as_dict(self) -> dict[str, Any]:
        return {
            "meaning": self._rule.meaning,
            "measurement": self._rule.measurement,
            "comparison": self._rule.comparison,
            "threshold": self._threshold,
            "high": self._high,
            "counts": self._counts.tolist(),
            "fail": self.fail,
            "fail_alone": self.fail_alone,
        }


def _threshold(rule: Rule, judging: Judging) -> float | None:
    """Return the threshold of the first source for which a rule holds."""
    for source in judging.sources:
        for name, value in source.thresholds:
            if name == rule.name:
                return value
    return None
