"""Inflection of Brazilian Portuguese for the tales: lemmas go in, agreeing word forms come out.

Nouns get their plural, adjectives and participles their four forms, determiners and contractions theirs, verbs the
persons a children's story needs (eu, ele, nós, eles). Gender and number are one bit each of a mask (MS, FS, MP, FP), so
that "agrees" is a bitwise AND both here and in check.py. The subtle thing is spelling: ficar gives fiquei, começar
comecei, fugir fujo and foge. Rules and irregular verbs after Cunha and Cintra, Nova gramática do português
contemporâneo (1985), chapters 7, 8 and 13.
"""

from collections.abc import Mapping

MS, FS, MP, FP = 1, 2, 4, 8
SINGULAR, PLURAL = MS | FS, MP | FP
MASCULINE, FEMININE = MS | MP, FS | FP
ANY = 15
SLOTS = (MS, FS, MP, FP)

EU, ELE, NOS, ELES, INFINITIVE, GERUND = 1, 2, 4, 8, 16, 32
FINITE = EU | ELE | NOS | ELES

Forms = tuple[str, str, str, str]

_IRREGULAR_PLURALS = {
    "mão": "mãos", "irmão": "irmãos", "pão": "pães", "cão": "cães", "chão": "chãos", "grão": "grãos",
    "capitão": "capitães", "avô": "avôs", "lápis": "lápis", "ônibus": "ônibus", "réptil": "répteis",
    "segunda-feira": "segundas-feiras", "terça-feira": "terças-feiras", "quarta-feira": "quartas-feiras",
    "quinta-feira": "quintas-feiras", "sexta-feira": "sextas-feiras", "arco-íris": "arco-íris",
    "beija-flor": "beija-flores", "fácil": "fáceis", "difícil": "difíceis", "útil": "úteis", "ágil": "ágeis",
    "frágil": "frágeis", "simples": "simples", "mês": "meses",
}  # fmt: skip
_ENDINGS = (
    ("ão", "ões"), ("m", "ns"), ("al", "ais"), ("ável", "áveis"), ("ível", "íveis"), ("el", "éis"), ("ol", "óis"),
    ("ul", "uis"), ("il", "is"), ("r", "res"), ("z", "zes"), ("s", "ses"), ("n", "ns"),
)  # fmt: skip


def listed(text: str) -> tuple[str, ...]:
    """Split a line of words; tables of words read best as lines."""
    return tuple(text.split())


def plural(noun: str) -> str:
    """Give the plural of a singular noun or adjective."""
    if noun in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[noun]
    for ending, ending_plural in _ENDINGS:
        if noun.endswith(ending):
            return noun[: -len(ending)] + ending_plural
    return noun + "s"


_FEMININES = {
    "bom": "boa",
    "mau": "má",
    "cru": "crua",
    "são": "sã",
    "professor": "professora",
    "brincalhão": "brincalhona",
    "chorão": "chorona",
}


def adjective(masculine: str) -> Forms:
    """Give the four forms (masculine and feminine singular, then plural) of an adjective."""
    if masculine in _FEMININES:
        feminine = _FEMININES[masculine]
    elif masculine.endswith("o"):
        feminine = masculine[:-1] + "a"
    elif masculine.endswith("dor"):
        feminine = masculine + "a"
    else:
        feminine = masculine
    return masculine, feminine, plural(masculine), plural(feminine)


def _regular(masculine: str) -> Forms:
    return masculine, masculine[:-1] + "a", masculine + "s", masculine[:-1] + "as"


def _demonstrative(stem: str) -> Forms:
    return stem + "e", stem + "a", stem + "es", stem + "as"


DETERMINERS: Mapping[str, Forms] = {
    "o": ("o", "a", "os", "as"),
    "um": ("um", "uma", "uns", "umas"),
    "do": ("do", "da", "dos", "das"),
    "no": ("no", "na", "nos", "nas"),
    "ao": ("ao", "à", "aos", "às"),
    "pelo": ("pelo", "pela", "pelos", "pelas"),
    "num": ("num", "numa", "nuns", "numas"),
    "meu": ("meu", "minha", "meus", "minhas"),
    "seu": ("seu", "sua", "seus", "suas"),
    "algum": ("algum", "alguma", "alguns", "algumas"),
    "nenhum": ("nenhum", "nenhuma", "nenhuns", "nenhumas"),
    **{
        word: _regular(word)
        for word in listed(
            "nosso outro mesmo próprio todo muito pouco tanto quanto certo primeiro segundo terceiro último"
        )
    },
    **{
        stem + "e": (stem + "e", stem + "a", stem + "es", stem + "as")
        for stem in listed("est ess aquel dest dess daquel nest ness naquel")
    },
}
"""Words before a noun that agree with it, among them the contractions of de, em, a and por with the article."""

PRONOUNS: Mapping[str, Forms] = {
    stem + "e": (stem + "e", stem + "a", stem + "es", stem + "as") for stem in ("el", "del", "nel")
}
"""Third-person pronouns and their contractions with de and em."""

SPLIT_CONTRACTIONS: Mapping[tuple[str, str], str] = {
    (preposition, word): prefix + word
    for preposition, prefix in (("de", "d"), ("em", "n"))
    for word in listed("o a os as este esta estes estas esse essa esses essas aquele aquela aqueles aquelas")
    + listed("ele ela eles elas isto isso aquilo ali aqui")
    if not (preposition == "em" and word in ("ali", "aqui"))
} | {
    ("a", "o"): "ao", ("a", "a"): "à", ("a", "os"): "aos", ("a", "as"): "às",
    ("por", "o"): "pelo", ("por", "a"): "pela", ("por", "os"): "pelos", ("por", "as"): "pelas",
}  # fmt: skip
"""Pairs of words that Portuguese always writes as one."""

_NUMBERS = listed(
    "zero um dois três quatro cinco seis sete oito nove dez onze doze treze quatorze quinze dezesseis dezessete dezoito"
    " dezenove"
)
_TENS = ("", "", "vinte", "trinta", "quarenta", "cinquenta", "sessenta", "setenta", "oitenta", "noventa")


def number_word(number: int, feminine: bool = False) -> str:
    """Spell a number from 0 to 100; one and two have a feminine."""
    if number == 100:
        return "cem"
    if number >= 20:
        tens, unit = divmod(number, 10)
        return _TENS[tens] + (" e " + number_word(unit, feminine) if unit else "")
    return {1: "uma", 2: "duas"}.get(number, _NUMBERS[number]) if feminine else _NUMBERS[number]


_PERSONS = (EU, ELE, NOS, ELES)
_REGULAR_ENDINGS = {
    "ar": ("o a amos am", "ei ou amos aram", "ava ava ávamos avam", "e e emos em"),
    "er": ("o e emos em", "i eu emos eram", "ia ia íamos iam", "a a amos am"),
    "ir": ("o e imos em", "i iu imos iram", "ia ia íamos iam", "a a amos am"),
}
_TENSES = ("present", "preterite", "imperfect", "subjunctive")
_SOFTENED = (("guir", "gu", "g"), ("cer", "c", "ç"), ("ger", "g", "j"), ("gir", "g", "j"))
_HARDENED = (("car", "c", "qu"), ("gar", "g", "gu"), ("çar", "ç", "c"))

# Only what differs from the rule; persons are eu, ele, nós, eles. `first` is the stem of eu in the present and of the
# subjunctive (durmo, durma); `weak` the stem of ele and eles in the present (foge, fogem).
_IRREGULAR: Mapping[str, Mapping[str, str]] = {
    "ser": {
        "present": "sou é somos são", "preterite": "fui foi fomos foram", "imperfect": "era era éramos eram",
        "subjunctive": "seja seja sejamos sejam",
    },
    "ir": {
        "present": "vou vai vamos vão", "preterite": "fui foi fomos foram",
        "subjunctive": "vá vá vamos vão",
    },
    "estar": {
        "present": "estou está estamos estão", "preterite": "estive esteve estivemos estiveram",
        "subjunctive": "esteja esteja estejamos estejam",
    },
    "ter": {
        "present": "tenho tem temos têm", "preterite": "tive teve tivemos tiveram",
        "imperfect": "tinha tinha tínhamos tinham", "subjunctive": "tenha tenha tenhamos tenham",
    },
    "vir": {
        "present": "venho vem vimos vêm", "preterite": "vim veio viemos vieram",
        "imperfect": "vinha vinha vínhamos vinham", "subjunctive": "venha venha venhamos venham",
        "participle": "vindo",
    },
    "fazer": {
        "present": "faço faz fazemos fazem", "preterite": "fiz fez fizemos fizeram",
        "subjunctive": "faça faça façamos façam",
        "participle": "feito",
    },
    "dizer": {
        "present": "digo diz dizemos dizem", "preterite": "disse disse dissemos disseram",
        "subjunctive": "diga diga digamos digam",
        "participle": "dito",
    },
    "trazer": {
        "present": "trago traz trazemos trazem", "preterite": "trouxe trouxe trouxemos trouxeram",
        "subjunctive": "traga traga tragamos tragam",
    },
    "ver": {
        "present": "vejo vê vemos veem", "preterite": "vi viu vimos viram", "subjunctive": "veja veja vejamos vejam",
        "participle": "visto",
    },
    "dar": {
        "present": "dou dá damos dão", "preterite": "dei deu demos deram", "subjunctive": "dê dê demos deem",
    },
    "poder": {
        "present": "posso pode podemos podem", "preterite": "pude pôde pudemos puderam",
        "subjunctive": "possa possa possamos possam",
    },
    "pôr": {
        "present": "ponho põe pomos põem", "preterite": "pus pôs pusemos puseram",
        "imperfect": "punha punha púnhamos punham", "subjunctive": "ponha ponha ponhamos ponham",
        "gerund": "pondo", "participle": "posto",
    },
    "querer": {
        "present": "quero quer queremos querem", "preterite": "quis quis quisemos quiseram",
        "subjunctive": "queira queira queiramos queiram",
    },
    "saber": {
        "present": "sei sabe sabemos sabem", "preterite": "soube soube soubemos souberam",
        "subjunctive": "saiba saiba saibamos saibam",
    },
    "haver": {
        "present": "hei há havemos hão", "preterite": "houve houve houvemos houveram",
        "subjunctive": "haja haja hajamos hajam",
    },
    "ler": {"present": "leio lê lemos leem", "subjunctive": "leia leia leiamos leiam"},
    "perder": {"first": "perc"},
    "rir": {"present": "rio ri rimos riem", "subjunctive": "ria ria riamos riam"},
    "sorrir": {"present": "sorrio sorri sorrimos sorriem", "subjunctive": "sorria sorria sorriamos sorriam"},
    "pedir": {"first": "peç"}, "despedir": {"first": "despeç"}, "medir": {"first": "meç"}, "ouvir": {"first": "ouç"},
    "dormir": {"first": "durm"}, "cobrir": {"first": "cubr", "participle": "coberto"},
    "descobrir": {"first": "descubr", "participle": "descoberto"}, "sentir": {"first": "sint"},
    "mentir": {"first": "mint"}, "seguir": {"first": "sig"}, "conseguir": {"first": "consig"},
    "servir": {"first": "sirv"}, "vestir": {"first": "vist"}, "repetir": {"first": "repit"},
    "subir": {"weak": "sob"}, "sumir": {"weak": "som"}, "fugir": {"weak": "fog"}, "sacudir": {"weak": "sacod"},
    "engolir": {"first": "engul", "weak": "engol"}, "abrir": {"participle": "aberto"},
    "escrever": {"participle": "escrito"},
    "valer": {"first": "valh", "present": "valho vale valemos valem"},
    "construir": {
        "present": "construo constrói construímos constroem", "preterite": "construí construiu construímos construíram",
        "imperfect": "construía construía construíamos construíam", "participle": "construído",
    },
    **{
        stem + "ir": {
            "present": f"{stem}io {stem}i {stem}ímos {stem}em", "preterite": f"{stem}í {stem}iu {stem}ímos {stem}íram",
            "imperfect": f"{stem}ía {stem}ía {stem}íamos {stem}íam", "participle": f"{stem}ído",
            "subjunctive": f"{stem}ia {stem}ia {stem}iamos {stem}iam",
        }
        for stem in ("ca", "sa", "distra")
    },
}  # fmt: skip


def _stems(infinitive: str) -> tuple[str, str, str, str]:
    """Give the stem, and the stems of eu in the present, of ele in the present, and of eu in the preterite."""
    stem = infinitive[:-2]
    first = strong = stem
    weak = stem
    for ending, plain, changed in _SOFTENED:
        if infinitive.endswith(ending):
            first = stem[: -len(plain)] + changed
    for ending, plain, changed in _HARDENED:
        if infinitive.endswith(ending):
            strong = stem[: -len(plain)] + changed
    if infinitive.endswith("ear"):
        first = weak = stem + "i"
    special = _IRREGULAR.get(infinitive, {})
    return stem, special.get("first", first), special.get("weak", weak), strong


def tense(infinitive: str, name: str) -> tuple[str, str, str, str]:
    """Give the forms of eu, ele, nós and eles in one of the four tenses (the subjunctive serves as imperative)."""
    special = _IRREGULAR.get(infinitive, {})
    if name in special:
        eu, ele, nos, eles = special[name].split()
        return eu, ele, nos, eles
    stem, first, weak, strong = _stems(infinitive)
    eu, ele, nos, eles = _REGULAR_ENDINGS[infinitive[-2:]][_TENSES.index(name)].split()
    if name == "present":
        return first + eu, weak + ele, stem + nos, weak + eles
    if name == "preterite":
        return strong + eu, stem + ele, stem + nos, stem + eles
    if name == "subjunctive":
        if infinitive.endswith("ar"):
            inner = first if infinitive.endswith("ear") else strong
            return inner + eu, inner + ele, strong + nos, inner + eles
        return first + eu, first + ele, first + nos, first + eles
    return stem + eu, stem + ele, stem + nos, stem + eles


def participle(infinitive: str) -> str:
    """Give the masculine singular participle."""
    ending = "ado" if infinitive.endswith("ar") else "ido"
    return _IRREGULAR.get(infinitive, {}).get("participle", infinitive[:-2] + ending)


def gerund(infinitive: str) -> str:
    """Give the gerund."""
    return _IRREGULAR.get(infinitive, {}).get("gerund", infinitive[:-1] + "ndo")


def conjugate(infinitive: str) -> dict[str, int]:
    """Give every form of a verb (participles apart) with the mask of the persons it can stand for."""
    forms = {infinitive: INFINITIVE, gerund(infinitive): GERUND}
    for name in _TENSES:
        for person, form in zip(_PERSONS, tense(infinitive, name), strict=True):
            forms[form] = forms.get(form, 0) | person
    return forms
