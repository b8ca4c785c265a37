"""Every kind of source from a recipe to a finished corpus: what comes out, what was dropped, and why."""

import bz2
import gzip
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lhama.corpus import domains, stage, units, webpage
from lhama.corpus.units import Part
from lhama.plan.problem import Problem
from tests.corpus.conftest import Made, MakeCorpus
from tests.corpus.test_warc import answer, html, record, wet
from tests.corpus.test_wikipedia import HEAD, TAIL, page

ANY_LENGTH = "minimum_characters = 0"
PADDING = " e assim passou mais um dia comprido na roça, sem novidade alguma."


def source(kind: str, path: str, more: str = "", name: str = "fonte") -> str:
    return f'[[corpus.source]]\nname = "{name}"\nkind = "{kind}"\npath = "{path}"\n{more}\n'


def out(made: Made) -> dict[str, dict[str, Any]]:
    """Return all documents that came out, held-out ones too, by id."""
    return {row["id"]: row for row in made.train + made.heldout}


def dropped(made: Made) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in made.rejected}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")


def test_a_dump_of_wikipedia(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    pages = [page(n, f"Cidade {n}", f"'''Cidade {n}''' fica junto ao [[rio|grande rio]].") for n in range(1, 9)]
    pages[2] = page(3, "Vila", "#REDIRECIONAMENTO [[Cidade 1]]", more='    <redirect title="Cidade 1" />\n')
    pages[4] = page(5, "Predefinição:Caixa", "{{{1}}}", space=10)
    data = (HEAD + "".join(pages) + TAIL).encode()
    half = len(data) // 2  # two streams, as in the multistream dumps
    (tmp_path / "ptwiki-pages-articles.xml.bz2").write_bytes(bz2.compress(data[:half]) + bz2.compress(data[half:]))
    made = make_corpus(source("wikipedia", "*.bz2", 'license = "CC-BY-SA-4.0"'), ANY_LENGTH)
    found = out(made)
    assert sorted(found) == ["1", "2", "4", "6", "7", "8"]
    assert found["4"]["text"] == "Cidade 4 fica junto ao grande rio."
    assert found["4"]["url"] == "https://pt.wikipedia.org/wiki/Cidade_4"
    assert json.loads(found["4"]["meta"])["title"] == "Cidade 4"
    assert dropped(made) == {"3": "redirect", "5": "not_an_article"}
    assert set(made.report["reasons"]) == {"redirect", "not_an_article"}
    assert "only leads to another one" in made.report["reasons"]["redirect"]["meaning"]


def test_web_archives_with_a_blocklist_and_a_cap_for_each_domain(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    def at(host: str, number: int, content: bytes) -> bytes:
        return record(number, content).replace(b"exemplo.com.br", host.encode())

    text = "A lhama atravessou a serra devagar, porque a estrada era longa e ninguém tinha pressa de chegar à vila. "
    records = [at("a.bom.com.br", n, answer(html(f"{n}. {text}").encode())) for n in range(4)]
    records += [at("jogos.ruim.br", 10, answer(html(f"10. {text}").encode()))]
    records += [at("outro.org", 11, answer(b"", status="404 Not Found"))]
    records += [at("outro.org", 12, answer(b"GIF89a", mime="image/gif"))]
    records += [at("outro.org", 13, answer(html(f"13. {text}").encode()))]
    (tmp_path / "web").mkdir()
    (tmp_path / "web/a.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    (tmp_path / "web/b.warc.wet.gz").write_bytes(gzip.compress(wet(20)))
    (tmp_path / "blocked.txt").write_text("# casinos\nruim.br\n")
    more = 'extractor = "resiliparse"\nblocklist = "blocked.txt"\ndocuments_per_domain = 2'
    made = make_corpus(source("warc", "web", more))
    assert sorted(out(made)) == ["id-0", "id-1", "id-13", "id-20"]
    assert "Menu 3" not in out(made)["id-0"]["text"] and "13. A lhama" in out(made)["id-13"]["text"]
    assert dropped(made) == {
        "id-2": "domain_full",
        "id-3": "domain_full",
        "id-10": "blocked_domain",
        "id-11": "http_error",
        "id-12": "not_a_page",
    }


def test_folders_of_code(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    files = {
        "livre/LICENSE": "Permission is hereby granted, free of charge, to any person obtaining ... "
        "The above copyright notice and this permission notice shall be included",
        "livre/src/soma.py": "def soma(a, b):\n    return a + b  # some\n",
        "livre/vendor/fora.py": "x = 1\n",
        "livre/caixa.min.js": "var a=1;\n",
        "livre/dados.c": "int a[] = {" + "1," * 600 + "};\n",
        "livre/foto.py": "\0\0",
        "livre/leia.pdf": "no code",
        "fechado/COPYING": "GNU General Public License version 3",
        "fechado/a.rs": "fn main() {}\n",
        "sem/b.go": "package main\n",
    }
    for name, text in files.items():
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    made = make_corpus(source("code", "code", 'licenses = "permissive"'), ANY_LENGTH)
    (one,) = made.train + made.heldout
    assert (one["id"], one["text"]) == ("livre/src/soma.py", files["livre/src/soma.py"])
    assert json.loads(one["meta"]) == {"language": "Python", "license": "MIT"}
    assert dropped(made) == {
        "fechado/a.rs": "other_license",
        "livre/caixa.min.js": "generated",
        "livre/dados.c": "minified",
        "livre/foto.py": "binary_file",
        "livre/vendor/fora.py": "vendored",
        "sem/b.go": "no_license",
    }
    everything = make_corpus(source("code", "code"), ANY_LENGTH)
    assert {"fechado/a.rs", "sem/b.go", "livre/src/soma.py"} == set(out(everything))


def test_instructions_of_every_container(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    folder = tmp_path / "tarefas"
    write_rows(folder / "a.jsonl", [{"id": "a", "instruction": "Some.", "input": "1 e 2", "output": "3"}])
    (folder / "b.json").write_text(json.dumps([{"id": "b", "question": "Que é?", "answer": "Uma lhama.", "x": 1}]))
    chat = [{"id": "c", "messages": [{"role": "user", "content": "Oi"}, {"role": "assistant", "content": "Olá"}]}]
    pq.write_table(pa.Table.from_pylist(chat), folder / "c.parquet")
    write_rows(folder / "d.jsonl", [{"id": "d", "instruction": "Conte."}])
    made = make_corpus(source("instruct", "tarefas"), ANY_LENGTH)
    found = out(made)
    assert sorted(found) == ["a", "b", "c"]
    assert all(part in found["a"]["text"] for part in ("Some.", "1 e 2", "3"))
    assert json.loads(found["b"]["meta"]) == {"x": 1, "kind": "instruct", "form": "question"}
    assert found["c"]["text"].endswith("Olá")
    assert dropped(made) == {"d": "no_example"}


def test_instructions_by_templates_of_ones_own(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"id": str(n), "pergunta": f"P{n}?", "resposta": f"R{n}."} for n in range(4)])
    made = make_corpus(source("instruct", "a.jsonl", r'templates = ["{pergunta}\n{resposta}"]'), ANY_LENGTH)
    assert {row["text"] for row in out(made).values()} == {f"P{n}?\nR{n}." for n in range(4)}


def test_a_language_without_templates_is_refused_before_anything_is_read(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    write_rows(tmp_path / "a.jsonl", [{"instruction": "a", "output": "b"}])
    with pytest.raises(Problem, match="no templates for instructions in 'gl'"):
        make_corpus(source("instruct", "a.jsonl", 'language = "gl"'))


def test_documents_of_many_years_are_split_and_may_be_left_out_whole(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    years = {year: f"{year}\n{year}{PADDING}\n" for year in (1990, 1991, 1992)}
    rows = [{"id": "atas", "text": "".join(years.values())}, {"id": "fora", "text": years[1990] + years[1991]}]
    write_rows(tmp_path / "a.jsonl", rows)
    (tmp_path / "out.txt").write_text("fora\n")
    made = make_corpus(source("jsonl", "a.jsonl", "split_at = '^\\d{4}$'"), 'opt_out = "out.txt"')
    assert {name: row["text"] for name, row in out(made).items()} == {
        f"atas#{place}": text for place, text in enumerate(years.values(), 1)
    }
    assert dropped(made) == {"fora#1": "opted_out", "fora#2": "opted_out"}
    assert all(row["text"] == "" for row in made.rejected)


def test_books_are_split_into_parts_of_a_size(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    (tmp_path / "livro.txt").write_text("\n\n".join(f"Parágrafo {n}:{PADDING}" for n in range(30)), encoding="utf-8")
    made = make_corpus(source("txt", "livro.txt", "split_characters = 500"))
    parts = sorted(out(made).values(), key=lambda row: json.loads(row["meta"])["part"])
    assert "".join(row["text"] for row in parts) == (tmp_path / "livro.txt").read_text(encoding="utf-8")
    assert len(parts) > 4 and max(len(row["text"]) for row in parts) <= 500


@pytest.mark.parametrize("megabytes, wanted", [(0.0005, 3), (0.0004, 2), (0.00021, 2), (0.000001, 1), (9, 8)])
def test_a_cap_in_megabytes_ends_with_the_document_that_reaches_it(
    megabytes: float, wanted: int, make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    for name, numbers in (("a", range(3)), ("b", range(3, 8))):
        write_rows(tmp_path / f"{name}.jsonl", [{"id": str(n), "text": f"{n}" + "é" * 99 + "e"} for n in numbers])
    made = make_corpus(source("jsonl", "*.jsonl", f"megabytes = {megabytes:f}"))
    assert sorted(out(made)) == [str(n) for n in range(wanted)]  # of 200 bytes each


def test_a_downloaded_dataset_is_read_as_its_card_says(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    for name in ("pt/um", "pt/dois", "gl/um", "provas/um"):
        write_rows(tmp_path / f"conjunto/{name}.jsonl", [{"id": name, "text": name + PADDING}])
    card = """---
configs:
- config_name: portugues
  data_files:
  - split: train
    path: pt/um.jsonl
  - split: extra
    path: ["pt/do*.jsonl"]
  - split: test
    path: "provas/**"
- config_name: galego
  data_files: "gl/*"
---
# Um conjunto
"""
    (tmp_path / "conjunto/README.md").write_text(card)

    def ids(more: str) -> list[str]:
        (tmp_path / "runs").rename(tmp_path / f"runs-{more}") if (tmp_path / "runs").exists() else None
        return sorted(out(make_corpus(source("hub", "./conjunto", more))))

    assert ids('subset = "portugues"') == ["pt/dois", "pt/um"]
    assert ids('subset = "portugues"\nsplit = "test"') == ["provas/um"]
    assert ids('subset = "galego"\nsplit = "train"') == ["gl/um"]
    with pytest.raises(
        Problem, match=r"subset: the dataset has several configurations; name one of: galego, portugues"
    ):
        ids("")
    with pytest.raises(Problem, match=r"there is no split 'dev'; its card names: extra, test, train"):
        ids('subset = "portugues"\nsplit = "dev"')


def test_another_blocklist_reads_anew_and_a_moved_one_does_not(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rows = [{"id": host, "text": host + PADDING, "url": f"https://{host}/a"} for host in ("bom.br", "ruim.br")]
    write_rows(tmp_path / "a.jsonl", rows)
    (tmp_path / "list.txt").write_text("ruim.br\n")

    def made(path: str) -> Made:
        return make_corpus(source("jsonl", "a.jsonl", f'blocklist = "{path}"'))

    first = made("list.txt")
    assert sorted(out(first)) == ["bom.br"]
    read = (first.folder.parent / "read/manifest.json").stat().st_mtime_ns
    (tmp_path / "list.txt").rename(tmp_path / "moved.txt")
    assert sorted(out(made("moved.txt"))) == ["bom.br"]
    assert (first.folder.parent / "read/manifest.json").stat().st_mtime_ns == read
    (tmp_path / "moved.txt").write_text("bom.br/a\n")
    again = made("moved.txt")
    assert (sorted(out(again)), dropped(again)) == (["ruim.br"], {"bom.br": "blocked_url"})


def test_a_blocklist_that_is_not_there_is_a_problem(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": "a"}])
    with pytest.raises(Problem, match=r"corpus\.source\.fonte\.blocklist: .*list\.txt is no file"):
        make_corpus(source("jsonl", "a.jsonl", 'blocklist = "list.txt"'))


@pytest.mark.parametrize(
    "library, more",
    [
        ("trafilatura", ""),
        ("resiliparse", 'extractor = "resiliparse"'),
        ("tld", 'extractor = "resiliparse"\ndocuments_per_domain = 1'),
    ],
)
def test_a_missing_library_is_named_with_its_remedy(
    library: str, more: str, make_corpus: MakeCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [library, *(name for name in sys.modules if name.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    webpage._library.cache_clear()
    domains._registered.cache_clear()
    (tmp_path / "a.warc").write_bytes(record(1, answer(html("Um texto.").encode())) + wet(2))
    with pytest.raises(Problem, match=rf"needs .*{library}; pip install 'lhama\[web\]'"):
        make_corpus(source("warc", "a.warc", more))


Pack = Callable[[bytes], bytes]


def test_parts_of_any_size_make_the_same_corpus(
    make_corpus: MakeCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = "".join(page(n, f"Rio {n}", f"Um [[rio]] de número {n}{PADDING}") for n in range(9))
    (tmp_path / "w.xml.bz2").write_bytes(bz2.compress((HEAD + pages + TAIL).encode()))
    (tmp_path / "a.wet.gz").write_bytes(gzip.compress(b"".join(wet(n) for n in range(9))))
    write_rows(tmp_path / "i.jsonl", [{"instruction": f"Conte {n}.", "output": "Era" + PADDING} for n in range(9)])
    (tmp_path / "b.txt").write_text("\n\n".join(f"{n}{PADDING}" for n in range(30)), encoding="utf-8")
    sources = [
        source("wikipedia", "w.xml.bz2", "megabytes = 0.0005", name="wiki"),
        source("warc", "a.wet.gz", "split_characters = 60", name="web"),
        source("instruct", "i.jsonl", "documents = 7", name="tarefas"),
        source("txt", "b.txt", "split_characters = 200\nmegabytes = 0.001", name="livro"),
    ]
    whole = make_corpus("".join(sources), ANY_LENGTH)
    (tmp_path / "runs").rename(tmp_path / "whole")
    monkeypatch.setattr(units, "BATCH_ROWS", 2)
    monkeypatch.setattr(stage, "Part", partial(Part, limit=150))
    cut = make_corpus("".join(sources), ANY_LENGTH)
    assert (cut.train, cut.heldout, cut.rejected) == (whole.train, whole.heldout, whole.rejected)
    assert len(list((cut.folder.parent / "read").glob("*.parquet"))) > 10
    taken = {one["name"]: one["documents_in"] for one in cut.report["sources"]}
    assert taken["tarefas"] == 7 and taken["wiki"] < 9 and taken["web"] > 9


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_all_kinds_make_one_corpus(pack: Pack, make_corpus: MakeCorpus, tmp_path: Path) -> None:
    (tmp_path / "w.xml.bz2").write_bytes(pack((HEAD + page(1, "Rio", f"Um [[rio]]{PADDING}") + TAIL).encode()))
    (tmp_path / "a.wet").write_bytes(pack(wet(20)))
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text("for número in range(10):\n    print(número)\n" * 3)
    write_rows(tmp_path / "i.jsonl", [{"id": "i", "instruction": "Conte uma história.", "output": "Era" + PADDING}])
    sources = [
        source("wikipedia", "w.xml.bz2", name="wiki"),
        source("warc", "a.wet", name="web"),
        source("code", "code", name="codigo"),
        source("instruct", "i.jsonl", name="tarefas"),
        '[[corpus.source]]\nname = "contos"\nkind = "tales"\ndocuments = 3\n',
    ]
    made = make_corpus("".join(sources))
    by_source = {one["name"]: one["documents_in"] for one in made.report["sources"]}
    assert by_source == {"wiki": 1, "web": 1, "codigo": 1, "tarefas": 1, "contos": 3}
    assert len(made.train + made.heldout) == 7
