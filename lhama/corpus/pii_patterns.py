"""What personal data looks like: a pattern for each kind, the check digits that prove it, the value that masks it.

In go the bytes around a candidate, out come the places of what is found with what takes its place. Masks are values
that nobody has: a domain of RFC 2606, addresses of RFC 5737 and RFC 3849, an area code that is not in use, numbers of
zeros that no register gives. None of them is found again.
"""

import ipaddress
import re
from collections.abc import Iterator

Found = tuple[int, int, bytes]
"""Begin, end, and what takes the place."""

EMAIL, IP, LONG_IP = b"email@example.com", b"192.0.2.1", b"2001:db8::1"
PHONE, CPF, CNPJ, CARD = b"(00) 0000-0000", b"000.000.000-00", b"00.000.000/0000-00", b"0000 0000 0000 0000"

# What a number may stand behind: not inside a longer one or a name; without signs of its own in no address either.
_LEFT = rb"(?<![\w=&?#%+])(?<!\d[.,/-])"
_STRICT_LEFT = rb"(?<![\w.,/=&?#%+-])"
_RIGHT = rb"(?![\w%]|[-./,]\d)"


# ---- e-mail

_LETTER = rb"(?:[A-Za-z0-9_]|[\xc3-\xc9][\x80-\xbf])"
MAILS = re.compile(
    rb"(?<![\w.%+@-])" + _LETTER + rb"(?:" + _LETTER + rb"|[.%+-]){0,63}@"
    rb"((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,24}))(?![\w@-]|\.\w)"
)
NOBODY = re.compile(rb"(?:.*\.)?(?:example(?:\.(?:com|org|net))?|test|invalid|local)", re.IGNORECASE)
FILES = frozenset((b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"css", b"js", b"ts", b"jsx", b"tsx", b"scss"))
ROLES = (b"git@", b"hg@", b"svn@")  # the accounts with which programs fetch code
CIPHERS = (b"@openssh.com", b"@libssh.org", b"@lysator.liu.se")  # behind names of algorithms (RFC 4251, section 6)


def find_mails(window: bytes) -> Iterator[Found]:
    """Find e-mail addresses, but for reserved domains, files such as icon@2x.png, accounts of repositories, ciphers."""
    for found in MAILS.finditer(window):
        reserved = NOBODY.fullmatch(found[1]) or found[2].lower() in FILES
        if not reserved and not found[0].lower().startswith(ROLES) and not found[0].endswith(CIPHERS):
            yield *found.span(), EMAIL


# ---- addresses of the internet

ADDRESSES = re.compile(rb"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|[.,]\d)")
LONG_ADDRESSES = re.compile(rb"(?<![\w:.])[23][0-9a-fA-F]{3}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])")
VERSION = re.compile(
    rb"(?:vers(?:\xc3\xa3o|\xc3\xb5es|ao|ion|\.)|release|build|\bv)\.?[ :]{0,2}$|[^/:]/$", re.IGNORECASE
)
NETWORK = re.compile(rb"/(?:[89]|[12]\d|3[01])(?!\d)")
SECTION = 20  # four numbers below are those of a section, or of servers that everybody knows: 2.1.1.3, 8.8.8.8


def find_addresses(window: bytes) -> Iterator[Found]:
    """Find public IPv4 addresses, but for whole networks and what is the number of a version or a section."""
    for found in ADDRESSES.finditer(window):
        parts = found[0].split(b".")
        if any(int(part) > 255 or (len(part) > 1 and part[:1] == b"0") for part in parts):
            continue
        numbered = all(int(part) < SECTION for part in parts) or VERSION.search(window, 0, found.start())
        if NETWORK.match(window, found.end()):  # 256 addresses are nobody's
            continue
        if not numbered and ipaddress.IPv4Address(found[0].decode()).is_global:
            yield *found.span(), IP


def find_long_addresses(window: bytes) -> Iterator[Found]:
    """Find public IPv6 addresses."""
    for found in LONG_ADDRESSES.finditer(window):
        try:
            public = ipaddress.IPv6Address(found[0].decode()).is_global
        except ValueError:
            continue
        if public:
            yield *found.span(), LONG_IP


# ---- numbers with check digits

COMPANIES = re.compile(
    _LEFT
    + rb"[0-9A-Z]{2}[. ]?[0-9A-Z]{3}[. ]?[0-9A-Z]{3} ?/ ?[0-9A-Z]{4} ?[- ] ?\d{2}"
    + _RIGHT
    + rb"|"
    + _STRICT_LEFT
    + rb"\d{14}"
    + _RIGHT
)
NAMED_COMPANIES = re.compile(rb"CNPJ(?:/MF)?[^0-9A-Za-z]{0,6}(?:n[^0-9A-Za-z]{1,4})?([0-9A-Z]{12}\d{2})(?!\w)")
DAY = re.compile(rb"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
PERSONS = re.compile(
    _LEFT
    + rb"(?:\d{3}([. ])\d{3}\1\d{3} ?[-/. ] ?\d{2}|\d{9} ?[-/] ?\d{2})"
    + _RIGHT
    + rb"|"
    + _STRICT_LEFT
    + rb"\d{11}"
    + _RIGHT
)
CARDS = re.compile(
    _LEFT + rb"(?<!\d )(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|3[47]\d{2}([ -])\d{6}\2\d{5}"
    rb"|3[0689]\d{2}([ -])\d{6}\3\d{4})(?! \d)" + _RIGHT + rb"|" + _STRICT_LEFT + rb"\d{15,16}" + _RIGHT
)
_SIGNS = b" -./"


def _remainder_digit(values: list[int], heaviest: int) -> int:
    """Return a check digit modulo 11: weights 2, 3, ... from the right, beginning anew after the heaviest."""
    total = sum(value * (2 + place % (heaviest - 1)) for place, value in enumerate(reversed(values)))
    return 0 if total % 11 < 2 else 11 - total % 11


def is_cpf(digits: bytes) -> bool:
    """Say whether eleven digits are a CPF; numbers of one digit only are not given out."""
    values = [byte - 0x30 for byte in digits]
    right = _remainder_digit(values[:9], 11) == values[9] and _remainder_digit(values[:10], 11) == values[10]
    return right and len(set(values)) > 1


def is_cnpj(characters: bytes) -> bool:
    """Say whether fourteen characters are a CNPJ; letters count as their code less 48 (given out from July 2026)."""
    values = [byte - 0x30 for byte in characters]
    right = _remainder_digit(values[:12], 9) == values[12] and _remainder_digit(values[:13], 9) == values[13]
    return right and len(set(values[:8])) > 1


def is_card(digits: bytes) -> bool:
    """Say whether digits are a card's: Luhn's sum, and the first digits and length of a known issuer."""
    doubled = (sum(divmod(2 * (byte - 0x30), 10)) for byte in digits[-2::-2])
    if (sum(byte - 0x30 for byte in digits[-1::-2]) + sum(doubled)) % 10:
        return False
    two, three, four, six = (int(digits[:length]) for length in (2, 3, 4, 6))
    if len(digits) == 15:
        return two in (34, 37)  # American Express
    if len(digits) == 14:
        return 300 <= three <= 305 or two in (36, 38, 39)  # Diners Club
    if len(digits) == 19:
        return digits[:1] == b"4"
    visa_or_mastercard = digits[:1] == b"4" or 51 <= two <= 55 or 2221 <= four <= 2720
    discover_or_jcb = four == 6011 or 644 <= three <= 649 or two == 65 or 3528 <= four <= 3589
    elo = 506_699 <= six <= 506_778 or 509_000 <= six <= 509_999 or six in (504_175, 627_780, 636_297, 636_368)
    return visa_or_mastercard or discover_or_jcb or elo or six in (606_282, 384_100, 384_140, 384_160)  # Hipercard


def find_companies(window: bytes) -> Iterator[Found]:
    """Find CNPJ; bare ones only with a branch below 100, and not where a date and a time are meant."""
    for found in COMPANIES.finditer(window):
        number = found[0].translate(None, _SIGNS)
        bare = len(found[0]) == 14
        if is_cnpj(number) and not (bare and (number[8:10] != b"00" or DAY.match(number))):
            yield *found.span(), CNPJ
    for found in NAMED_COMPANIES.finditer(window):
        if is_cnpj(found[1]) and not found[1].isdigit():
            yield *found.span(1), CNPJ


def find_persons(window: bytes) -> Iterator[Found]:
    """Find CPF."""
    for found in PERSONS.finditer(window):
        if is_cpf(found[0].translate(None, _SIGNS)):
            yield *found.span(), CPF


def find_cards(window: bytes) -> Iterator[Found]:
    """Find card numbers, in groups or bare."""
    for found in CARDS.finditer(window):
        if is_card(found[0].translate(None, _SIGNS)):
            yield *found.span(), CARD


# ---- telephones

_AREA = rb"(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])"  # area codes in use
_HALVES = rb"(?:9[ .]?\d{4}|[2-9]\d{3})[ .-]?\d{4}"
_END = rb"(?![\w%]|[-./,]\d| ?[-/] ?\d)"
_SURE_END = rb"(?![\w%]|[-.,]\d| ?- ?\d)"  # 3302-0444/0445 are two telephones
PHONES = re.compile(
    rb"(?<![\w+])(?:\+ ?|00 ?)55[ .-]{0,2}\(?0?"
    + _AREA
    + rb"\)?[ .-]{0,3}"
    + _HALVES
    + _SURE_END
    + rb"|(?<![\w.])\((?:0(?:[xX*]{2}|\d\d)?)?[ -]?"
    + _AREA
    + rb"\)[ .-]{0,3}"
    + _HALVES
    + _SURE_END
    + rb"|"
    + _STRICT_LEFT
    + rb"0(?:[xX]{2})?[ -]?"
    + _AREA
    + rb"[ .-](?:9\d{4}|[2-9]\d{3})-\d{4}"
    + _END
    + rb"|"
    + _STRICT_LEFT
    + _AREA
    + rb"[ .-](?:9\d{4}|[2-9]\d{3})-\d{4}"
    + _END
)
_CALL = rb"\b(?i:tel(?:efones?)?|fones?|cel(?:ular(?:es)?)?|whats ?app|zap|fax|ligue|ligar|contatos?)"
NAMED_PHONES = re.compile(
    _CALL + rb"[^\w\n+]{0,8}(?:(?:para|pelo|pro|no|n\.|n\xc2\xba|n\xc2\xb0)[^\w\n+]{1,4})?"
    rb"((?:\(?0?" + _AREA + rb"\)?[ .-]{0,3})?" + _HALVES + rb")" + _SURE_END
)
_BETWEEN = b" .-()+"
YEARS = re.compile(rb"(?:^|\D)(?:19|20)\d\d[ .-]?(?:19|20)\d\d$")


def find_phones(window: bytes) -> Iterator[Found]:
    """Find Brazilian telephones: with an area code, or behind a word that says so; not two years, not 9999-9999."""
    spans = [found.span() for found in PHONES.finditer(window)]
    spans += [found.span(1) for found in NAMED_PHONES.finditer(window)]
    for begin, end in spans:
        number = window[begin:end]
        placeholder = len(set(number.translate(None, _BETWEEN)[-8:])) == 1
        if not placeholder and (number[:1] in (b"(", b"+") or not YEARS.search(number)):
            yield begin, end, PHONE
