"""Personal data: every kind is found where its digits are right, nothing else is, and a mask is never found again."""

import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lhama.corpus.pii import FINDERS, KINDS, mask
from lhama.corpus.pii_patterns import CARD, CNPJ, CPF, EMAIL, IP, LONG_IP, PHONE, is_card, is_cnpj, is_cpf

DATA = Path(__file__).parents[2].parent / "shared/data/corpus"
MASKS = {
    "email": EMAIL.decode(),
    "ip": IP.decode(),
    "phone": PHONE.decode(),
    "cpf": CPF.decode(),
    "cnpj": CNPJ.decode(),
    "card": CARD.decode(),
}


def masked(text: str) -> str:
    return str(mask(pa.array([text], pa.large_string())).column[0].as_py())


def counted(text: str) -> dict[str, int]:
    counts = mask(pa.array([text], pa.large_string())).counts
    return {name: int(numbers[0]) for name, numbers in counts.items() if numbers[0]}


# ---- numbers with check digits, by the textbook


def cpf_of(nine: str) -> str:
    digits = [int(digit) for digit in nine]
    for length in (10, 11):
        total = sum(digit * weight for digit, weight in zip(digits, range(length, 1, -1), strict=True))
        digits.append(total * 10 % 11 % 10)
    return "".join(map(str, digits))


def cnpj_of(twelve: str) -> str:
    values = [ord(character) - 48 for character in twelve]
    for weights in ("543298765432", "6543298765432"):
        rest = sum(value * int(weight) for value, weight in zip(values, weights, strict=True)) % 11
        values.append(0 if rest < 2 else 11 - rest)
    return f"{twelve}{values[12]}{values[13]}"


def card_of(start: str) -> str:
    for last in "0123456789":
        number = start + last
        total = 0
        for place, digit in enumerate(reversed(number)):
            doubled = int(digit) * 2 if place % 2 else int(digit)
            total += doubled - 9 if doubled > 9 else doubled
        if total % 10 == 0:
            return number
    raise AssertionError("one of ten digits makes the sum right")


def another_last_digit(number: str) -> str:
    return number[:-1] + str((int(number[-1]) + 1) % 10)


def grouped_cpf(cpf: str, sign: str = ".") -> str:
    return f"{cpf[:3]}{sign}{cpf[3:6]}{sign}{cpf[6:9]}-{cpf[9:]}"


def grouped_cnpj(cnpj: str) -> str:
    return f"{cnpj[:2]}.{cnpj[2:5]}.{cnpj[5:8]}/{cnpj[8:12]}-{cnpj[12:]}"


def in_fours(number: str, sign: str) -> str:
    return sign.join(number[start : start + 4] for start in range(0, len(number), 4))


@pytest.mark.parametrize("seed", range(40))
def test_a_right_cpf_is_masked_and_a_wrong_one_is_not(seed: int) -> None:
    cpf = cpf_of(f"{random.Random(seed).randrange(10, 10**9):09d}")
    wrong = another_last_digit(cpf)
    for written in (cpf, grouped_cpf(cpf), grouped_cpf(cpf, " "), f"{cpf[:9]}-{cpf[9:]}", f"nº{grouped_cpf(cpf)}"):
        mark = "nº" if written.startswith("nº") else ""
        assert masked(f"Portador do CPF {written}, brasileiro.") == f"Portador do CPF {mark}{MASKS['cpf']}, brasileiro."
    for written in (wrong, grouped_cpf(wrong), grouped_cpf(wrong, " "), f"{wrong[:9]}-{wrong[9:]}"):
        assert counted(f"Portador do documento {written}, brasileiro.") == {}


@pytest.mark.parametrize("seed", range(40))
def test_a_right_cnpj_is_masked_and_a_wrong_one_is_not(seed: int) -> None:
    generator = random.Random(seed)
    digits = cnpj_of(f"{generator.randrange(10**6, 10**8):08d}0001")
    letters = cnpj_of("".join(generator.choices("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=12)))
    for cnpj in (digits, letters):
        for written in (
            grouped_cnpj(cnpj),
            f"{cnpj[:8]}/{cnpj[8:12]}-{cnpj[12:]}",
            f"CNPJ {cnpj}",
            f"CNPJ/MF nº {cnpj}",
        ):
            assert MASKS["cnpj"] in masked(f"A empresa ({written}) fica na rua.")
            assert counted(f"A empresa ({another_last_digit(written)}) fica na rua.") == {}
    assert counted(f"Guia {digits}, paga.") == {"cnpj": 1}
    assert counted(f"Chave {letters}, nova.") == {} or letters.isdigit()  # bare letters could be anything


@pytest.mark.parametrize(
    ("start", "groups"),
    [
        ("453201511283036", (4, 4, 4, 4)),  # Visa
        ("542523343010990", (4, 4, 4, 4)),  # Mastercard
        ("222300004840001", (4, 4, 4, 4)),  # Mastercard, the newer numbers
        ("37144963539843", (4, 6, 5)),  # American Express
        ("601100099013942", (4, 4, 4, 4)),  # Discover
        ("353011133330000", (4, 4, 4, 4)),  # JCB
        ("636297000045701", (4, 4, 4, 4)),  # Elo
        ("606282567816563", (4, 4, 4, 4)),  # Hipercard
        ("3056930902590", (4, 6, 4)),  # Diners Club
        ("453201511283036000", (4, 4, 4, 4, 3)),  # Visa with 19 digits
    ],
)
def test_cards_of_every_issuer(start: str, groups: tuple[int, ...]) -> None:
    number = card_of(start)
    wrong = another_last_digit(number)
    at, parts = 0, []
    for length in groups:
        parts.append((number[at : at + length], wrong[at : at + length]))
        at += length
    for sign in (" ", "-"):
        assert masked(f"cartão {sign.join(right for right, _ in parts)}.") == f"cartão {MASKS['card']}."
        assert counted(f"cartão {sign.join(bad for _, bad in parts)}.") == {}
    if len(number) in (15, 16):
        assert counted(f"cartão {number}.") == {"card": 1}
        assert counted(f"cartão {wrong}.") == {}


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789", min_size=11, max_size=11))
def test_the_digits_of_a_cpf_are_checked_as_the_textbook_says(digits: str) -> None:
    assert is_cpf(digits.encode()) == (cpf_of(digits[:9]) == digits and len(set(digits)) > 1)
    right = cpf_of(digits[:9])
    assert is_cpf(right.encode()) == (len(set(right)) > 1)


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789ABCXYZ", min_size=12, max_size=12), st.text("0123456789", min_size=2, max_size=2))
def test_the_digits_of_a_cnpj_are_checked_as_the_textbook_says(twelve: str, two: str) -> None:
    several = len(set(twelve[:8])) > 1
    assert is_cnpj(cnpj_of(twelve).encode()) == several
    assert is_cnpj(f"{twelve}{two}".encode()) == (several and cnpj_of(twelve) == twelve + two)


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789", min_size=15, max_size=15))
def test_the_sum_of_a_card_is_checked_as_the_textbook_says(digits: str) -> None:
    visa = card_of(f"4{digits[1:]}")
    assert is_card(visa.encode())
    assert not is_card(another_last_digit(visa).encode())


def test_known_numbers() -> None:
    assert is_cpf(b"52998224725")
    assert not is_cpf(b"11111111111")
    assert is_cnpj(b"11222333000181")
    assert is_cnpj(b"12ABC34501DE35")  # the example of the revenue service's manual
    assert is_card(b"4111111111111111")
    assert not is_card(b"7891000315507000")


# ---- e-mail, addresses, telephones


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("escreva a ana.souza+lista@uol.com.br.", f"escreva a {EMAIL.decode()}."),
        ("“joão@empresa.com”", f"“{EMAIL.decode()}”"),
        ("<a_b@x.org>,c@d.net;", f"<{EMAIL.decode()}>,{EMAIL.decode()};"),
        ("ana@uol.com.br-529.982.247-25", f"ana@uol.com.br-{CPF.decode()}"),
        ("mailto:ANA@EMPRESA.COM.BR?x", f"mailto:{EMAIL.decode()}?x"),
        ("o servidor 200.147.67.142:8080/x", f"o servidor {IP.decode()}:8080/x"),
        ("http://64.233.169.104/busca", f"http://{IP.decode()}/busca"),
        ("de 200.147.67.142/32 e 200.147.67.142/busca", f"de {IP.decode()}/32 e {IP.decode()}/busca"),
        ("em 2804:14c:123::8844, fim", f"em {LONG_IP.decode()}, fim"),
        ("[2001:4860:4860:0:0:0:0:8888]", f"[{LONG_IP.decode()}]"),
    ],
)
def test_addresses_are_masked(text: str, after: str) -> None:
    assert masked(text) == after


@pytest.mark.parametrize(
    "number",
    [
        *("(11) 98765-4321", "(11) 3333-4444", "(11)33334444", "( 11 )98765.4321".replace(" ", ""), "(011) 3333-4444"),
        *(
            "(0xx21) 2222-3333",
            "(0**21) 2222-3333",
            "0xx11 3333-4444",
            "011 3333-4444",
            "11 98765-4321",
            "11-3333-4444",
        ),
        *("+55 11 98765-4321", "+55 (11) 98765-4321", "+5511987654321", "+55 11 3333.4444", "0055 11 3333-4444"),
        *("(43) 9 9116-0080", "(85) 99999 8888"),
    ],
)
def test_telephones_are_masked_however_they_are_written(number: str) -> None:
    assert masked(f"Ligue já, {number}, até as 18h.") == f"Ligue já, {PHONE.decode()}, até as 18h."


@pytest.mark.parametrize(
    "word", ["Tel.", "tel:", "Telefone:", "Fone", "FAX:", "Celular", "WhatsApp", "cel.", "ligue para"]
)
@pytest.mark.parametrize("number", ["3333-4444", "33334444", "98765-4321", "987654321", "68 3302-0444", "11 987654321"])
def test_a_word_before_it_makes_a_shorter_number_a_telephone(word: str, number: str) -> None:
    assert masked(f"{word} {number}, manhã") == f"{word} {PHONE.decode()}, manhã"


def test_two_telephones_written_as_one() -> None:
    assert masked("Tel. 68 3302-0444/0445, Rio Branco") == f"Tel. {PHONE.decode()}/0445, Rio Branco"


NOTHING = [
    "Lei nº 13.709/2018, de 14 de agosto de 2018, e Lei 9.610/98, art. 8º",
    "Processo 0016947-70.2017.8.07.0000 e HC 151.914, fls. 1823-1830",
    "Autos nº 2004.61.00.012345-6 e 20170020161362ADI",
    "CEP 01310-100 e 69.915-631, caixa postal 12345",
    "de 12/03/1998 a 31-12-2004, às 10:30:45, em 2004-2005 e 1990-1994",
    "R$ 12.345.678,90, US$ 1,234,567.89, R$ 1.318.639.330,00 e 1.000.000.000",
    "versão 10.0.22.1, version 45.30.2.1, v. 4.18.0.193, Chrome/45.0.245.85",
    "seção 2.1.1.3 e item 3.4.12.7, no servidor 8.8.8.8",
    "10.0.0.1, 192.168.0.200, 127.0.0.1, 172.16.0.13, 169.254.1.1, 0.0.0.0, 255.255.255.255, 203.0.113.7",
    "::1, fe80::1, fd00:1234::5, 2001:db8::1, 20:15:30, std::vector::size, 2024:15:30",
    "ISBN 978-85-7522-405-8, ISBN 85-359-0277-5, 9788575224058, ISSN 1414-3283",
    "código 7891000315507, 17891000315504 e boleto 23793.38128 60007.827136 95000.063305 9 75520000370000",
    "em 20170101123000 e 1511267899, 1511267899123",
    "git@github.com:a/b.git, icon@2x.png, @usuario, lodash@4.17.21, a@b, fim@ .com, email@example.com, x@y.test",
    "(99) 9999-9999, (11) 99999-9999, tel. 6666-6666, telefone 99999999",
    "a rede 200.147.64.0/18 e 45.6.0.0/8, cifra hmac-ripemd160@openssh.com",
    "0800 722 6001, 4004-1234, 190, 3003 e 1234-5678",
    "coordenadas -23.550520, -46.633308; 3.14159265358979; 0.4532015112830366",
    "a tabela: 11 2345 6789 1234, 21 2001-2004, 19 1998-2003, 100 200 300 400 500",
    "id=52998224725&x=11222333000181 /noticia-52998224725/ 58ac4e422c1c0693a55bf2dd2231dbcc567cd564",
    "000.000.000-00, 111.111.111-11, 00.000.000/0000-00, 0000 0000 0000 0000, (00) 0000-0000, (10) 3333-4444",
    "uuid 165b7c11-1325-4813-b160-ec5213f4485d e hash 4111111111111111a",
]


@pytest.mark.parametrize("text", NOTHING)
def test_other_numbers_are_none(text: str) -> None:
    assert masked(text) == text


def test_a_document_is_counted_and_kept_when_it_is_to_be_dropped() -> None:
    texts = ["nada", "ana@uol.com.br e (11) 98765-4321", None, "", f"CPF {grouped_cpf(cpf_of('529982247'))}"]
    column = pa.array(["fora", *texts], pa.large_string()).slice(1)
    dropped = mask(column, "drop")
    assert dropped.column.to_pylist() == texts
    assert [sum(int(dropped.counts[kind][place]) for kind in KINDS) for place in range(5)] == [0, 2, 0, 0, 1]
    kept = mask(column)
    assert kept.column.to_pylist() == ["nada", f"{EMAIL.decode()} e {PHONE.decode()}", None, "", f"CPF {CPF.decode()}"]
    assert {kind: numbers.tolist() for kind, numbers in kept.counts.items()} == {
        kind: numbers.tolist() for kind, numbers in dropped.counts.items()
    }


def test_other_kinds_of_columns() -> None:
    assert mask(pa.array([], pa.string())).column.to_pylist() == []
    chunks = pa.chunked_array([["a@b.com.br"], ["nada"]], pa.string())
    assert mask(chunks).column.to_pylist() == [EMAIL.decode(), "nada"]
    clean = pa.array(["limpo", "texto"], pa.large_string())
    assert mask(clean).column.buffers()[2].address == clean.buffers()[2].address


PERSONAL = st.one_of(
    st.integers(10, 10**9 - 1).map(lambda number: grouped_cpf(cpf_of(f"{number:09d}"))),
    st.integers(10, 10**9 - 1).map(lambda number: cpf_of(f"{number:09d}")),
    st.integers(10, 10**8 - 1).map(lambda number: grouped_cnpj(cnpj_of(f"{number:08d}0001"))),
    st.integers(0, 10**14 - 1).map(lambda number: in_fours(card_of(f"4{number:014d}"), " ")),
    st.integers(0, 10**14 - 1).map(lambda number: card_of(f"5{1 + number % 5}{number // 10:013d}")),
    st.sampled_from(["ana@uol.com.br", "(11) 98765-4321", "+55 21 2222-3333", "200.147.67.142", "2804:14c::1"]),
    st.sampled_from(["Tel. 3333-4444", "12.ABC.345/01DE-35", "CNPJ 12ABC34501DE35"]),
)
BETWEEN = st.sampled_from(
    [" ", ", ", "; ", "\n", " e ", ") ", "/", "-", ".", " (", "–", "é", "", " R$ ", "CNPJ ", "0", "11 ", ":"]
)
MIXED = st.lists(st.one_of(PERSONAL, BETWEEN, st.sampled_from(NOTHING), st.text(max_size=6)), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(MIXED, st.text(), st.text("0123456789 .-/()+@:aCNPJx")))
def test_what_is_masked_holds_nothing_any_more(text: str) -> None:
    once = masked(text)
    assert counted(once) == {}
    assert masked(once) == once
    once.encode()


@settings(max_examples=300, deadline=None)
@given(MIXED)
def test_the_scan_misses_nothing_that_the_patterns_find(text: str) -> None:
    data = text.encode()
    expected = sum(len(list(find(data))) for _, _, find in FINDERS)
    assert bool(counted(text)) == (expected > 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(NOTHING), min_size=1, max_size=6).map("\n".join))
def test_many_numbers_together_are_still_nothing(text: str) -> None:
    assert masked(text) == text


def test_personal_data_is_found_wherever_it_stands_in_a_long_text() -> None:
    prose = "A chuva caiu a tarde inteira sobre os telhados da vila, e ninguém saiu. " * 40
    for place in range(0, 200):
        text = f"{prose[:place]} (11) 98765-4321 {prose}\n{prose[place:]} ana@uol.com.br {prose[:place]}"
        assert counted(text) == {"email": 1, "phone": 1}


@pytest.mark.parametrize(
    "text",
    ["1 " * 30_000, "1" * 60_000, "a@" * 30_000, "@" * 60_000, "1." * 30_000, "cnpj" * 15_000, "2000:" * 12_000,
     "(" * 60_000, "@." * 60_000, "a@." * 40_000, "tel " * 15_000, "a.b@c." * 10_000, "+55 " * 15_000,
     "12.ABC.345/01DE-" * 4_000],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_no_text_costs_more_than_its_length_allows(text: str) -> None:
    assert masked(text) == text


@pytest.mark.skipif(not DATA.is_dir(), reason="the real text is not here")
@pytest.mark.parametrize("name", ["machado_de_assis", "romances_brasil", "leis_oab", "wiki_paramopama"])
def test_old_books_and_laws_hold_no_personal_data(name: str) -> None:
    import json

    import zstandard

    with (DATA / f"{name}.jsonl.zst").open("rb") as file:
        lines = zstandard.ZstdDecompressor().stream_reader(file).read(800_000).decode("utf-8", "ignore").split("\n")
    texts = pa.array([json.loads(line)["text"] for line in lines[:-1]], pa.large_string())
    found = mask(texts, "drop").counts
    assert {kind: int(numbers.sum()) for kind, numbers in found.items()} == dict.fromkeys(KINDS, 0)
