"""Talk with a trained model in the terminal: a line of yours goes in, the model's continuation streams out.

A base model completes text, it does not answer; so your words are shown again and the model writes on from them.
Sampling comes from the recipe's [serve] keys and can be changed between two lines with a slash command.
From a pipe, each line is one prompt, and the completion is printed below it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from lhama.model.checkpoint import load_model
from lhama.model.device import pick
from lhama.model.generate import generate
from lhama.model.llama import Llama
from lhama.plan.problem import Problem
from lhama.plan.recipe import Recipe, Serve
from lhama.record import console
from lhama.record.run import Run
from lhama.tokens.vocabulary import Vocabulary
from lhama.train.save import newest

HELP = """Write the beginning of a text and press Enter; the model writes on.
  /temperature 0.8          how daring: 0 always takes the likeliest token
  /top_k 50                 choose among this many tokens
  /top_p 0.95               choose among the likeliest tokens that share this much probability
  /repetition_penalty 1.1   above 1 discourages tokens that occurred
  /max_new_tokens 256       how long an answer may be
  /seed 7                   the same seed, prompt and settings give the same text
  /settings   /help   /quit"""


class Chat:
    """A model, its vocabulary and the settings of the next answer."""

    def __init__(self, model: Llama, vocabulary: Vocabulary, settings: Serve) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.settings = settings
        self.seed = 0
        self.answers = 0

    def complete(self, text: str) -> Iterator[str]:
        """Yield the continuation piece by piece, until the model ends the document or the length is used up."""
        ids = [self.vocabulary.bos, *self.vocabulary.encode(text)]
        decoder = self.vocabulary.stream_decoder()
        seed = self.seed + self.answers
        self.answers += 1
        for token in generate(self.model, ids, self.settings, seed, stop=(self.vocabulary.eos,), purpose="chat"):
            yield decoder.feed(token)
        yield decoder.finish()

    def command(self, line: str) -> str:
        """Carry out a slash command and return what to say about it."""
        name, _, value = line[1:].partition(" ")
        if name == "seed":
            self.seed, self.answers = int(value), 0
            return f"seed = {self.seed}"
        if name in Serve.model_fields and value:
            changed = self.settings.model_dump() | {name: value.strip()}
            self.settings = Serve.model_validate(changed)
            return f"{name} = {getattr(self.settings, name)}"
        if name in ("settings", *Serve.model_fields):
            shown = [f"{key} = {value}" for key, value in self.settings.model_dump().items()]
            return "\n".join([*shown, f"seed = {self.seed}"])
        return HELP


def open_chat(run: Run, recipe: Recipe) -> Chat:
    """Load the newest checkpoint of a run that its hashes vouch for."""
    checkpoint = newest(run.path("train"))
    if checkpoint is None:
        raise Problem(f"{run.name} has no checkpoint yet", remedy=f"train it first: lhama train {run.name}")
    device = pick(recipe)
    model = load_model(checkpoint, dtype=device.dtype, device=device.kind)
    return Chat(model, Vocabulary.load(checkpoint), recipe.serve)


def answer(chat: Chat, line: str) -> None:
    """Show a prompt with its streaming continuation, or the result of a slash command."""
    if line.startswith("/"):
        try:
            console.plain(chat.command(line))
        except (ValueError, Problem):  # pydantic's refusals are ValueErrors
            console.warn(f"{line}: that value cannot be; /help says what can")
        return
    console.stream(line)
    for piece in chat.complete(line):
        console.stream(piece)
    console.stream("\n\n")


def chat_loop(run: Run, recipe: Recipe) -> None:
    """Read lines until /quit or the end of the input, and let the model continue each."""
    chat = open_chat(run, recipe)
    if not sys.stdin.isatty():
        for line in sys.stdin:
            if line.strip():
                answer(chat, line.rstrip("\n"))
        return
    console.say(f"[bold]{run.name}[/bold] continues what you write. /help shows the commands, /quit ends.")
    while True:
        try:
            line = console.ask(">")
        except EOFError:
            return
        if line.strip() in ("/quit", "/exit"):
            return
        if line.strip():
            answer(chat, line)
