"""Fit and judge the weights that tell Brazilian from European Portuguese, each source by weights that never saw it.

    python benchmarks/corpus_variety.py CORPUS [--other FOLDER] [--write]

CORPUS holds NAME.jsonl.zst files with "text" and "id"; which of them are European, mixed, or in old spelling is said
here. Pieces of 300 to 12,000 bytes are cut from every source, so that no source is known by its length. --other holds
.txt files, a sentence a line, that nothing is fitted on; --write ships the new weights.
"""

import argparse
import io
import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard

from lhama.corpus import variety
from lhama.corpus.words import Texts, texts_of

HERE = Path(__file__).parent
PIECES = 800
SHORTEST, LONGEST = 300, 12_000  # bytes of ASCII: characters
EUROPEAN = {"publico_even", "publico_odd"}  # the only source of today's European prose here, by documents
# Wikipedia and web sentences come from both countries; the old spellings are judged, and fitted on nowhere; the
# editions of Eça de Queirós here were made in Brazil.
JUDGED_ONLY = {"ud_gsd", "wiki_paramopama", "camilo", "eca", "tronco_do_ipe"}
# The same author, newspaper or house in two files: where one is judged, the weights saw neither.
RELATED = (
    {"machado_de_assis", "machado_obra_completa"},
    {"macmorpho_folha94", "ud_bosque_folha"},
    {"ms_alchemy_help", "ms_dynamics365_docs"},
    {"alencar", "tronco_do_ipe"},
)
LEFT_OUT = {"gutenberg_mislabelled", "fakebr_news_truncated"}


def documents(corpus: Path) -> Iterator[tuple[str, str, str]]:
    """Yield source, id and text; a file with several authors, or one book in another spelling, is several sources."""
    for path in sorted(corpus.glob("*.jsonl.zst")):
        name = path.name.removesuffix(".jsonl.zst")
        if name in LEFT_OUT:
            continue
        with path.open("rb") as file:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
            for number, line in enumerate(lines):
                row = json.loads(line)
                source = name
                if name == "ud_bosque_publico_ptpt":
                    source = "publico_odd" if number % 2 else "publico_even"
                if name.startswith("gutenberg"):
                    source = "eca" if row["id"].startswith("eca") else "camilo"
                elif name == "romances_brasil":
                    source = "aluisio" if "cortico" in row["id"] else "alencar"
                    source = "tronco_do_ipe" if "tronco_do_ipe" in row["id"] else source
                if len(row["text"]) >= 200 and "Project Gutenberg License" not in row["text"]:
                    yield source, row["id"], row["text"]


def pieces(texts: list[str], generator: np.random.Generator) -> list[str]:
    """Cut pieces of random places and lengths, alike on a logarithmic scale; short documents are put together."""
    made = []
    for _ in range(PIECES):
        length = int(np.exp(generator.uniform(np.log(SHORTEST), np.log(LONGEST))))
        place = int(generator.integers(len(texts)))
        text = texts[place]
        while len(text) < length:
            place = (place + 1) % len(texts)
            text += "\n" + texts[place]
        begin = int(generator.integers(0, len(text) - length + 1))
        made.append(text[begin : begin + length])
    return made


def as_texts(texts: list[str]) -> Texts:
    return texts_of(pa.array(texts, pa.large_string()))


def shares(chances: Any) -> dict[str, float]:
    """Sum up verdicts."""
    return {
        "number": len(chances),
        "european": round(float((chances >= variety.SURE).mean()), 4),
        "unsure": round(float(((chances < variety.SURE) & (chances > 1 - variety.SURE)).mean()), 4),
        "brazilian": round(float((chances <= 1 - variety.SURE).mean()), 4),
    }


def judged(texts: list[str], weights: dict[str, float]) -> Any:
    """Judge texts by other weights than the shipped ones."""
    names = variety.cues().names
    fitted = np.array([weights.get(name, 0.0) for name in names])
    shipped = variety.weights
    variety.weights = lambda: fitted  # type: ignore[assignment]
    try:
        return variety.judge(as_texts(texts)).european
    finally:
        variety.weights = shipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    by_source: dict[str, list[str]] = {}
    for source, _, text in documents(chosen.corpus):
        by_source.setdefault(source, []).append(text)
    generator = np.random.default_rng(0)
    cut = {source: pieces(texts, generator) for source, texts in sorted(by_source.items())}
    counts = {source: variety.count(as_texts(texts))[0] for source, texts in cut.items()}
    fitted_on = [source for source in cut if source not in JUDGED_ONLY]

    def fit(without: str) -> dict[str, float]:
        """Fit on all sources but one and its relations."""
        related = {without}.union(*(family for family in RELATED if without in family))
        kept = {source: counts[source] for source in fitted_on if source not in related}
        names = np.array([source for source, of in kept.items() for _ in of])
        return variety.fit(np.concatenate(list(kept.values())), np.isin(names, list(EUROPEAN)), names)

    result: dict[str, Any] = {"pieces": {}, "documents": {}, "other": {}}
    for source, texts in cut.items():
        weights = fit(source)
        result["pieces"][source] = shares(judged(texts, weights))
        result["documents"][source] = shares(judged(by_source[source], weights))
        print(f"{source:24} {result['pieces'][source]} whole {result['documents'][source]}", flush=True)
    weights = fit("")
    for path in sorted(chosen.other.glob("*.txt")) if chosen.other else []:
        lines = path.read_text(encoding="utf-8").splitlines()
        for size in (1, 5, 20):
            passages = [" ".join(lines[at : at + size]) for at in range(0, len(lines), size)]
            result["other"][f"{path.stem} by {size}"] = shares(judged(passages, weights))
            print(path.stem, size, result["other"][f"{path.stem} by {size}"])
    if chosen.write:
        text = json.dumps(weights, indent=1) + "\n"
        (variety.DATA / "variety_pt.json").write_text(text, encoding="utf-8")
    result |= {"date": date.today().isoformat(), "weights": weights}
    target = HERE / "results" / f"corpus-variety-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
