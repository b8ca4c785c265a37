"""The plan in plain words: tables of (label, value, how it was found), made from the plan's own dict."""

from __future__ import annotations

from typing import Any

Row = list[str]


def tables(planned: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the plan's tables in the order in which a reader asks."""
    found = [
        {"title": "What is trained", "rows": _trained(planned)},
        {"title": "What it takes", "rows": _takes(planned)},
        {"title": "Memory of one accelerator", "rows": _memory(planned)},
        {"title": "What to expect", "rows": _expected(planned)},
        {"title": "What more accelerators would do", "rows": _scaling(planned)},
    ]
    return [table for table in found if table["rows"]]


def amount(number: float) -> str:
    """Write a count the way people say it: 162.4 million, 3.75 billion."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:,.4g} {word}"
    return f"{number:,.0f}"


def size(count: float) -> str:
    """Write bytes in decimal units, as disks are sold."""
    for unit, word in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:,.3g} {word}"
    return f"{count / 1e3:,.3g} kB"


def duration(hours: float) -> str:
    """Write hours as minutes, hours or days."""
    if hours < 1:
        return f"{hours * 60:.1f} minutes"
    return f"{hours:,.1f} hours" if hours < 72 else f"{hours / 24:,.1f} days"


def _trained(planned: dict[str, Any]) -> list[Row]:
    model, training = planned["model"], planned["training"]
    roles = model["parameters"]
    parts = ", ".join(f"{role} {amount(count)}" for role, count in roles.items() if role != "total" and count)
    rows = [
        ["parameters", f"{roles['total']:,}", parts],
        ["vocabulary and context", f"{model['vocabulary']:,} pieces, {model['sequence']:,} tokens", ""],
        ["training tokens", f"{training['tokens']:,}", f"{training['tokens_per_parameter']:.1f} a parameter"],
        [
            "optimizer steps",
            f"{training['steps']:,}",
            f"{training['batch_tokens']:,} tokens each, {training['rows_per_step']:,} rows",
        ],
        [
            "operations",
            f"{training['flops']:.3g}",
            f"{model['flops_per_token']['causal']:,} a token (causal attention)",
        ],
    ]
    if len(training["phases"]) > 1:
        rows += [
            [f"phase {one['name']}", f"{one['tokens']:,} tokens", f"batch {one['batch_tokens']:,}, {_mix(one)}"]
            for one in training["phases"]
        ]
    return rows


def _mix(phase: dict[str, Any]) -> str:
    if not phase["mixture"]:
        return "sources by their size"
    return ", ".join(f"{name} {weight:g}" for name, weight in phase["mixture"].items())


def _takes(planned: dict[str, Any]) -> list[Row]:
    machine, time, money = planned["machine"], planned["time"], planned["money"]
    watts = sum(machine["watts"].values())
    many = f"{machine['count']} x " if machine["count"] > 1 else ""
    how = "measured" if time["source"] == "measured" else "expected, not measured yet"
    if machine["accelerator"] != "cpu":
        how += f"; {100 * time['utilization']:.0f}% of the {machine['precision']} peak (PaLM's count)"
    price = machine["price_per_hour"]
    if money["amount"] is None:
        cost = ["money", "unknown", f"set hardware.price_per_hour in {money['currency']}"]
    else:
        cost = ["money", f"{money['amount']:,.2f} {money['currency']}", f"{price:,.2f} for an accelerator and hour"]
    return [
        ["machine", many + machine["label"], machine["precision"]],
        ["speed", f"{time['tokens_per_second']:,.0f} tokens/s", how],
        ["time", duration(time["hours"]), "training only"],
        cost,
        ["electricity", f"{planned['energy']['kwh']:,.3g} kWh", f"{watts:,.0f} W on average"],
        [
            "greenhouse gas",
            f"{planned['energy']['kgco2e']:,.3g} kgCO2e",
            f"{machine['grid_gco2e_per_kwh']:g} g a kWh: {machine['grid_source']}",
        ],
        *_disk(planned["disk"]),
    ]


def _disk(disk: dict[str, int]) -> list[Row]:
    checkpoints = disk["rolling_checkpoints"] + disk["suite_checkpoints"]
    text = f"text {size(disk['corpus_at_most'])} and tokens {size(disk['tokens_at_most'])} at most"
    return [
        ["disk", size(disk["total"]), f"checkpoints {size(checkpoints)}, exports {size(disk['exports'])}"],
        ["", "", text],
    ]


def _memory(planned: dict[str, Any]) -> list[Row]:
    room = planned["memory"]
    fits = "fits" if room["fits"] else "does not fit: lower train.micro_batch, the model, or take a larger accelerator"
    parts = {
        "weights": "32-bit weights",
        "gradients": "gradients",
        "moments": "AdamW's two moments",
        "compute_copy": "bf16 copy",
    }
    beside = {
        "logits": "logits and the head's gradient",
        "snapshot": "copy of a save, while it is written",
        "tokens": "tokens in memory, at most",
        "program": "the program itself",
    }
    rows = [[label, size(room[name]), ""] for name, label in parts.items() if room[name]]
    each = f"{room['rows_at_once']:,} rows at once, {size(room['activations_per_row'])} each"
    return [
        *rows,
        ["activations", size(room["activations"]), each],
        *([label, size(room[name]), ""] for name, label in beside.items() if room[name]),
        ["together", f"{size(room['total'])} of {size(room['available'])}", fits],
    ]


def _scaling(planned: dict[str, Any]) -> list[Row]:
    return [
        [
            f"{one['count']} together",
            f"{amount(one['tokens_per_second'])} tokens a second",
            f"{one['efficiency']:.0%} of what each would do alone, with {one['mode']} and the same batch",
        ]
        for one in planned["scaling"]
    ]


def _expected(planned: dict[str, Any]) -> list[Row]:
    loss = planned["loss"]
    if not loss["in_range"]:
        far = "they were measured on models from 70 million parameters up"
        return [["loss", "no scaling law reaches so small a run", far]]
    rows: list[Row] = []
    for one in (loss["besiroglu"], loss["hoffmann"]):
        rows.append(["loss", f"{one['nats_per_token']:.2f} nats a token", one["law"]])
        rows.append(["best for this size", f"{amount(one['best_tokens_for_this_size'])} tokens", "same law"])
    refit = loss["besiroglu"]
    best = amount(refit["best_parameters_for_this_compute"]), amount(refit["best_tokens_for_this_compute"])
    there = f"{refit['nats_per_token_there']:.2f} nats a token"
    if loss["repeated"]:
        rows.append(_repeated(loss["repeated"]))
    if loss["served"]:
        rows.append(_served(loss["served"]))
    return [
        *rows,
        ["best for these operations", f"{best[0]} parameters, {best[1]} tokens", there],
        ["read this as", "a difference between plans", "the laws were measured on English web text"],
    ]


def _repeated(found: dict[str, float]) -> Row:
    text, worth = amount(found["tokens_available"]), amount(found["worth_tokens"])
    return [
        "loss, text repeated",
        f"{found['nats_per_token']:.2f} nats a token",
        f"{text} tokens read {found['epochs']:.1f} times are worth {worth} new ones (Muennighoff et al. 2023)",
    ]


def _served(found: dict[str, float]) -> Row:
    return [
        f"best for {amount(found['tokens_served'])} tokens of use",
        f"{amount(found['parameters'])} parameters, {amount(found['tokens'])} tokens",
        f"the same loss with {found['share_of_operations']:.0%} of the operations of its life (Sardana et al. 2024)",
    ]
