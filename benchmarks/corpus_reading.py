"""Reading every kind of source: Lhama and the readers one would take instead, alternately, over the same files.

In go files of real text; of them come a jsonl.zst, a parquet, a dump of Wikipedia (links, templates and notes are put
into the text), a WET and a WARC file (the text in pages with menus). Each contestant is a process of its own that reads
the file whole, round after round in turn, and measures its own processor time. Speeds are megabytes a second of the
text that was put in, so they compare within a kind and hardly between kinds.

Usage: python benchmarks/corpus_reading.py FILE.jsonl.zst ... --peers PYTHON [--rounds 5] [--megabytes 20]
PYTHON is an interpreter with datatrove[processing], warcio, mwparserfromhell, trafilatura, resiliparse, faust-cchardet
and python-magic.
Writes benchmarks/results/corpus-reading-HARDWARE-DATE.json.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
OURS = "lhama"
FILES = {
    "jsonl": "a.jsonl.zst",
    "parquet": "a.parquet",
    "wikipedia": "a.xml.bz2",
    "wet": "wet.warc.gz",
    "warc trafilatura": "page.warc.gz",
    "warc resiliparse": "page.warc.gz",
}
PEERS = {
    "jsonl": ("datatrove", "zstandard and json"),
    "parquet": ("datatrove", "pyarrow to_pylist"),
    "wikipedia": ("mwparserfromhell",),
    "wet": ("datatrove", "warcio", "fastwarc"),
    "warc trafilatura": ("datatrove", "warcio and trafilatura"),
    "warc resiliparse": ("fastwarc and resiliparse",),
}
IN_A_CHILD = ("datatrove", "warc trafilatura")  # its work is measured by the clock on the wall
SECONDS = 1.0  # that a round lasts at least
SLOW = {"warc resiliparse": 4, "wikipedia": 2}
"""By how much less text is put into a file that takes long."""


def texts_of(files: list[Path], size: int) -> list[str]:
    """Take documents evenly from all files, about so many bytes in all."""
    import zstandard

    texts: list[str] = []
    for file in files:
        with file.open("rb") as packed:
            lines = zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines()
        texts += [json.loads(line)["text"] for line in lines]
    step = max(1, round(sum(len(text.encode()) for text in texts) / size))
    return texts[::step]


def write_inputs(folder: Path, texts: list[str]) -> None:
    """Write the files of all kinds; those that take long hold fewer of the texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    (folder / FILES["jsonl"]).write_bytes(zstandard.ZstdCompressor(level=3).compress(lines))
    pq.write_table(pa.Table.from_pylist(rows), folder / FILES["parquet"], compression="zstd")
    pages = "".join(map(wiki_page, range(len(texts)), few(texts, "wikipedia")))
    dump = f'<mediawiki xml:lang="pt">\n{pages}</mediawiki>\n'.encode()
    (folder / FILES["wikipedia"]).write_bytes(bz2.compress(dump))
    records = (record(number, "conversion", text.encode()) for number, text in enumerate(texts))
    (folder / FILES["wet"]).write_bytes(b"".join(map(gzip.compress, records)))
    answers = (record(n, "response", web_page(text)) for n, text in enumerate(few(texts, "warc resiliparse")))
    (folder / FILES["warc resiliparse"]).write_bytes(b"".join(map(gzip.compress, answers)))


def few(texts: list[str], kind: str) -> list[str]:
    return texts[:: SLOW.get(kind, 1)]


def wiki_page(number: int, text: str) -> str:
    """Mark a text up: every 20th word a link, a note and a template after every paragraph."""
    paragraphs = []
    for paragraph in text.split("\n"):
        words = [f"[[{word}|{word}]]" if place % 20 == 4 else word for place, word in enumerate(paragraph.split(" "))]
        paragraphs.append(" ".join(words) + ("<ref>Nota {{citar|a=1}}</ref> {{Nota|b=2}}" if paragraph else ""))
    return (
        f"<page><title>P{number}</title><ns>0</ns><id>{number}</id><revision><id>{number}</id>"
        f"<model>wikitext</model><text>{escape(chr(10).join(paragraphs))}</text></revision></page>\n"
    )


def web_page(text: str) -> bytes:
    menu = "".join(f'<li><a href="/{place}">Assunto {place}</a></li>' for place in range(30))
    body = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in text.split("\n") if paragraph.strip())
    page = (
        f"<!DOCTYPE html><html><head><title>T</title></head><body><nav><ul>{menu}</ul></nav><article>{body}</article>"
        f"<footer>Todos os direitos</footer></body></html>"
    )
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page.encode()


def record(number: int, kind: str, content: bytes) -> bytes:
    type_ = "text/plain" if kind == "conversion" else "application/http; msgtype=response"
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number:036d}>\r\n"
        f"WARC-Target-URI: http://exemplo.com.br/{number}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"Content-Type: {type_}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return header.encode() + content + b"\r\n\r\n"


def ours(kind: str, path: Path) -> Iterator[str]:
    from lhama.corpus.filelist import SourceFile
    from lhama.corpus.readers import Columns
    from lhama.corpus.readers_warc import Web
    from lhama.corpus.reading import Reading, read_rows

    way = "resiliparse" if kind.endswith("resiliparse") else "trafilatura"
    file = SourceFile(0, path.name, "warc" if kind.startswith("w") and "x" not in path.name else kind, path, 0)
    return (row.text for row in read_rows(file, Columns(), Reading(web=Web(way))))  # type: ignore[arg-type]


def datatrove(kind: str, path: Path) -> Iterator[str]:
    from datatrove.pipeline.extractors import Trafilatura  # type: ignore[import-not-found, unused-ignore]
    from datatrove.pipeline.readers import (  # type: ignore[import-not-found, unused-ignore]
        JsonlReader,
        ParquetReader,
        WarcReader,
    )

    reader = {"jsonl": JsonlReader, "parquet": ParquetReader}.get(kind, WarcReader)
    documents: Any = reader(str(path.parent), glob_pattern=path.name).run()
    if kind == "warc trafilatura":
        documents = Trafilatura(favour_precision=True, timeout=10, deduplicate=False).run(documents)
    return (document.text for document in documents)


def peer(name: str, kind: str, path: Path) -> Iterator[str]:
    if name == "datatrove":
        yield from datatrove(kind, path)
    elif name == "zstandard and json":
        import io

        import zstandard

        with path.open("rb") as packed:
            for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), encoding="utf-8"):
                yield json.loads(line)["text"]
    elif name == "pyarrow to_pylist":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
            yield from (row["text"] for row in batch.to_pylist())
    elif name == "mwparserfromhell":
        yield from by_mwparserfromhell(path)
    else:
        yield from of_archive(name, path)


def by_mwparserfromhell(path: Path) -> Iterator[str]:
    from xml.etree import ElementTree

    import mwparserfromhell  # type: ignore[import-not-found, unused-ignore]

    with bz2.open(path) as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag == "text":
                yield mwparserfromhell.parse(element.text or "").strip_code()
            elif element.tag == "page":
                element.clear()


def of_archive(name: str, path: Path) -> Iterator[str]:
    """Read with a library of records, and an extractor where there is one."""
    if name.startswith("warcio"):
        from warcio.archiveiterator import ArchiveIterator  # type: ignore[import-not-found, unused-ignore]

        with path.open("rb") as file:
            for one in ArchiveIterator(file):
                yield extracted(name, one.content_stream().read())
        return
    from fastwarc.warc import ArchiveIterator as Fast  # type: ignore[import-not-found, unused-ignore]

    with path.open("rb") as file:
        for one in Fast(file):
            yield extracted(name, one.reader.read())


def extracted(name: str, content: bytes) -> str:
    if name.endswith("trafilatura"):
        from trafilatura import extract

        return extract(content.decode(), favor_precision=True, include_comments=False) or ""
    if name.endswith("resiliparse"):
        from resiliparse.extract.html2text import extract_plain_text

        return str(extract_plain_text(content.decode(), main_content=True, alt_texts=False))
    return content.decode()


def work(name: str, kind: str, folder: Path, size: int) -> None:
    """Be a contestant: answer each line of input with the megabytes a second of a round and the characters read."""
    path = folder / FILES[kind]
    read: Callable[[], Iterator[str]] = lambda: ours(kind, path) if name == OURS else peer(name, kind, path)  # noqa: E731
    clock = time.perf_counter if (name, kind) == IN_A_CHILD else time.process_time
    next(read())
    print("ready", flush=True)
    for _ in sys.stdin:
        times, begun = 0, clock()
        while not times or clock() - begun < SECONDS:
            characters = sum(map(len, read()))
            times += 1
        print(json.dumps([times * size / (clock() - begun) / 1e6, characters]), flush=True)


def race(kind: str, folder: Path, size: int, python: str, rounds: int, names: Iterable[str]) -> dict[str, Any]:
    """Run all contestants of a kind in turn."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    processes, found = {}, {name: [] for name in names}  # type: tuple[dict[str, Any], dict[str, list[float]]]
    for name in found:
        interpreter = sys.executable if name == OURS else python
        command = [interpreter, __file__, "--work", name, "--kind", kind, "--folder", str(folder), "--size", str(size)]
        processes[name] = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        if processes[name].stdout.readline().strip() != "ready":
            raise SystemExit(f"{name} did not start for {kind}")
    characters = {}
    for _ in range(rounds):
        for name, process in processes.items():
            process.stdin.write("go\n")
            process.stdin.flush()
            speed, characters[name] = json.loads(process.stdout.readline())
            found[name].append(speed)
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return {
        name: {
            "median_mb_s": median(speeds),
            "rounds": speeds,
            "characters": characters[name],
            "lhama_is_faster": median(mine / other for mine, other in zip(found[OURS], speeds, strict=True)),
        }
        for name, speeds in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--peers", default="", help="an interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=20.0, help="of text that is put into the files")
    for hidden in ("--work", "--kind", "--folder", "--size"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.work, chosen.kind, Path(chosen.folder), int(chosen.size))
        return
    result: dict[str, Any] = {"date": date.today().isoformat(), "processor": platform.processor(), "kinds": {}}
    with tempfile.TemporaryDirectory() as name:
        texts = [text for text in texts_of(chosen.files, int(chosen.megabytes * 1e6)) if text.strip()]
        write_inputs(Path(name), texts)
        for kind, peers in PEERS.items():
            inside = few(texts, "warc resiliparse" if kind.startswith("warc") else kind)
            size = sum(len(text.encode()) for text in inside)
            names = (OURS, *(peers if chosen.peers else ()))
            result["kinds"][kind] = found = race(kind, Path(name), size, chosen.peers, chosen.rounds, names)
            for who, of in found.items():
                faster = f"lhama is {of['lhama_is_faster']:.2f} times as fast" if who != OURS else ""
                print(f"{kind:18} {who:26} {of['median_mb_s']:8.2f} MB/s  {of['characters']:>11,} characters  {faster}")
    target = HERE / "results" / f"corpus-reading-{os.cpu_count()}cores-{date.today().isoformat()}.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
