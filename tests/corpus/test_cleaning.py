"""Every step of cleaning through the whole room: what it does to small texts, and that the books balance."""

import json
import tomllib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lhama.corpus import cleaning, words
from lhama.corpus.repair import repair
from lhama.corpus.rules import MEANING
from lhama.plan.recipe import load
from lhama.record.run import Run
from tests.corpus.conftest import MakeCorpus
from tests.corpus.texts import kept, names, prose, reasons, recount, sentences, source, write

WRITTEN = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8"))
MAIL = "fulano.de.tal@empresa.com.br"


def documents(home: Path, count: int = 6, name: str = "fonte") -> dict[str, str]:
    """Write plain documents, two of them held out, and return them by name."""
    ids = [*names(name, count), *names(name, 2, held=True)]
    rows = {one: prose((name, one)) for one in ids}
    write(home / f"{name}.jsonl", rows)
    return rows


def test_repair_mends_training_text_and_leaves_the_heldout_bytes(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    (held,), ids = names("fonte", 1, held=True), names("fonte", 4)
    broken = {
        one: f"\ufeff{prose(one)}\r\nJosÃ© disse que nÃ£o.  \r\n\r\n\r\n\r\n\r\nFim&nbsp;da histÃ³ria." for one in ids
    }
    rows = broken | {"inteiro": prose("inteiro"), held: f"\ufeff{prose(held)}\r\nJosÃ© disse que nÃ£o."}
    write(tmp_path / "fonte.jsonl", rows)
    made = make_corpus(source(), 'repair = ["unicode", "markup", "spaces"]')
    steps = frozenset(["unicode", "markup", "spaces"])
    expected = repair(pa.array(list(broken.values()), pa.large_string()), steps).column.to_pylist()
    assert kept(made) == dict(zip(broken, expected, strict=True)) | {"inteiro": rows["inteiro"]}
    assert all("José disse que não." in text and "história" in text and "\r" not in text for text in expected)
    assert [row["text"] for row in made.heldout] == [rows[held]]
    (of,) = made.report["sources"]
    assert of["repairs"] and all(count["documents"] in (0, 4) for count in of["repairs"].values())
    read = pq.read_table(made.folder.parent / "read" / "000000-00000.parquet")
    clean = dict(zip(read["id"].to_pylist(), read["clean"].to_pylist(), strict=True))
    assert clean["inteiro"] is None and clean[ids[0]] == expected[0]
    recount(made, {"fonte": rows})


def test_lines_leave_documents(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rows = documents(tmp_path)
    first = names("fonte", 1)[0]
    lines = ["Ative o JavaScript do seu navegador para ver esta página.", "This site uses cookies to know you."]
    lines.append("Leia a Política de Privacidade deste site antes de continuar.")
    good = sentences("linhas", 6)
    rows[first] = "\n".join([*lines, *good, "Oi."])
    write(tmp_path / "fonte.jsonl", rows)
    made = make_corpus(source(), 'lines = ["words", "javascript", "policy"]')
    assert kept(made)[first] == "\n".join(good)
    repairs = made.report["sources"][0]["repairs"]
    assert {name: of["times"] for name, of in repairs.items() if of["times"]} == {
        "few_words_lines": 1,
        "javascript_lines": 1,
        "policy_lines": 2,
    }
    recount(made, {"fonte": rows})


def test_other_languages_leave_and_code_is_not_asked(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rows = documents(tmp_path) | {"es": " ".join(WRITTEN["es"]), "en": " ".join(WRITTEN["en"])}
    write(tmp_path / "fonte.jsonl", rows)
    write(tmp_path / "galego.jsonl", galego := {"gl": " ".join(WRITTEN["gl"])})
    (tmp_path / "code").mkdir()
    program = "\n".join(f"def double_{at}(value):\n    return value * {at}\n" for at in range(9))
    (tmp_path / "code" / "a.py").write_text(program)
    code = '[[corpus.source]]\nname = "code"\nkind = "code"\npath = "code"\n'
    made = make_corpus(source() + source("galego", 'language = "gl"') + code, 'languages = ["pt", "gl"]')
    assert reasons(made) == {"es": "other_language", "en": "other_language"}
    assert {row["source"]: row["language"] for row in made.train} == {"fonte": "pt", "galego": "gl", "code": "pt"}
    recount(made, {"fonte": rows, "galego": galego, "code": {made.train[-1]["id"]: program}})


def test_european_portuguese_leaves(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    europe, brazil = (" ".join(WRITTEN[name]) for name in ("pt_pt", "pt_br"))
    (held,) = names("fonte", 1, held=True)
    rows = documents(tmp_path) | {"europa": europe, "brasil": brazil, held: europe + " Ponto."}
    write(tmp_path / "fonte.jsonl", rows)
    made = make_corpus(source(), 'variety = "brazilian"')
    assert reasons(made) == {"europa": "european"}
    assert {"brasil"} < kept(made).keys()
    recount(made, {"fonte": rows})


FAILING = {
    "gopher-quality": ("gopher_short_doc", "Choveu a manhã inteira, e de tarde o sol voltou para secar a roupa."),
    "gopher-repetition": ("dup_line_frac", "\n".join([*sentences("r", 6), *sentences("r", 4)])),
    "c4": ("curly_bracket", prose("chave") + "\n" + prose("outra") + " { fim }."),
    "fineweb": (
        "list_ratio",
        "\n".join(f"{word.strip(',.')} de sal." for word in dict.fromkeys(prose("lista", 2).split())),
    ),
    "code": (
        "mostly_code",
        "\n".join(f"for (int i{at} = 0; i{at} < {at}; i{at}++) {{ soma += x[i{at}]; }}" for at in range(30)),
    ),
}


@pytest.mark.parametrize("group", FAILING)
def test_rules_drop_under_their_own_names(group: str, make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rule, text = FAILING[group]
    rows = documents(tmp_path) | {"ruim": text}
    write(tmp_path / "fonte.jsonl", rows)
    write(tmp_path / "livre.jsonl", {"ruim": text + " Fim."})
    both = source() + source("livre", "rules = []")
    made = make_corpus(both, f'rules = ["{group}"]')
    assert reasons(made) == {"ruim": rule}
    assert made.report["reasons"][rule]["meaning"] == MEANING[rule]
    found = made.report["rules"][rule]
    assert (found["fail"], sum(found["counts"])) == (1, 7)
    assert [row["text"] for row in made.train if row["source"] == "livre"] == [text + " Fim."]
    recount(made, {"fonte": rows, "livre": {"ruim": text + " Fim."}})
    if group == "gopher-quality":
        stricter = make_corpus(both, f'rules = ["{group}"]\nthresholds = {{ {rule} = 500 }}')
        assert set(reasons(stricter).values()) == {rule} and len(reasons(stricter)) == 7
    off = make_corpus(both, f'rules = ["{group}"]\nthresholds = {{ {rule} = "off" }}')
    assert rule not in reasons(off).values() and rule not in off.report["rules"]


def test_capitals_leave_when_asked(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    rows = documents(tmp_path) | {"grito": prose("grito").upper()}
    write(tmp_path / "fonte.jsonl", rows)
    assert not reasons(make_corpus(source(), 'rules = ["gopher-quality"]'))
    made = make_corpus(source(), 'upper_case = "drop"')
    assert reasons(made) == {"grito": "upper_case"}
    recount(made, {"fonte": rows})


def labels(home: Path) -> None:
    """Write labelled rows of two kinds that two families of words tell apart."""
    rows = []
    for number in range(60):
        other = " ".join(f"o goleiro do time defendeu a bola no jogo {word}" for word in prose(number, 1).split()[:4])
        rows += [{"text": prose(number, 2), "label": "vila"}, {"text": other, "label": "futebol"}]
    (home / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


CLASSIFIER = '[[corpus.classifier]]\nname = "bola"\nlabels = "labels.jsonl"\ntarget = "futebol"\nthreshold = 0.5\n'
GAME = "O time perdeu o jogo porque o goleiro não viu a bola, e o outro time jogou a bola no gol de novo. " * 3


@pytest.mark.parametrize("action", ["drop", "score", "bucket"])
def test_classifiers(action: str, make_corpus: MakeCorpus, tmp_path: Path) -> None:
    labels(tmp_path)
    (held,) = names("fonte", 1, held=True)
    rows = documents(tmp_path) | {"jogo": GAME, held: GAME + " Fim."}
    write(tmp_path / "fonte.jsonl", rows)
    made = make_corpus(f'{CLASSIFIER}action = "{action}"\n' + source())
    assert reasons(made) == ({"jogo": "bola"} if action == "drop" else {})
    sources = {row["id"]: row["source"] for row in made.train}
    named = "fonte-bola" if action == "bucket" else "fonte"
    assert {name: of for name, of in sources.items() if of != "fonte"} == ({"jogo": named} if named != "fonte" else {})
    assert {row["source"] for row in made.heldout} == {"fonte"}, "bits per byte are measured in the same sources"
    buckets = made.report["sources"][0]["buckets"]
    assert buckets == ({"fonte-bola": {"documents": 1, "bytes": len(GAME.encode())}} if action == "bucket" else {})
    tool = made.report["tools"]["classifiers"]["bola"]
    assert (tool["action"], tool["threshold"], tool["classes"]) == (action, 0.5, ["futebol", "vila"])
    read = pq.read_table(made.folder.parent / "read" / "000000-00000.parquet")
    scores = dict(zip(read["id"].to_pylist(), read["score_bola"].to_pylist(), strict=True))
    assert all((score >= 0.5) == (name in ("jogo", held)) for name, score in scores.items())
    recount(made, {"fonte": rows})


@pytest.mark.parametrize("action", ["mask", "drop"])
def test_personal_data(action: str, make_corpus: MakeCorpus, tmp_path: Path) -> None:
    (held,) = names("fonte", 1, held=True)
    mail = f"{prose('carta')} Escreva para {MAIL} ainda hoje."
    rows = documents(tmp_path) | {"carta": mail, held: f"{mail} Obrigado."}
    write(tmp_path / "fonte.jsonl", rows)
    made = make_corpus(source(), f'personal_data = "{action}"')
    found = made.report["sources"][0]["personal_data"]
    if action == "drop":
        assert reasons(made) == {"carta": "personal_data"}
        assert not any(of["documents"] for of in found.values())
    else:
        assert not made.rejected and MAIL not in json.dumps([row["text"] for row in made.train])
        assert kept(made)["carta"].startswith(prose("carta") + " Escreva para ")
        assert {name: of for name, of in found.items() if of["times"]} == {"email": {"documents": 1, "times": 1}}
    assert {row["text"] for row in made.heldout if row["id"] == held} == {rows[held]}
    recount(made, {"fonte": rows})


def everything(folder: Path) -> bytes:
    """Return all that a folder holds, with what is packed in parquet files unpacked."""
    found = b""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found += path.read_bytes()
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                found += json.dumps(
                    [column.cast(pa.binary()).to_pylist() for column in table.columns if column.type == pa.string()],
                    default=lambda value: value.decode("utf-8", "replace"),
                    ensure_ascii=False,
                ).encode()
                found += repr(table.to_pylist()).encode()
    return found


def test_nothing_is_left_of_what_owners_want_out(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    secret = "palavrinhaquesomenteelausou"
    rows = documents(tmp_path) | {"dela": f"{prose('dela')} {secret}"}
    write(tmp_path / "fonte.jsonl", rows, url={"dela": f"https://{secret}.br/"}, tom={"dela": secret})
    steps = "contained = 0.8\nnear_duplicates = true\nrepeated_lines = 3\n"
    assert secret.encode() in everything(make_corpus(source(), steps).folder.parent)
    (tmp_path / "out.txt").write_text("fonte/dela\nninguem\n")
    made = make_corpus(source(), f'{steps}opt_out = "out.txt"')
    assert reasons(made) == {"dela": "opted_out"}
    assert secret.encode() not in everything(made.folder.parent), "the earlier run is gone, too"
    assert made.report["sources"][0]["dropped"] == {"opted_out": 1}
    rows["dela"] = ""
    recount(made, {"fonte": rows})


def test_only_so_many_documents_of_a_domain_stay(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    pytest.importorskip("tld")
    ids = names("fonte", 9)
    (held,) = names("fonte", 1, held=True)
    rows = {held: prose(held)} | {one: prose(one) for one in ids}
    rows[ids[1]] = rows[ids[0]]  # a copy takes no place
    urls = {one: f"https://{'www.' * (place % 2)}exemplo.com.br/{place}" for place, one in enumerate([held, *ids[:5]])}
    urls[ids[5]] = "https://outro.com.br/"
    write(tmp_path / "fonte.jsonl", rows, url=urls)
    write(tmp_path / "livre.jsonl", free := {one: prose(("livre", one)) for one in ids}, url=urls)
    made = make_corpus(source("fonte", "documents_per_domain = 2") + source("livre"))
    assert reasons(made) == {ids[1]: "exact_duplicate", ids[3]: "domain_full", ids[4]: "domain_full"}
    recount(made, {"fonte": rows, "livre": free})


def test_a_bucket_is_a_source_that_phases_can_mix(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    from lhama.plan.schedule import phases
    from lhama.tokens import stage as tokens_stage
    from lhama.tokens.loader import Loader, heldout, read_index

    labels(tmp_path)
    rows = documents(tmp_path, 40) | {f"jogo {number}": f"{GAME} Fim do jogo {number}." for number in range(30)}
    write(tmp_path / "fonte.jsonl", rows)
    phase = '[[train.phase]]\nname = "um"\ntokens = 4096\nmixture = { fonte-bola = 3, fonte = 1 }\n'
    tokens = "[tokens]\nvocabulary = 640\nsequence = 64\n"
    made = make_corpus(f'{CLASSIFIER}action = "bucket"\n{source()}{tokens}{phase}')
    recipe = load(tmp_path / "recipe.toml")
    run = Run.open(recipe, tmp_path / "runs")
    tokens_stage.run_stage(recipe, run)
    index = {entry["name"]: entry for entry in read_index(run.path("tokens"))["sources"]}
    in_bucket = sum(row["source"] == "fonte-bola" for row in made.train)
    assert {name: entry["documents"] for name, entry in index.items()} == {"fonte": 40, "fonte-bola": in_bucket}
    assert in_bucket >= 25
    assert [one.source for one in heldout(run.path("tokens"))] == ["fonte"]
    loader = Loader(run.path("tokens"), phases(recipe), 64, recipe.tokens.packing, recipe.seed)
    assert set(loader.sources) == {"fonte", "fonte-bola"} and loader.tokens_of("fonte-bola") > 0


def test_a_process_compiles_apart_for_its_first_recipe_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words.cut, "_cache_hits", Counter({"a signature": 1}))
    monkeypatch.setattr(cleaning, "UNTOLD", iter((True,)))
    assert not cleaning.is_new_here()
    monkeypatch.setattr(words.cut, "_cache_hits", Counter())
    assert [cleaning.is_new_here() for _ in range(3)] == [True, False, False]
