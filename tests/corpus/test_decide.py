"""All decisions together against a plain definition that compares every document with every other one."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.contained import FEW, HOLDERS, LEAST
from lhama.corpus.decisions import original_of
from lhama.corpus.dedup import decide
from lhama.corpus.filelist import SourceFile
from lhama.corpus.judge import judge
from lhama.corpus.judging import Judging, OfSource
from lhama.corpus.minhash import as_column
from lhama.corpus.places import Places
from lhama.corpus.readers import Columns
from lhama.corpus.records import packed
from lhama.corpus.sources import LINE_BITS, CorpusSource
from lhama.corpus.staged import Staged

BANDS = 2
MINIMUM = 10


class Document(NamedTuple):
    """What decides about a document; `characters` is 0 for an empty one, below MINIMUM for one that is too short."""

    characters: int
    held: bool
    text: int
    near: tuple[int, int]
    samples: frozenset[int]
    domain: int


DOCUMENTS = st.lists(
    st.builds(
        Document,
        st.sampled_from([0, 5, 20, 20, 20, 20]),
        st.sampled_from([False, False, False, True]),
        st.integers(0, 8),
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
        st.frozensets(st.integers(1, 12), max_size=10),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=24,
)
Verdicts = dict[int, str]


class Plain:
    """The definition, document by document; `order` puts held-out documents before all others."""

    def __init__(self, documents: list[Document], cut: int) -> None:
        self.documents, self.cut = documents, cut
        self.verdicts: Verdicts = {}
        for number, document in enumerate(documents):
            short = "too_short" if document.characters < MINIMUM else "kept"
            self.verdicts[number] = "empty" if not document.characters else "heldout" if document.held else short

    def order(self, number: int) -> tuple[bool, int]:
        return self.verdicts[number] != "heldout", number

    def standing(self) -> list[int]:
        return sorted((at for at, verdict in self.verdicts.items() if verdict in ("kept", "heldout")), key=self.order)

    def drop(self, originals: dict[int, int], reason: str, of_heldout: str) -> None:
        held = {at for at, verdict in self.verdicts.items() if verdict == "heldout"}
        for number, original in originals.items():
            if number not in held:
                self.verdicts[number] = of_heldout if original in held else reason

    def exact(self, drop: bool) -> None:
        first: dict[int, int] = {}
        found = {at: first.setdefault(self.documents[at].text, at) for at in self.standing()}
        held = {at for at in found if self.verdicts[at] == "heldout"}
        self.drop(
            {a: b for a, b in found.items() if a != b and (drop or b in held)}, "exact_duplicate", "copy_of_heldout"
        )

    def near(self) -> None:
        standing = self.standing()
        first: dict[int, int] = {}
        for start in standing:
            seen, open_ = {start}, [start]
            while open_:
                keys = self.documents[open_.pop()].near
                for other in standing:
                    theirs = self.documents[other].near
                    if other not in seen and any(a and a == b for a, b in zip(keys, theirs, strict=True)):
                        seen.add(other)
                        open_.append(other)
            first[start] = min(seen, key=self.order)
        self.drop({a: b for a, b in first.items() if a != b}, "near_duplicate", "near_copy_of_heldout")

    def contained(self, share: float) -> None:
        standing = self.standing()
        having = {run: [at for at in standing if run in self.documents[at].samples] for run in range(13)}
        held = [at for at in standing if self.verdicts[at] == "heldout"]
        training = [at for at in standing if self.verdicts[at] == "kept"]

        def enough(inner: int, outer: int, among: list[int]) -> bool:
            samples = self.documents[inner].samples
            both = sum(outer in [at for at in having[run] if at in among][:HOLDERS] for run in samples)
            most = len(samples) if len(samples) < FEW else share * len(samples)
            return len(samples) >= LEAST and both >= most

        copies = {at for at in training if any(enough(at, other, standing) for other in held)}
        holding: dict[int, int] = {}
        leaving = []
        for number in held:
            mine = self.documents[number].samples
            holders = [at for at in training if enough(number, at, training)]
            longer = [at for at in holders if self.longer(at, mine, having, training) and at not in copies]
            if longer or len(holders) >= HOLDERS:
                leaving.append(number)
            else:
                holding |= {at: number for at in holders if at not in copies and at not in holding}
        found: dict[int, int] = {}
        for place, number in enumerate(standing):
            if number in holding:
                continue
            samples, best = self.documents[number].samples, 0
            for other in standing[:place]:
                both = sum(other in having[run][:HOLDERS] for run in samples)
                asked = self.verdicts[number] == "kept" and other not in found and other not in holding
                if asked and enough(number, other, standing) and both > best:
                    found[number], best = other, both
        self.drop(found, "contained", "near_copy_of_heldout")
        self.drop(holding, "holds_heldout", "holds_heldout")
        for number in leaving:
            self.verdicts[number] = "heldout_in_training"

    def longer(self, holder: int, mine: frozenset[int], having: dict[int, list[int]], training: list[int]) -> bool:
        """Tell whether less than half of the holder is the held-out document."""
        both = sum(holder in [at for at in having[run] if at in training][:HOLDERS] for run in mine)
        return 2 * both < len(self.documents[holder].samples)

    def cap(self, most: int) -> None:
        taken: dict[int, int] = {}
        for number in self.standing():
            domain = self.documents[number].domain
            if self.verdicts[number] == "kept" and number >= self.cut and domain:
                taken[domain] = taken.get(domain, 0) + 1
                if taken[domain] > most:
                    self.verdicts[number] = "domain_full"


def staged(documents: list[Document], cut: int, rows: int, folder: Path) -> tuple[Staged, Places]:
    """Write the documents as they are staged, the first `cut` of them in a source of their own."""
    positions = [(int(at >= cut) << LINE_BITS) | at for at in range(len(documents))]
    keys = np.array([document.near for document in documents], np.uint64).reshape(-1, BANDS)
    keys = np.where(keys == 0, np.uint64(0), keys * np.uint64(1 << 40) + np.arange(1, BANDS + 1, dtype=np.uint64))
    runs = [(at, run) for at, document in enumerate(documents) for run in sorted(document.samples)]
    whose = np.array([at for at, _ in runs], np.int64)
    count = len(documents)
    table = pa.table(
        {
            "position": pa.array(positions, pa.int64()),
            "id": pa.array([f"d{at}" for at in range(count)], pa.string()),
            "reason": pa.array([""] * count, pa.string()),
            "heldout": pa.array([document.held for document in documents], pa.bool_()),
            "id_high": pa.array(range(count), pa.int64()),
            "id_low": pa.array(range(count), pa.int64()),
            "characters": pa.array([document.characters for document in documents], pa.int64()),
            "clean_characters": pa.array([document.characters for document in documents], pa.int64()),
            "clean_bytes": pa.array([document.characters for document in documents], pa.int64()),
            "key_high": pa.array([-document.text for document in documents], pa.int64()),
            "key_low": pa.array([document.text for document in documents], pa.int64()),
            "near": as_column(keys),
            "samples": packed(whose, count, (np.array([run for _, run in runs], np.uint64) << np.uint64(50),)),
            "domain": pa.array([document.domain for document in documents], pa.int64()),
        }
    )
    pq.write_table(table, folder / "000000-00000.parquet", row_group_size=rows)
    sources = [
        CorpusSource(number, name, "pt", "", Columns("text", "id", "url"), None, None, "files", (file(name, number),))
        for number, name in enumerate(("um", "dois"))
    ]
    return Staged(folder), Places(tuple(sources))


def file(name: str, number: int) -> SourceFile:
    return SourceFile(number, f"{name}.jsonl", "jsonl", Path(name), 1)


@settings(deadline=None, max_examples=60)
@given(DOCUMENTS, st.integers(0, 24), st.integers(1, 9), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_every_verdict_is_that_of_the_definition(
    documents: list[Document], cut: int, rows: int, exact: bool, near: bool, contained: bool, capped: bool
) -> None:
    plain = Plain(documents, cut)
    plain.exact(exact)
    if near:
        plain.near()
    if contained:
        plain.contained(0.8)
    if capped:
        plain.cap(1)
    with tempfile.TemporaryDirectory() as name:
        read, places = staged(documents, cut, rows, Path(name))
        judging = Judging(
            sources=(OfSource("pt"), OfSource("pt", domain_cap=1 if capped else None)),
            minimum=MINIMUM,
            exact=exact,
            near=BANDS if near else 0,
            contained=0.8 if contained else None,
        )
        decisions = decide(read, places, judging, Path(name) / "scratch")
        found: list[Any] = []
        for table in read.tables(judging.columns):
            numbers = places.source_numbers(table["position"].to_numpy())
            found += zip(table["position"].to_pylist(), judge(table, decisions, judging, numbers).tolist(), strict=True)
    line = (1 << LINE_BITS) - 1
    assert {position & line: verdict for position, verdict in found} == plain.verdicts
    for position, verdict in found:
        original = original_of(position, verdict, decisions)
        if verdict in ("exact_duplicate", "near_duplicate", "contained"):
            assert original is not None and original < position
        elif verdict == "heldout_in_training":
            assert original is not None and documents[original & line].characters >= MINIMUM
        elif verdict in ("copy_of_heldout", "near_copy_of_heldout", "holds_heldout"):
            assert original is not None and plain.verdicts[original & line] in ("heldout", "heldout_in_training")
        else:
            assert original is None
