"""Disk by hand, and held against what real runs took."""

import pytest

from lhama.plan.budget import plan
from lhama.plan.disk import disk, encoding_needs, reading_needs, training_needs
from lhama.plan.recipe import load

SHAPES = {"ttl-160m": 162_417_408, "ttl-460m": 468_239_360}


def test_checkpoints_and_exports_by_hand() -> None:
    # 20 and 48 checkpoints for ever, two rolling ones and one in the making, 12 bytes a parameter.
    for name, suite in (("ttl-160m", 20), ("ttl-460m", 48)):
        found = plan(load(name))["disk"]
        assert found["suite_checkpoints"] == suite * 12 * SHAPES[name]
        assert found["rolling_checkpoints"] == 3 * 12 * SHAPES[name]
        assert found["exports"] == int(4.5 * SHAPES[name])
        assert found["total"] == sum(found.values()) - found["total"]
        assert training_needs(load(name)) == (suite + 3) * 12 * SHAPES[name]
    assert plan(load("ttl-160m"))["disk"]["tokens_at_most"] == 2 * 3_751_936_000


def test_text_that_is_repeated_lies_there_once() -> None:
    once = disk(load("ttl-160m", ["budget.tokens_available=1000000"]))
    assert once["tokens_at_most"] == 2_000_000 and once["corpus_at_most"] == pytest.approx(4.2e6 * 0.65, abs=1)
    wide = disk(load("ttl-160m", ["budget.tokens_available=1000000", "tokens.vocabulary=65664"]))
    assert wide["tokens_at_most"] == 4_000_000


def test_the_estimates_cover_what_real_runs_took() -> None:
    # 60,000 tales: 33 MB of text, 11.1 MB read, 8.0 MB judged, 17.0 MB of tokens.
    assert 11.1e6 <= reading_needs([("tales.txt", 33_000_000)]) < 15e6
    assert 17.0e6 <= encoding_needs(7_979_680, 2_048) < 20e6
    # Real text: 61.3 MB of corpus, 130.9 MB of tokens.
    assert 130.9e6 <= encoding_needs(61_328_860, 32_000) < 150e6
    assert encoding_needs(1_000, 100_000) == 2 * encoding_needs(1_000, 32_000)


def test_compressed_text_counts_as_it_lies_there() -> None:
    assert reading_needs([("a.jsonl.zst", 1_000), ("b.parquet", 500), ("c.txt", 1_000)]) == pytest.approx(1_850)
    assert reading_needs([]) == 0
