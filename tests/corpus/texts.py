"""Material for the tests of the whole room: Portuguese prose that never repeats, and a corpus counted by hand."""

import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from lhama.corpus.report import check_conservation
from tests.corpus.conftest import Made

WHO = """a vizinha;o barqueiro;uma menina;o padeiro;meu avô;a costureira;o carteiro;uma freira;o pescador;a diretora;
um soldado;a enfermeira;o ferreiro;minha prima;o jardineiro;a cantora;um viajante;o maestro;a rendeira;o vaqueiro"""
DID = """contou devagar;escondeu depressa;procurou em vão;trouxe de longe;vendeu sem pena;guardou com zelo;
pintou de azul;consertou sozinha;perdeu outra vez;achou por acaso;emprestou de má vontade;lavou com sabão;
dividiu em partes;mostrou com orgulho;carregou nas costas;trocou por farinha;enterrou no quintal;deixou para trás;
embrulhou em papel;recusou com firmeza"""
WHAT = """a chave da igreja;um relógio antigo;o segredo da família;uma rede de pesca;o caderno de contas;duas cartas
fechadas;um saco de milho;a bandeira do clube;o retrato do noivo;uma panela de barro;o mapa da ilha;um chapéu de palha;
a viola sem cordas;o vestido da festa;um par de botas;a receita do bolo;o anel de prata;uma gaiola vazia;o livro de
orações;a lamparina apagada"""
WHEN = """antes da chuva;no fim da feira;durante a missa;depois do almoço;na véspera do natal;ao nascer do sol;perto da
meia-noite;no meio da colheita;quando o trem chegou;na segunda semana de maio;enquanto o sino tocava;ao voltar da roça;
no dia do batizado;sem que ninguém visse;diante do delegado;embaixo da mangueira;na beira do rio;sob a ponte velha;junto
ao poço;na sala dos fundos"""
PARTS = [[part.replace("\n", " ").strip() for part in column.split(";")] for column in (WHO, DID, WHAT, WHEN)]
WHY = ["porque", "embora", "visto que", "ainda que", "já que", "se bem que"]


def sentence(draws: random.Random) -> str:
    one, two = ([draws.choice(column) for column in PARTS] for _ in range(2))
    said = f"{' '.join(one)}, {draws.choice(WHY)} {' '.join(two[:3])}"
    return said[0].upper() + said[1:] + "."


def sentences(seed: Any, count: int = 8) -> list[str]:
    """Write sentences of some 20 words; two seeds share phrases of 4 words and hardly more."""
    draws = random.Random(str(seed))
    return [sentence(draws) for _ in range(count)]


def prose(seed: Any, count: int = 8) -> str:
    return " ".join(sentences(seed, count))


def is_held(source: str, name: str) -> bool:
    return int(hashlib.sha256(f"{source}/{name}".encode()).hexdigest(), 16) % 50 == 0


def names(source: str, count: int, held: bool = False) -> list[str]:
    """List names of documents that fall into the split."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        if is_held(source, f"d{number}") == held:
            found.append(f"d{number}")
        number += 1
    return found


def write(path: Path, rows: dict[str, str], **more: dict[str, str]) -> None:
    """Write documents by name; `more` are other columns, by name, too."""
    lines = [
        json.dumps({"id": name, "text": text} | {key: of[name] for key, of in more.items() if name in of})
        for name, text in rows.items()
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def source(name: str = "fonte", more: str = "") -> str:
    return f'[[corpus.source]]\nname = "{name}"\npath = "{name}.jsonl"\n{more}\n'


def reasons(made: Made) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in made.rejected}


def kept(made: Made) -> dict[str, str]:
    return {row["id"]: row["text"] for row in made.train}


def recount(made: Made, raw: dict[str, dict[str, str]]) -> None:
    """Count the written files again, and compare with the report; `raw` has the texts that came in, by source."""
    check_conservation(made.report)

    def counted(rows: list[dict[str, Any]]) -> tuple[int, int, int]:
        texts = [row["text"].encode() for row in rows]
        return len(texts), sum(map(len, texts)), sum(len(text.split()) for text in texts)

    for of in made.report["sources"]:
        name, came = of["name"], raw[of["name"]]
        buckets = {name, *(f"{name}-{bucket}" for bucket in made.report["tools"]["classifiers"])}
        train = [row for row in made.train if row["source"] in buckets]
        held = [row for row in made.heldout if row["source"] == name]
        out = [row for row in made.rejected if row["source"] == name]
        assert counted(train) == (of["kept"], of["bytes_out"], of["words_out"])
        assert counted(held) == (of["heldout"], of["heldout_bytes"], of["heldout_words"])
        assert {row["id"]: row["text"] for row in held} == {key: came[key] for key in came if is_held(name, key)}
        assert all(row["text"] == came[row["id"]] for row in out if row["reason"] != "opted_out")
        assert Counter(row["reason"] for row in out) == of["dropped"]
        for reason in of["dropped"]:
            _, size, words = counted([row for row in out if row["reason"] == reason])
            assert (size, words) == (of["dropped_bytes"][reason], of["dropped_words"][reason])
        assert of["documents_in"] == len(came) == len(train) + len(held) + len(out)
        away = sum(len(came[row["id"]].encode()) - len(row["text"].encode()) for row in train)
        assert of["bytes_cleaned_away"] == away
    for reason, of in made.report["reasons"].items():
        assert of["documents"] == sum(row["reason"] == reason for row in made.rejected)
        assert not of["meaning"].startswith("The classifier") or reason in made.report["tools"]["classifiers"]
