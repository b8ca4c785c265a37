"""The prose of the model card, in the order in which a stranger asks: what is it, may I, how, from what, how good.

In: Facts. Out: Markdown. Texts from data (names, prompts, samples) are escaped, or stand in a fence that they cannot
close. What is not known is said to be unknown.
"""

import re
from collections.abc import Callable

from lhama.record.page import numerals
from lhama.record.run import ORDER
from lhama.release import licences
from lhama.release.facts import Facts, Use, items, number, pairs, words
from lhama.release.sections.tales import good, held_out

SPECIAL = re.compile(r"([\\`*_\[\]|~$])")  # wherever they stand
LEADING = re.compile(
    r"^(\d*)([#>+-]|(?<=\d)[.)](?=\s))"
)  # what makes a heading, quotation or list at the start of a line


def prose(facts: Facts) -> str:
    """Write the card's text."""
    parts = [
        f"# {inline(facts.title)}",
        _what(facts),
        inline(facts.recipe.release.description) if facts.recipe.release.description else "",
        _use(facts),
        _data(facts),
        _procedure(facts),
        _results(facts),
        _energy(facts),
        _limits(facts),
        _again(facts),
    ]
    return "\n\n".join(part for part in parts if part)


def inline(text: str) -> str:
    """Escape a text from data so that Markdown and HTML show it as it is, in one line."""
    flat = " ".join(text.split())
    marked = SPECIAL.sub(r"\\\1", flat.replace("&", "&amp;").replace("<", "&lt;"))
    return LEADING.sub(r"\1\\\2", marked)


def fence(text: str, language: str = "") -> str:
    """Put a text between fences longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def _table(columns: list[str], rows: list[list[str]], figures: int = 0) -> str:
    """Write a table whose last `figures` columns are numbers, set to the right."""
    rules = ["---"] * (len(columns) - figures) + ["---:"] * figures
    lines = [columns, rules, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _known(amount: float | None, say: Callable[[float], str]) -> str:
    return "unknown" if amount is None else say(amount)


def _what(facts: Facts) -> str:
    shape, sequence = facts.recipe.model, facts.recipe.tokens.sequence
    size = f" with {numerals.large(facts.parameters)} parameters" if facts.parameters else ""
    code = facts.recipe.language
    seen = f" on {numerals.large(facts.tokens_seen)} tokens" if facts.tokens_seen else ""
    by = f" It was made by {inline(', '.join(facts.recipe.release.authors))}." if facts.recipe.release.authors else ""
    state = "" if facts.finished else " **Training is not finished; this card shows what there is so far.**"
    return (
        f"A small Llama{size} ({shape.layers} layers, width {shape.hidden_size}), trained from scratch{seen} for "
        f"{numerals.language(code)} (`{inline(code)}`) with Lhama. It is a base model: it continues text, in a context "
        f"of {numerals.whole(sequence)} tokens, and was not tuned to follow instructions.{by}{state}"
    )


def _use(facts: Facts) -> str:
    prompt = next(iter(facts.recipe.train.sample_prompts), "Era uma vez")
    folder = f"train/{facts.newest_checkpoint.name}" if facts.newest_checkpoint else "train/step-…"
    serve = facts.recipe.serve
    code = f"""from transformers import AutoModelForCausalLM, AutoTokenizer

path = "."  # this repository, or the run's folder {folder}
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModelForCausalLM.from_pretrained(path)
prompt = tokenizer({prompt!r}, return_tensors="pt")
ids = model.generate(**prompt, max_new_tokens=120, do_sample=True, temperature={serve.temperature}, top_k={serve.top_k})
print(tokenizer.decode(ids[0], skip_special_tokens=True))"""
    return f"## How to use it\n\n{fence(code, 'python')}"


def _data(facts: Facts) -> str:
    counts = {words(source, "name"): source for source in items(facts.corpus, "sources")}
    rows = []
    for source in facts.recipe.corpus.source:
        row = counts.get(source.name, {})
        rows.append(
            [
                inline(source.name),
                inline(source.license or "unknown"),
                _known(number(row, "kept"), numerals.whole),
                _known(number(row, "bytes_out"), numerals.size),
            ]
        )
    parts = ["## Training data", _table(["Source", "Licence", "Documents", "Text"], rows, figures=2)]
    warnings = licences.warnings(facts.recipe)
    if warnings:
        parts.append("\n".join(f"> **Licence warning.** {inline(warning)}" for warning in warnings))
    lost = sum(sum(pairs(row, "dropped").values()) for row in counts.values())
    held = sum(number(row, "heldout") or 0 for row in counts.values())
    if counts:
        parts.append(
            f"{numerals.counted(lost, 'document')} were dropped, each with a reason in the run’s report; "
            f"{numerals.counted(held, 'document')} are held out, chosen by a hash before cleaning, and their exact "
            "copies are not in the training text."
        )
    return "\n\n".join(parts)


def _procedure(facts: Facts) -> str:
    train, shape = facts.recipe.train, facts.recipe.model
    rows = [
        ["Optimizer", f"AdamW, betas {train.beta1} and {train.beta2}, weight decay {train.weight_decay} on matrices"],
        [
            "Learning rate",
            f"{train.learning_rate:g}, {train.schedule}, warm-up {numerals.whole(train.warmup_tokens)} tokens",
        ],
        [
            "Batch",
            f"{numerals.whole(train.batch_tokens)} tokens in rows of {numerals.whole(facts.recipe.tokens.sequence)}",
        ],
        ["Steps", numerals.whole(facts.steps)],
        ["Gradient clipping", "none" if train.clip is None else f"norm {train.clip:g}"],
        [
            "Shape",
            f"{shape.layers} layers, width {shape.hidden_size}, feed-forward {shape.intermediate_size}, "
            f"{shape.heads} heads, {shape.key_value} key-value heads, {'tied' if shape.tied else 'untied'} embeddings",
        ],
        ["Vocabulary", f"{numerals.whole(facts.recipe.tokens.vocabulary)} SentencePiece pieces with byte fallback"],
    ]
    if facts.training_seconds is not None:
        machine = f" on {inline(facts.machine)}" if facts.machine else ""
        rows.append(["Time", numerals.duration(facts.training_seconds) + machine])
    return f"## Training procedure\n\n{_table(['', 'Setting'], rows)}"


def _results(facts: Facts) -> str:
    rows = []
    if facts.bits_per_byte is not None:
        rows.append(["Bits per byte", numerals.fixed(facts.bits_per_byte, 4)])
    if facts.perplexity is not None:
        rows.append(["Perplexity per token", numerals.fixed(facts.perplexity, 3)])
    judged = items(facts.final.get("tales"), "samples")
    for name, held in (("Tales that pass, seen combinations", False), ("Tales that pass, held-out combinations", True)):
        group = [tale for tale in judged if held_out(tale) is held]
        if group:
            rows.append([name, f"{sum(map(good, group))} of {len(group)}"])
    if not rows:
        return "## Results\n\nNothing has been measured yet."
    text = "Measured on held-out text: nats over all targets / (ln 2 × raw UTF-8 bytes), in non-overlapping windows."
    return f"## Results\n\n{_table(['Measure', 'Value'], rows, 1)}\n\n{text}"


def _energy(facts: Facts) -> str:
    if not facts.uses:
        return "## Energy\n\nNo energy was recorded."

    def row(name: str, use: Use) -> list[str]:
        return [
            inline(name),
            " and ".join(use.methods) or "not recorded",
            numerals.duration(use.seconds),
            _known(use.kwh, numerals.energy),
            _known(use.kgco2e, numerals.carbon),
        ]

    rows = [row(name, use) for name, use in facts.uses.items()]
    rows.append(row("all", facts.total))
    return f"## Energy\n\n{_table(['Stage', 'Its energy is', 'Time', 'Electricity', 'Carbon'], rows, 3)}"


def _limits(facts: Facts) -> str:
    limits = [
        "It is small: it will state false things fluently. Do not use it where someone could be harmed by an error.",
        "It learned whatever its text holds, prejudice and private facts included, and nothing was filtered for them.",
        "It was measured on held-out text of its own sources; that says little about other text.",
    ]
    if facts.has_tales:
        limits.append(
            "Among its text are tales written by a program, a teaching corpus: they teach grammar and reference, "
            "and nothing about the world."
        )
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def _again(facts: Facts) -> str:
    rows = [[f"{stage} stage", f"`{identity}`"] for stage in ORDER if (identity := _hash(facts, stage))]
    versions = pairs(facts.manifests["train"], "versions")
    known = ", ".join(f"{inline(str(name))} {inline(str(version))}" for name, version in versions.items())
    parts = ["## Doing it again", fence(f"lhama run {facts.recipe.name}.toml", "sh")]
    parts.append("The resolved recipe, every figure and samples over time are in the run’s `release/report.html`.")
    if rows:
        parts.append(_table(["Result", "SHA-256"], rows))
    if known:
        parts.append(f"Versions: {known}.")
    return "\n\n".join(parts)


def _hash(facts: Facts, stage: str) -> str:
    identity = words(facts.manifests[stage], "identity")
    return identity if re.fullmatch(r"[0-9a-f]{64}", identity) else ""
