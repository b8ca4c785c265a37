"""Reading and writing recipes: round trips, refusals in plain words, changes from the command line, identity slices."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lhama.plan.keys import find, leaves
from lhama.plan.kinds import Kind
from lhama.plan.problem import Problem
from lhama.plan.recipe import (
    Recipe,
    default_of,
    dumps,
    explain,
    json_schema,
    kind_of,
    load,
    loads,
    new_recipe,
    recipe_reference,
    slice_for,
)
from lhama.plan.writing import value

SMALL = """
name = "small"
[[corpus.source]]
name = "mine"
path = "text"
[tokens]
vocabulary = 512
sequence = 64
[model]
hidden_size = 32
intermediate_size = 64
layers = 2
heads = 4
[train]
tokens = 10_000
batch_tokens = 1_024
learning_rate = 1e-3
"""


def refused(text: str, *changes: str) -> Problem:
    with pytest.raises(Problem) as caught:
        loads(text, changes)
    return caught.value


def test_every_field_has_documentation_and_one_kind() -> None:
    fields = dict(leaves())
    assert len(fields) > 80
    for key, field in fields.items():
        kinds = [mark for mark in field.metadata if isinstance(mark, Kind)]
        assert len(kinds) == 1, f"{key} declares {len(kinds)} kinds"
        assert field.description and field.description.rstrip().endswith("."), f"{key} has no sentence"


def test_a_written_recipe_loads_again_equal(tmp_path: Path) -> None:
    recipe = loads(SMALL, folder=tmp_path)
    again = tmp_path / "elsewhere"
    again.mkdir()
    (again / "recipe.toml").write_text(dumps(recipe), encoding="utf-8")
    loaded = load(again / "recipe.toml")
    assert loaded == recipe and hash(loaded) == hash(recipe)
    assert loaded.folder == again
    # The copy in a run folder must find the text where the first recipe said it is.
    assert loaded.corpus.source[0].paths == ((tmp_path / "text").as_posix(),)


@given(st.text(), st.text(), st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_any_value_survives_toml(text: str, key: str, number: float, whole: int) -> None:
    row: dict[str, Any] = {"text": text, "number": number, "whole": whole, "yes": True, "list": [text, text]}
    written = "\n".join(f"{name} = {value(one)}" for name, one in row.items())
    written += f"\ntable = {value({key: number})}"
    assert tomllib.loads(written) == row | {"table": {key: number}}


def test_resolve_is_relative_to_the_recipe(tmp_path: Path) -> None:
    recipe = loads(SMALL, folder=tmp_path)
    assert recipe.resolve("a/b.txt") == tmp_path / "a" / "b.txt"
    assert recipe.resolve("/elsewhere") == Path("/elsewhere").absolute()


def test_absolute_and_remote_paths_stay_as_they_are() -> None:
    text = SMALL.replace('path = "text"', 'path = ["s3://bucket/a.parquet", "b*.txt"]')
    first, second = loads(text, folder=Path("/somewhere")).corpus.source[0].paths
    assert first == "s3://bucket/a.parquet"
    assert second.endswith("/somewhere/b*.txt")
    hub = SMALL.replace('path = "text"', f'path = "owner/name"\nkind = "hub"\nrevision = "{"a" * 40}"')
    assert loads(hub, folder=Path("/somewhere")).corpus.source[0].paths == ("owner/name",)


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("learning_rate = 1e-3", "lerning_rate = 1e-3", "train.lerning_rate", "did you mean train.learning_rate?"),
        ("tokens = 10_000", "tokens = 10_000\nsequence = 5", "train.sequence", "did you mean tokens.sequence?"),
        ("[model]", "[modle]", "modle", "did you mean model?"),
        ("layers = 2", "layers = 2.5", "model.layers", "whole number"),
        ("layers = 2", 'layers = "2"', "model.layers", "whole number"),
        ("layers = 2", "layers = true", "model.layers", "whole number"),
        ("layers = 2", "layers = 0", "model.layers", "more than 0"),
        ("layers = 2", "layers = 2\ntied = 1", "model.tied", "true or false"),
        ("layers = 2", "", "model.layers", "missing"),
        ("vocabulary = 512", "vocabulary = 1000", "tokens.vocabulary", "try 1024"),
        ("heads = 4", "heads = 5", "model.hidden_size", "model.heads (5)"),
        ("heads = 4", "heads = 4\nkey_value_heads = 3", "model.key_value_heads", "model.heads (4)"),
        ("heads = 4", "heads = 32", "model.head_dim", "even"),
        ("batch_tokens = 1_024", "batch_tokens = 1_000", "train.batch_tokens", "tokens.sequence (64); try 1024"),
        ("tokens = 10_000", "tokens = 10_000\nschedule = 'wsd'", "train.decay_tokens", "try 2000"),
        ("tokens = 10_000", "tokens = 10_000\ndecay_tokens = 5", "train.decay_tokens", "cosine"),
        ("tokens = 10_000", "tokens = 10_000\nwarmup_tokens = 10_001", "train.warmup_tokens", "longer than the run"),
        ("tokens = 10_000", "", "train.tokens", "missing"),
        ('path = "text"', "", "corpus.source.mine.path", "missing"),
        ('path = "text"', f'path = "text"\nrevision = "{"a" * 40}"', "corpus.source.mine.revision", "hub"),
        ('path = "text"', 'path = "a/b"\nkind = "hub"\nrevision = "main"', "corpus.source.mine.revision", "form"),
        ('path = "text"', 'path = "a/b"\nkind = "hub"', "corpus.source.mine.revision", "History"),
        ('path = "text"', 'path = "text"\nkind = "tales"', "corpus.source.mine.path", "drop the path"),
        ('path = "text"', "path = 5", "corpus.source.mine.path", "text in quotes"),
        ('path = "text"', 'path = "text"\ntext_colum = "x"', "corpus.source.mine.text_colum", "text_column"),
        ('name = "mine"', 'name = "mi.ne"', "corpus.source.mi.ne.name", "form"),
        ('name = "small"', 'name = "../small"', "name", "form"),
        ('name = "small"', 'name = "small"\nlanguage = "Portuguese"', "language", "form"),
        ('name = "small"', 'name = "small"\nrecipe_version = 2', "recipe_version", "update Lhama"),
        ('name = "small"', 'name = "small"\nseed = 2026-11-21', None, "quotes"),
        ("[model]", "[hardware]\naccelerator = 'h1000'\n[model]", "hardware.accelerator", "did you mean h100?"),
        ("[model]", "[train]\n[model]", None, "not valid TOML"),
    ],
)
def test_refusals_name_key_reason_and_remedy(old: str, new: str, key: str | None, says: str) -> None:
    assert old in SMALL
    problem = refused(SMALL.replace(old, new))
    assert problem.key == key and says in str(problem)
    assert problem.remedy


def test_all_wrong_keys_are_named_at_once() -> None:
    problem = refused(SMALL.replace("layers = 2", "layer = 2").replace("heads = 4", "heads = -4"))
    assert problem.key == "model.layer" and "did you mean model.layers?" in str(problem)
    assert "model.heads" in problem.what and "model.layers" in problem.what


def test_phases_must_agree_with_the_horizon_and_the_sources() -> None:
    phase = '\n[[train.phase]]\nname = "a"\ntokens = 6_000\n'
    assert refused(SMALL + phase).key == "train.tokens"
    good = SMALL.replace("tokens = 10_000\n", "") + phase
    assert loads(good).train.horizon == 6_000
    assert refused(good + "mixture = { other = 1 }").remedy == "sources: mine, @text"
    assert refused(good + "mixture = { mine = 0 }").key == "train.phase.a.mixture"
    assert refused(good + "batch_tokens = 100").key == "train.phase.a.batch_tokens"
    assert refused(good + phase).key == "train.phase"


def test_two_sources_of_one_name_are_refused() -> None:
    assert refused(SMALL + '\n[[corpus.source]]\nname = "mine"\npath = "more"\n').key == "corpus.source"


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        ("train.learning_rate=3e-4", "train.learning_rate", 3e-4),
        ("train.clip = 1", "train.clip", 1.0),
        ("model.tied=true", "model.tied", True),
        ("release.title=My model", "release.title", "My model"),
        ('release.title="True"', "release.title", "True"),
        ("release.title=1984", "release.title", "1984"),
        ('train.sample_prompts=["a", "b"]', "train.sample_prompts", ["a", "b"]),
        ("corpus.source.mine.documents=7", "corpus.source", None),
    ],
)
def test_changes_are_typed(change: str, key: str, expected: Any) -> None:
    recipe = loads(SMALL, [change])
    if key == "corpus.source":
        assert recipe.corpus.source[0].documents == 7
    else:
        section, name = key.split(".")
        assert recipe.model_dump(mode="json")[section][name] == expected


def test_a_later_change_wins_and_none_takes_a_key_away() -> None:
    assert loads(SMALL, ["train.clip=1.0", "train.clip=2.0"]).train.clip == 2.0
    assert loads(SMALL, ["train.clip=1.0", "train.clip=none"]).train.clip is None


def test_a_changed_path_is_relative_to_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = loads(SMALL, ["corpus.source.mine.path=my text"], folder=Path("/recipes"))
    assert recipe.corpus.source[0].paths == ((tmp_path / "my text").as_posix(),)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("train.lerning_rate=1", "did you mean train.learning_rate?"),
        ("train.layers=1", "did you mean model.layers?"),
        ("train", "write section.key=value"),
        ("train=5", "a section"),
        ("corpus.source=5", "a list of tables"),
        ("corpus.source.path=x", "corpus.source.NAME.path"),
        ("corpus.source.yours.path=x", "name one of: mine"),
        ("model.layers=two", "as TOML does"),
        ("model.layers=2.0", "whole number"),
        ("name.first=x", "did you mean name?"),
    ],
)
def test_wrong_changes_are_refused_kindly(change: str, says: str) -> None:
    assert says in str(refused(SMALL, change))


def test_unreadable_recipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"')
    for what, says in (("no-such", "there is no recipe"), (tmp_path / "latin.toml", "UTF-8")):
        with pytest.raises(Problem, match=says):
            load(what)


def test_slices_hold_what_decides_about_a_stage_and_no_path() -> None:
    recipe = loads(SMALL)
    read, corpus, tokens, train = (slice_for(recipe, stage) for stage in ("read", "corpus", "tokens", "train"))
    assert read["corpus.source"] == [{"name": "mine"}] and "corpus.minimum_characters" not in read
    assert corpus["corpus.minimum_characters"] == 50 and corpus["corpus.source"] == []
    assert read["language"] == corpus["language"] == "pt" and "language" not in train
    assert "tokens.vocabulary" in tokens and "tokens.sequence" not in tokens
    assert train["tokens.sequence"] == 64 and train["tokens.packing"] == "stream"
    assert train["model.layers"] == 2 and train["train.tokens"] == 10_000 and train["train.phase"] == []
    assert not any(key.startswith(("budget", "hardware", "record", "serve")) for key in train)
    for part in (read, corpus, tokens, train, slice_for(recipe, "release")):
        assert part
        for key in part:
            assert kind_of(key) in ("result", "extend", "operational")


def test_a_threshold_judges_again_and_reads_nothing_again() -> None:
    ruled = SMALL.replace("[tokens]", "[corpus.thresholds]\nmax_word_length = 14\n[tokens]")
    plain, stricter = loads(SMALL), loads(ruled)
    assert slice_for(plain, "read") == slice_for(stricter, "read")
    assert slice_for(plain, "corpus") != slice_for(stricter, "corpus")
    two, three = (loads(SMALL, [f'corpus.rules=["c4"{more}]']) for more in ("", ', "fineweb"'))
    assert slice_for(plain, "read") != slice_for(two, "read") == slice_for(three, "read")
    assert slice_for(two, "corpus") != slice_for(three, "corpus")


def test_every_key_of_the_corpus_belongs_to_a_stage() -> None:
    recipe = loads(SMALL)
    keys = {key.removeprefix("corpus.") for stage in ("read", "corpus") for key in slice_for(recipe, stage)}
    assert set(type(recipe.corpus).model_fields) <= keys


def test_moving_text_or_vocabulary_changes_no_slice() -> None:
    here, there = (
        loads(SMALL.replace("sequence = 64", 'sequence = 64\nfrom = "voc"'), folder=Path(place))
        for place in ("/here", "/there")
    )
    assert here != there
    for stage in ("read", "corpus", "tokens", "train", "release"):
        assert slice_for(here, stage) == slice_for(there, stage)
    assert slice_for(here, "tokens") != slice_for(loads(SMALL), "tokens")


def test_kinds_of_the_keys_that_people_change_most() -> None:
    kinds = {
        "result": ("model.hidden_size", "train.learning_rate", "corpus.source.mine.license", "tokens.from", "seed"),
        "extend": ("train.tokens", "train.phase", "train.phase.tokens"),
        "operational": ("train.log_every", "train.micro_batch", "corpus.source.path", "serve.top_k", "corpus.workers"),
    }
    for kind, keys in kinds.items():
        for key in keys:
            assert kind_of(key) == kind, key
    with pytest.raises(Problem, match="unknown key"):
        kind_of("train.nothing")


def test_defaults_are_json() -> None:
    assert default_of("train.beta2") == 0.95
    assert default_of("train.sample_prompts") == []
    assert default_of("model.layers") is None


def test_explain_tells_type_default_kind_and_meaning() -> None:
    text = explain("tokens.vocabulary")
    assert all(
        part in text for part in ("whole number", "multiple of 128", "32000", "result", "size of the vocabulary")
    )
    assert "rope_theta" in explain("model") and "text_column" in explain("corpus.source")
    assert "a section" not in explain("") and "serve" in explain("")
    assert "absent" in explain("train.clip")
    with pytest.raises(Problem, match=r"did you mean train\.batch_tokens"):
        explain("train.batch_token")


def test_every_key_can_be_explained_and_found_in_the_reference() -> None:
    reference = recipe_reference()
    for key, field in leaves():
        assert find(key) is field
        assert explain(key).startswith((key, "[["))
        assert re.search(rf"^\| `{key.rpartition('.')[2]}` \||^## \[\[{re.escape(key)}\]\]", reference, re.M), key


def test_the_schema_describes_the_keys() -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert "optimizer step" in schema["$defs"]["Train"]["properties"]["batch_tokens"]["description"]
    assert "from" in schema["$defs"]["Tokens"]["properties"]


def test_a_new_recipe_runs_as_written_and_says_why(tmp_path: Path) -> None:
    text = new_recipe("mine", "en", ["texts", "other/*.jsonl.zst", "./texts", "."])
    recipe = loads(text, folder=tmp_path)
    assert recipe.name == "mine" and recipe.language == "en"
    assert [one.name for one in recipe.corpus.source] == ["texts", "other", "texts-2", "text"]
    assert recipe.corpus.source[0].paths == ((tmp_path / "texts").as_posix(),)
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if (
            re.match(r"[a-z_]+ = ", line)
            and lines[number - 1]
            and not line.startswith(("kind", "documents", "license"))
        ):
            assert lines[number - 1].startswith("#"), f"no sentence over {line!r}"
    sections = [line.strip("[]") for line in lines if re.match(r"\[[a-z]", line)]
    order = list(Recipe.model_fields)
    assert sections == sorted(sections, key=order.index)


def test_a_new_recipe_without_text_takes_the_tales() -> None:
    assert loads(new_recipe("first", "pt", [])).corpus.source[0].kind == "tales"


def test_a_new_recipe_with_a_bad_name_is_refused() -> None:
    for name, language in (("a b", "pt"), ("a/b", "pt"), ('a"\nseed = 3', "pt"), ("fine", "portuguese")):
        with pytest.raises(Problem, match="form"):
            new_recipe(name, language, [])


def test_one_threshold_is_set_by_its_name() -> None:
    changed = loads(SMALL, ["corpus.thresholds.gopher_short_doc=20", "corpus.thresholds.top_2_gram=off"])
    assert changed.corpus.thresholds == {"gopher_short_doc": 20, "top_2_gram": "off"}
    assert loads(SMALL, ["corpus.thresholds={gopher_short_doc=20}"]).corpus.thresholds == {"gopher_short_doc": 20}
    for wrong in ("corpus.thresholds.gopher.short=20", "corpus.thresholds.gopher_short_doc=wide"):
        with pytest.raises(Problem, match="thresholds"):
            loads(SMALL, [wrong])
