"""The last chapters: what files there are, and all that another person needs to do the run again.

In: the stages' manifests and the recipe. Out: sizes by stage, the resolved recipe, hashes, versions and the command.
Subtle: a resolved recipe holds absolute paths, which tell where a person keeps their files; a published one shows only
the last name of each, and identity never depended on the path.
"""

import hashlib
from pathlib import PurePosixPath
from typing import TypeVar

from lhama.plan.fields_source import HUB, Source
from lhama.plan.kinds import Section
from lhama.plan.layout import Recipe
from lhama.plan.writing import dumps
from lhama.record.page import figures, numerals
from lhama.record.page.markup import Child, Markup, figure, folded, join, missing, section, table, tag, value
from lhama.record.run import ORDER
from lhama.release.comparison import NAMES as TOKENIZERS
from lhama.release.facts import Facts, Row, number, pairs, words

Part = TypeVar("Part", bound=Section)
LARGEST = 12


def files(facts: Facts) -> Markup:
    """Show how large each stage's result is, and the largest files."""
    sizes = {stage: outputs(facts.manifests[stage]) for stage in ORDER}
    rows = [(stage, total, numerals.size(total)) for stage, found in sizes.items() if (total := sum(found.values()))]
    if not rows:
        return section("files", "Files", missing("No stage has finished yet, so no list of files was written."))
    drawing = figures.bars("Size", rows, 0)
    named = [(f"{stage}/{name}", count) for stage, found in sizes.items() for name, count in found.items()]
    named.sort(key=lambda pair: -pair[1])
    largest = [
        [tag("span", name, class_="hash"), value(numerals.size(count), count)] for name, count in named[:LARGEST]
    ]
    title = f"The {len(largest)} largest of {numerals.counted(len(named), 'file')}"
    fold = folded(title, table(["File", "Size"], largest))
    return section(
        "files",
        "Files",
        figure("Size of each stage’s result", "As its manifest lists it.", drawing),
        _model(facts),
        fold,
    )


def outputs(manifest: Row) -> dict[str, float]:
    """Return the bytes of each file that a stage's manifest lists."""
    found = pairs(manifest, "outputs")
    return {str(name): count for name, entry in found.items() if (count := number(entry, "bytes")) is not None}


def _model(facts: Facts) -> Markup | None:
    if facts.newest_checkpoint is None:
        return None
    name = f"train/{facts.newest_checkpoint.name}"
    return tag("p", "The model is the folder ", tag("code", name), "; plain Transformers opens it as it is.")


def reproduce(facts: Facts) -> Markup:
    """Give the command, the recipe, the hashes and the versions."""
    recipe = published(facts.recipe)
    shape = facts.recipe.model
    about = (
        f"{shape.layers} layers, width {shape.hidden_size}, feed-forward {shape.intermediate_size}, "
        f"{numerals.counted(shape.heads, 'head')} ({numerals.counted(shape.key_value, 'key-value head')}), "
        f"vocabulary {numerals.whole(facts.recipe.tokens.vocabulary)}, "
        f"context {numerals.whole(facts.recipe.tokens.sequence)}, seed {facts.recipe.seed}"
    )
    return section(
        "reproduce",
        "Reproducibility",
        tag(
            "p",
            f"A Llama with {about}. With the same text and versions, this does the same run again:",
        ),
        tag(
            "div",
            tag("pre", tag("code", f"lhama run {facts.recipe.name}.toml")),
            folded(f"The recipe, {facts.recipe.name}.toml", tag("pre", tag("code", recipe)), on_paper=True),
            _hashes(facts, recipe),
            _versions(facts),
            class_="box",
        ),
    )


def published(recipe: Recipe) -> str:
    """Write the resolved recipe with only the last name of each path."""
    corpus, tokens, release = recipe.corpus, recipe.tokens, recipe.release
    if tokens.from_ is not None:
        tokens = tokens.model_copy(update={"from_": _last(tokens.from_)})
    others = tuple(_tokenizer(path) for path in release.compare_tokenizers)
    changed = {
        "source": tuple(_source(one) for one in corpus.source),
        "classifier": tuple(_without_folders(one, "labels") for one in corpus.classifier),
        "decontaminate": _last(corpus.decontaminate),
    }
    corpus = _without_folders(corpus.model_copy(update=changed), "opt_out", "tasks", "thresholds_file")
    parts = {"corpus": corpus, "tokens": tokens, "train": _without_folders(recipe.train, "stream", "mirror")}
    parts["release"] = release.model_copy(update={"compare_tokenizers": others})
    return dumps(recipe.model_copy(update=parts))


def _tokenizer(path: str) -> str:
    """Name a tokenizer as the comparison does: by its folder where its file is called as all are."""
    file = PurePosixPath(path)
    return f"{file.parent.name}/{file.name}" if file.name in TOKENIZERS and file.parent.name else _last_name(path)


def _source(source: Source) -> Source:
    short = _without_folders(source, "path", "blocklist")
    return short.model_copy(update={"path": f"./{short.path}"}) if source.is_downloaded else short


def _without_folders(section: Part, *keys: str) -> Part:
    """Leave only the last name of each path under some keys; what lies on the Hub keeps its address."""
    paths = {key: getattr(section, key) for key in keys}
    return section.model_copy(update={key: _last(path) for key, path in paths.items() if path is not None})


def _last(path: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(path, tuple):
        return tuple(_last_name(one) for one in path)
    return _last_name(path)


def _last_name(path: str) -> str:
    elsewhere = path.startswith("/") or ("://" in path and not path.startswith(HUB))
    return PurePosixPath(path).name or path if elsewhere else path


def _hashes(facts: Facts, recipe: str) -> Markup:
    """List what names the run beyond doubt: the recipe as it stands above, each stage's result, and the weights."""
    rows: list[list[Child]] = []
    for stage in ORDER:
        identity = words(facts.manifests[stage], "identity")
        if identity:
            rows.append([f"{stage} stage", tag("span", identity, class_="hash")])
    weights = words(pairs(pairs(facts.manifests["train"], "outputs"), _weights_name(facts)), "sha256")
    if weights:
        rows.append(["weights", tag("span", weights, class_="hash")])
    if not rows:
        return missing("No stage has finished yet, so there are no hashes.")
    rows.insert(0, ["the recipe above", tag("span", hashlib.sha256(recipe.encode()).hexdigest(), class_="hash")])
    return table(["SHA-256 of the result", "Hash"], rows, words=2)


def _weights_name(facts: Facts) -> str:
    return f"{facts.newest_checkpoint.name}/model.safetensors" if facts.newest_checkpoint else ""


def _versions(facts: Facts) -> Markup | None:
    stages = [stage for stage in ORDER if pairs(facts.manifests[stage], "versions")]
    names = list(dict.fromkeys(name for stage in stages for name in pairs(facts.manifests[stage], "versions")))
    rows: list[list[Child]] = []
    for name in names:
        found = [str(pairs(facts.manifests[stage], "versions").get(name, "")) for stage in stages]
        known = list(dict.fromkeys(version for version in found if version))
        rows.append([name, join([tag("span", version, class_="mono") for version in known], ", ")])
    return table(["Version", "In use"], rows, words=2) if rows else None
