"""Recognise an example of instructions by its columns and bring it into one of a few forms.

In go the named values of a row, out comes an `Example`: which form it has (a task, a question, a choice, a
conversation), the texts that belong to it, and the columns they came from; or `NoExample`, and why. The layouts are
those of Alpaca and Dolly, prompt and response, SQuAD, CosmosQA and other choices, chat messages and ShareGPT.
"""

from typing import Any, Literal, NamedTuple

Layout = Literal["auto", "alpaca", "prompt", "qa", "choices", "chat"]
LETTERS = "ABCDEFGHIJ"
CONVERSATIONS = ("messages", "conversations", "conversation", "dialog", "turns")
ROLES = {
    **dict.fromkeys(("user", "human", "prompter", "usuario", "usuário"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "assistente"), "assistant"),
    **dict.fromkeys(("system", "sistema"), "system"),
}


class Example(NamedTuple):
    """An example in a form for which there are templates; a conversation has turns instead of texts."""

    form: str
    texts: dict[str, str]
    used: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]


class NoExample(NamedTuple):
    """Why a row is no example of its layout."""

    detail: str


def layout_of(values: dict[str, Any]) -> Layout | None:
    """Tell the layout of a row by its columns."""
    if any(isinstance(values.get(name), list) for name in CONVERSATIONS):
        return "chat"
    if "question" in values:
        several = any(name in values for name in ("choices", "options", "answer0"))
        return "choices" if several else "qa"
    if "instruction" in values:
        return "alpaca"
    return "prompt" if "prompt" in values else None


def example_of(values: dict[str, Any], layout: Layout) -> Example | NoExample:
    """Take the texts of an example out of a row."""
    told = layout_of(values) if layout == "auto" else layout
    if told is None:
        return NoExample(f"no known layout has the columns {', '.join(sorted(map(str, values))[:12])}")
    taken = _Taken(values)
    try:
        form, texts, turns = _OF_LAYOUT[told](taken)
    except _MissingError as missing:
        return NoExample(str(missing))
    return Example(form, texts, tuple(taken.used), turns)


Turns = tuple[tuple[str, str], ...]
Parts = tuple[str, dict[str, str], Turns]


class _MissingError(Exception):
    """What an example should have and has not."""


class _Taken:
    """The values of a row, and which of them were taken."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self.used: list[str] = []

    def value(self, *names: str) -> Any:
        """Take the first of some columns that says anything."""
        for name in names:
            if self._values.get(name) not in (None, ""):
                self.used.append(name)
                return self._values[name]
        return None

    def text(self, *names: str) -> str:
        """Take the first of some columns that says anything; it must be a text."""
        return _checked(self.value(*names), names[0])

    def text_or_nothing(self, *names: str) -> str:
        """Take a text that may be missing."""
        value = self.value(*names)
        return "" if value is None else _checked(value, names[0])


def _alpaca(row: _Taken) -> Parts:
    """Read instruction, input, output; Dolly says context and response."""
    texts = {"instruction": row.text("instruction"), "output": row.text("output", "response", "answer")}
    given = row.text_or_nothing("input", "context")
    return ("task_input", texts | {"input": given}, ()) if given else ("task", texts, ())


def _prompt(row: _Taken) -> Parts:
    output = row.text("response", "completion", "output", "answer")
    return "task", {"instruction": row.text("prompt"), "output": output}, ()


def _qa(row: _Taken) -> Parts:
    """Read question and answer, with a text to find it in or without."""
    texts = {"question": row.text("question"), "answer": _answer(row)}
    context = row.text_or_nothing("context")
    return ("question_context", texts | {"context": context}, ()) if context else ("question", texts, ())


def _answer(row: _Taken) -> str:
    """Return the first answer: a text, a list of texts or of {text}, or SQuAD's {text: [...]}."""
    found = row.value("answers", "answer")
    if isinstance(found, dict):
        found = found.get("text")
    while isinstance(found, list | tuple):
        if not found:
            raise _MissingError("there is no answer")
        found = found[0].get("text") if isinstance(found[0], dict) else found[0]
    return _checked(found, "answer")


def _choices(row: _Taken) -> Parts:
    """Read a question with several answers, one of which is right, named by its number, its letter or its text."""
    options, labels = _options(row)
    right = _right(row.value("label", "answerKey", "answer"), options, labels)
    lines = [f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    texts = {"question": row.text("question"), "options": "\n".join(lines), "answer": lines[right]}
    context = row.text_or_nothing("context")
    return ("choices_context", texts | {"context": context}, ()) if context else ("choices", texts, ())


def _options(row: _Taken) -> tuple[list[str], list[Any]]:
    """Return the answers to choose from, and what names them."""
    numbered = [row.value(f"answer{number}") for number in range(len(LETTERS))]
    found: Any = [value for value in numbered if value is not None] or row.value("choices", "options")
    labels: Any = None
    if isinstance(found, dict):  # ARC: {text: [...], label: [...]}
        found, labels = found.get("text"), found.get("label")
    if not isinstance(found, list) or not 2 <= len(found) <= len(LETTERS):
        raise _MissingError(f"there are not 2 to {len(LETTERS)} answers to choose from")
    letters = list(LETTERS[: len(found)])
    return [_checked(one, "an answer") for one in found], labels if isinstance(labels, list) else letters


def _right(key: Any, options: list[str], labels: list[Any]) -> int:
    if isinstance(key, str):
        for names in (labels, options, [str(label).lower() for label in labels]):
            if key in names and names.index(key) < len(options):
                return names.index(key)
        key = int(key) if key.isascii() and key.isdigit() and len(key) < 4 else key
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(options):
        return key
    raise _MissingError(f"{key!r} is none of the answers")


def _chat(row: _Taken) -> Parts:
    """Read a list of turns: {role, content}, or ShareGPT's {from, value}."""
    listed = row.value(*CONVERSATIONS)
    if not isinstance(listed, list):
        raise _MissingError(f"there is no list under any of {', '.join(CONVERSATIONS)}")
    turns = []
    for turn in listed:
        if not isinstance(turn, dict):
            raise _MissingError(f"a turn is {type(turn).__name__}, not an object")
        said = turn.get("role", turn.get("from"))
        role = ROLES.get(said.lower()) if isinstance(said, str) else None
        if role is None:
            raise _MissingError(f"nobody knows the role {said!r}")
        turns.append((role, _Taken(turn).text("content", "value", "text")))
    if "assistant" not in {role for role, _ in turns}:
        raise _MissingError("nobody answers in the conversation")
    return "chat", {}, tuple(turns)


def _checked(value: Any, name: str) -> str:
    if value is None:
        raise _MissingError(f"no value under {name!r}")
    if not isinstance(value, str):
        raise _MissingError(f"{name!r} holds {type(value).__name__}, not text")
    if not value.strip():
        raise _MissingError(f"{name!r} is empty")
    return value.strip()


_OF_LAYOUT = {"alpaca": _alpaca, "prompt": _prompt, "qa": _qa, "choices": _choices, "chat": _chat}
