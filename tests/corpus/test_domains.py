"""Blocked domains and addresses, registered domains, and caps for each domain."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.corpus import domains
from lhama.corpus.domains import beyond_cap, blocklist, domain_keys, domain_of, host_of
from lhama.plan.problem import Problem


def listed(folder: Path, text: str) -> Path:
    path = folder / "blocked.txt"
    path.write_text(text, encoding="utf-8")
    return path


BLOCKED = """
# a remark
ruim.com.br
https://www.Pior.com/
blog.bom.org   # only this machine
bom.org/anuncios
http://bom.org/a/b?x=1
"""


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ruim.com.br/a", ("blocked_domain", "ruim.com.br")),
        ("https://WWW.Ruim.com.br:8080/", ("blocked_domain", "ruim.com.br")),
        ("http://fundo.do.ruim.com.br", ("blocked_domain", "ruim.com.br")),
        ("http://muitoruim.com.br", None),
        ("http://pior.com", ("blocked_domain", "pior.com")),
        ("http://x.blog.bom.org/", ("blocked_domain", "blog.bom.org")),
        ("http://bom.org/", None),
        ("http://bom.org/anuncios/2024/a.html?b=c#d", ("blocked_url", "bom.org/anuncios")),
        ("http://bom.org/anunciosnovos", None),
        ("http://bom.org/a/b", ("blocked_url", "bom.org/a/b")),
        ("http://bom.org/a", None),
        ("no address", None),
        ("http://[broken", None),
        ("", None),
    ],
)
def test_what_a_list_blocks(url: str, reason: tuple[str, str] | None, tmp_path: Path) -> None:
    assert blocklist(listed(tmp_path, BLOCKED)).reason(url) == reason


def test_an_empty_list_blocks_nothing_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert blocklist(listed(tmp_path, "")).reason("http://a.br") is None
    path = tmp_path / "list.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00 broken")
    with pytest.raises(Problem, match=r"list\.gz"):
        blocklist(path)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("http://www.ime.usp.br/x", "usp.br"),
        ("https://noticias.exemplo.com.br:80/", "exemplo.com.br"),
        ("http://fulano.github.io", "fulano.github.io"),
        ("http://a.b.co.uk", "b.co.uk"),
        ("http://10.0.0.1/x", "10.0.0.1"),
        ("http://localhost", "localhost"),
        ("http://com.br", "com.br"),
        ("http://fulano:senha@exemplo.com/", "exemplo.com"),
        ("http://exemplo.com./", "exemplo.com"),
        ("nada", ""),
    ],
)
def test_registered_domains(url: str, domain: str) -> None:
    assert domain_of(url) == domain


@given(st.text(max_size=60))
def test_any_address_has_a_domain_or_none(url: str) -> None:
    assert isinstance(domain_of("http://" + url), str)
    assert host_of(url) == host_of(url).lower()


def test_documents_without_address_have_no_key() -> None:
    keys = domain_keys(["http://a.exemplo.com.br", None, "http://b.exemplo.com.br/x", "", "http://outro.br"])
    assert keys[0] == keys[2] != keys[4]
    assert list(keys[[1, 3]]) == [0, 0]


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(1, 5), st.integers(1, 10))
def test_the_first_of_each_domain_stay(owners: list[int], cap: int, slice_rows: int) -> None:
    keys = np.array(owners, dtype=np.uint64) * np.uint64(2**61 + 1)
    positions = np.arange(len(owners), dtype=np.int64) * 7

    parts = [(keys[half], positions[half]) for half in (slice(None, None, 2), slice(1, None, 2))]  # in any order
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as scratch:
        patch.setattr(domains, "SLICE_ROWS", slice_rows)
        late = beyond_cap(parts, len(owners), cap, Path(scratch) / "scratch")
    seen: Counter[int] = Counter()
    expected = []
    for place, owner in enumerate(owners):
        seen[owner] += 1
        if owner and seen[owner] > cap:
            expected.append(place * 7)
    assert list(late) == expected
