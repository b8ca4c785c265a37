"""The recipe's sections from the network on: its shape, its training, its publication and how it speaks.

Horizons, batches, warm-up and intervals are all counted in tokens; steps and accumulation follow from them
(plan/schedule.py), so that a recipe cannot contradict itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lhama.plan.kinds import EXTEND, NOT_NEGATIVE, OPERATIONAL, POSITIVE, RESULT, SHARE, Name, Section
from lhama.plan.problem import Problem


class Model(Section):
    """The shape of the network: Llama 2 as Hugging Face's LlamaForCausalLM understands it."""

    hidden_size: Annotated[int, RESULT, POSITIVE]
    """The width of the residual stream."""
    intermediate_size: Annotated[int, RESULT, POSITIVE]
    """The width inside the SwiGLU feed-forward; usually 8/3 of hidden_size, rounded up."""
    layers: Annotated[int, RESULT, POSITIVE]
    """How many blocks of attention and feed-forward follow each other."""
    heads: Annotated[int, RESULT, POSITIVE]
    """How many attention heads ask questions."""
    key_value_heads: Annotated[int | None, RESULT, POSITIVE] = None
    """How many heads are asked; fewer than heads is grouped-query attention. Absent means as many as heads."""
    head_dim: Annotated[int | None, RESULT, POSITIVE] = None
    """The width of a head, an even number; absent means hidden_size / heads."""
    tied: Annotated[bool, RESULT] = False
    """Use one matrix for the embedding and the output head; it saves vocabulary x hidden_size parameters."""
    rope_theta: Annotated[float, RESULT, POSITIVE] = 10_000.0
    """The base of the rotary position embedding (Su et al. 2021)."""
    norm_epsilon: Annotated[float, RESULT, POSITIVE] = 1e-5
    """Added to the mean square inside RMSNorm; Llama 2 uses 1e-5."""
    initializer_range: Annotated[float, RESULT, POSITIVE] = 0.02
    """The standard deviation of the first weights."""

    @property
    def key_value(self) -> int:
        """Return the number of key-value heads, derived where the recipe is silent."""
        return self.key_value_heads or self.heads

    @property
    def head_width(self) -> int:
        """Return the width of a head, derived where the recipe is silent."""
        return self.head_dim or self.hidden_size // self.heads

    @model_validator(mode="after")
    def _heads_fit(self) -> Model:
        if self.head_dim is None and self.hidden_size % self.heads:
            raise Problem(
                f"{self.hidden_size} is not a multiple of model.heads ({self.heads})",
                key="model.hidden_size",
                remedy=f"try {self.heads * max(1, round(self.hidden_size / self.heads))}, or set model.head_dim",
            )
        if self.head_width % 2:
            raise Problem(
                f"a head is {self.head_width} wide, and rotary positions turn pairs",
                key="model.head_dim",
                remedy="make it an even number",
            )
        if self.heads % self.key_value:
            raise Problem(
                f"model.heads ({self.heads}) is not a multiple of it", key="model.key_value_heads", remedy="try 1"
            )
        return self


class PhaseSettings(Section):
    """One stretch of training with its own mixture, batch or rate."""

    name: Annotated[Name, RESULT]
    """What the phase is called in records."""
    tokens: Annotated[int, EXTEND, POSITIVE]
    """How many tokens this phase trains on."""
    batch_tokens: Annotated[int | None, RESULT, POSITIVE] = None
    """Tokens per optimizer step in this phase; absent means train.batch_tokens."""
    mixture: Annotated[dict[str, Annotated[float, NOT_NEGATIVE]] | None, RESULT] = None
    """The weight of each source in tokens, such as { books = 7, web = 3 }, or of all sources of a content that are not
    named, such as { "@text" = 6, "@instruct" = 4 }; absent mixes sources by the tokens they have."""
    learning_rate: Annotated[float | None, RESULT, POSITIVE] = None
    """The peak rate in this phase; absent means train.learning_rate. The schedule's shape spans the whole run."""


class Train(Section):
    """Integers in, checkpoints out."""

    tokens: Annotated[int | None, EXTEND, POSITIVE] = None
    """How many tokens to train on, repeats counted; with phases it may be absent. Raising it continues the run."""
    batch_tokens: Annotated[int, RESULT, POSITIVE]
    """Tokens per optimizer step over all devices, a multiple of tokens.sequence; accumulation follows from it."""
    micro_batch: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """Rows that go through the model at once; absent lets the device decide."""
    learning_rate: Annotated[float, RESULT, POSITIVE]
    """The peak learning rate of AdamW."""
    schedule: Annotated[Literal["cosine", "wsd", "constant"], RESULT] = "cosine"
    """How the rate falls after warm-up: a cosine, warm-up-stable-decay (constant, then decay_tokens), or not at all."""
    warmup_tokens: Annotated[int, RESULT, NOT_NEGATIVE] = 0
    """Tokens over which the rate rises linearly from 0 to its peak."""
    decay_tokens: Annotated[int | None, RESULT, POSITIVE] = None
    """The last tokens of a `wsd` schedule, over which the rate falls."""
    decay_shape: Annotated[Literal["linear", "1-sqrt"], RESULT] = "linear"
    """The form of the `wsd` decay; 1-sqrt falls fast first (Haegele et al. 2024, arXiv 2405.18392)."""
    final_learning_rate_fraction: Annotated[float, RESULT, SHARE] = 0.0
    """The rate at the end as a fraction of the peak."""
    weight_decay: Annotated[float, RESULT, NOT_NEGATIVE] = 0.1
    """Decoupled weight decay, on matrices only: norms are never decayed."""
    beta1: Annotated[float, RESULT, Field(ge=0, lt=1)] = 0.9
    """AdamW's memory of the gradient."""
    beta2: Annotated[float, RESULT, Field(ge=0, lt=1)] = 0.95
    """AdamW's memory of the squared gradient; small batches want it nearer to 1."""
    epsilon: Annotated[float, RESULT, POSITIVE] = 1e-8
    """Added to AdamW's denominator."""
    clip: Annotated[float | None, RESULT, POSITIVE] = None
    """The largest norm a gradient may have; absent means no clipping."""
    precision: Annotated[Literal["auto", "fp32", "tf32", "bf16", "fp16"], RESULT] = "auto"
    """The arithmetic of matrix products; weights are always kept in 32 bits. `auto` takes bf16 where it is fast, and
    fp16 with dynamic loss scaling on older GPUs; tf32 is of NVIDIA's GPUs from Ampere on."""
    attention: Annotated[Literal["auto", "sdpa", "plain"], OPERATIONAL] = "auto"
    """How attention is computed: the fastest kernel that is here (FlashAttention on a GPU, blocks on a processor),
    torch's own, or written out, which is what the others are compared with."""
    documents_apart: Annotated[bool, RESULT] = False
    """Let no token look across the borders of its document, where several share a row."""
    gradient_checkpointing: Annotated[Literal["off", "selective", "full"], OPERATIONAL] = "off"
    """What is computed again in the backward pass instead of being kept: nothing, what is cheap, or all of a block. It
    saves memory for larger models or micro-batches; `full` costs a third more operations."""
    loss_tokens: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """Tokens that have logits at the same time, each one number per piece of the vocabulary in 32 bits. Fewer save
    memory; absent takes 2^25 / vocabulary where training is compiled, and 512 else."""
    compile: Annotated[Literal["auto", "on", "off"], OPERATIONAL] = "auto"
    """Compile the model before training; `auto` does so where a run is long enough to gain from it."""
    deterministic: Annotated[bool, OPERATIONAL] = False
    """On a GPU, take only kernels that add up in a fixed order, so that a resumed run is the same to the bit, and steps
    take longer. A processor does so in any case."""
    parallel: Annotated[Literal["auto", "ddp", "fsdp", "hybrid"], OPERATIONAL] = "auto"
    """How several processes share the work: `ddp` keeps the whole model on each, `fsdp` shards weights, gradients and
    moments over all, `hybrid` shards them inside each machine only. `auto` takes ddp where the memory allows it."""
    threads: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """Processor threads; absent means all cores. A resume is bit-exact only with the same number."""
    data: Annotated[Literal["auto", "memory", "mapped", "streamed"], OPERATIONAL] = "auto"
    """Where rows are read from: shards read whole into memory, shards mapped from the disk, or blocks fetched from
    `stream`. `auto` takes memory where the tokens need a quarter of what is free, else maps; it streams where `stream`
    is set and the run has no tokens of its own. The batches are the same to the bit."""
    stream: Annotated[str | None, OPERATIONAL] = None
    """A finished tokens folder that lies elsewhere: a folder, https://..., hf://datasets/ORG/NAME@COMMIT/FOLDER,
    s3://..., gs://... or az://... Its small files are fetched first, its shards block by block as they are needed."""
    cache_gigabytes: Annotated[float | None, OPERATIONAL, NOT_NEGATIVE] = None
    """The most that fetched blocks may take on disk; 0 keeps none, absent means half of what is free."""
    profile_steps: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """Write a profile of so many steps to train/profile: a trace for a browser and a table; absent writes none."""
    log_every: Annotated[int, OPERATIONAL, POSITIVE] = 1
    """Tokens between two lines of progress; 1 means every step."""
    validate_every: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """Tokens between two validations; absent validates only at the end."""
    validate_megabytes: Annotated[float, OPERATIONAL, POSITIVE] = 1.0
    """Megabytes of held-out text in a periodic validation; the last one takes all."""
    sample_every: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """Tokens between two sets of samples; absent writes them only at the end."""
    sample_prompts: Annotated[tuple[str, ...], OPERATIONAL] = ()
    """Beginnings of text that the model continues at each set of samples."""
    sample_tokens: Annotated[int, OPERATIONAL, POSITIVE] = 120
    """The longest continuation of a sample."""
    save_every: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """Tokens between two rolling checkpoints, from which a stopped run resumes; absent saves only at the end."""
    keep: Annotated[int, OPERATIONAL, POSITIVE] = 2
    """How many rolling checkpoints to keep."""
    save_in_background: Annotated[bool, OPERATIONAL] = True
    """Copy the weights in memory at a save and let a thread write them while training goes on; the result is the same
    to the bit. It needs 12 bytes of memory per parameter; where they are not free, training waits for its saves."""
    mirror: Annotated[str | None, OPERATIONAL] = None
    """A folder on another disk to which every checkpoint is copied, in the background, and from which training is
    restored where its own folder is gone or damaged. Absent means no mirror."""
    suite_every: Annotated[int | None, OPERATIONAL, POSITIVE] = None
    """Tokens between two checkpoints that are kept for ever, for study and release; absent keeps only the last."""
    not_finite: Annotated[Literal["stop", "skip", "rollback"], OPERATIONAL] = "stop"
    """What happens at a loss or gradient that is not a number or infinite: stop with the batch as evidence, leave this
    update out, or go back to the last checkpoint before it and skip the batches around it."""
    spikes: Annotated[Literal["ignore", "record", "stop", "rollback"], OPERATIONAL] = "record"
    """What happens at a loss or gradient norm far above those of the last 128 steps (more than 6 scaled median absolute
    deviations above their median): nothing, a row in incidents.jsonl, a stop, or going back as above."""
    rollback_steps: Annotated[int, OPERATIONAL, NOT_NEGATIVE] = 10
    """How many steps before a bad one are skipped together with it when going back."""
    incidents_allowed: Annotated[int, OPERATIONAL, NOT_NEGATIVE] = 10
    """After so many updates left out or times gone back, training stops: something is wrong for good."""
    phase: Annotated[tuple[PhaseSettings, ...], EXTEND] = ()
    """The phases in order, each a table [[train.phase]]; without any the whole run is one phase named main."""

    @property
    def horizon(self) -> int:
        """Return the tokens the recipe asks for: those of the phases, or train.tokens."""
        return sum(phase.tokens for phase in self.phase) or self.tokens or 0

    @model_validator(mode="after")
    def _horizon_is_one(self) -> Train:
        names = [phase.name for phase in self.phase]
        if len(set(names)) < len(names):
            raise Problem("two phases have the same name", key="train.phase", remedy="rename one of them")
        if not self.phase and self.tokens is None:
            raise Problem("missing", key="train.tokens", remedy="say on how many tokens to train")
        if self.phase and self.tokens is not None and self.tokens != self.horizon:
            raise Problem(
                f"{self.tokens} is not the sum of the phases ({self.horizon})", key="train.tokens", remedy="drop it"
            )
        return self

    @model_validator(mode="after")
    def _streamed_from_somewhere(self) -> Train:
        if self.data == "streamed" and self.stream is None:
            raise Problem(
                'missing, and train.data is "streamed"', key="train.stream", remedy="say where the tokens folder lies"
            )
        return self

    @model_validator(mode="after")
    def _schedule_fits(self) -> Train:
        if self.schedule == "wsd" and self.decay_tokens is None:
            raise Problem(
                "missing, and the wsd schedule ends in a decay",
                key="train.decay_tokens",
                remedy=f"try {self.horizon // 5}, a fifth of the run",
            )
        if self.schedule != "wsd" and self.decay_tokens is not None:
            raise Problem(
                f"means nothing with train.schedule {self.schedule}", key="train.decay_tokens", remedy="drop it"
            )
        if self.warmup_tokens + (self.decay_tokens or 0) > self.horizon:
            raise Problem(
                f"warm-up ({self.warmup_tokens}) and decay ({self.decay_tokens or 0}) are longer than the run "
                f"({self.horizon} tokens)",
                key="train.warmup_tokens",
                remedy=f"try {self.horizon // 50}",
            )
        return self


class Release(Section):
    """What the report and the model card say beyond the record."""

    title: Annotated[str | None, RESULT] = None
    """The model's name for readers; absent means the recipe's name."""
    license: Annotated[str, RESULT] = "apache-2.0"
    """The licence of the weights, as the Hugging Face Hub spells it."""
    authors: Annotated[tuple[str, ...], RESULT] = ()
    """Who made the model."""
    description: Annotated[str | None, RESULT] = None
    """One paragraph for the top of the card."""
    worth_gain: Annotated[float, RESULT, POSITIVE] = 5.0
    """By how many percent the rest of a training must lower the perplexity on held-out text to be worth its price; the
    report names the step from which on it did not."""
    compare_tokenizers: Annotated[tuple[str, ...], OPERATIONAL] = ()
    """Other tokenizers to set beside this run's on the same held-out words: paths of a tokenizer.json or a
    tokenizer.model, or of a folder that holds one. Their content is what counts, not where they lie."""


class Serve(Section):
    """How the model speaks in chat and in training samples."""

    temperature: Annotated[float, OPERATIONAL, NOT_NEGATIVE] = 0.8
    """How freely to draw the next token; 0 always takes the likeliest."""
    top_k: Annotated[int, OPERATIONAL, NOT_NEGATIVE] = 50
    """Draw only from the k likeliest tokens; 0 means from all."""
    top_p: Annotated[float, OPERATIONAL, Field(gt=0, le=1)] = 0.95
    """Draw only from the likeliest tokens that together have this probability."""
    repetition_penalty: Annotated[float, OPERATIONAL, POSITIVE] = 1.0
    """Above 1 makes tokens that were already used less likely (Keskar et al. 2019)."""
    max_new_tokens: Annotated[int, OPERATIONAL, POSITIVE] = 256
    """The longest answer."""
