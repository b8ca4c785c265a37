"""Gradient checkpointing: the same loss and gradients, fewer numbers kept, and the operations that its table says."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lhama.model.llama import Llama, LlamaConfig

CONFIG = LlamaConfig(128, 32, 64, 3, 4, 2, 8, max_position_embeddings=24)


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the operations that run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


def one_step(
    how: str, dtype: torch.dtype = torch.float32
) -> tuple[float, dict[str, Tensor], Counter[str], Counter[str]]:
    """Do a forward and a backward pass; return loss, gradients, and the operations of both."""
    model = Llama(CONFIG)
    model.init_weights(3)
    model.model.checkpointing = how
    model.to(dtype)
    ids = torch.randint(4, 128, (2, 24), generator=torch.Generator().manual_seed(1))
    with Counted() as forward:
        loss = model.loss(ids, ids.roll(-1, 1))
    with Counted() as backward:
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return loss.item(), gradients, forward.counts, backward.counts


@pytest.mark.parametrize("how", ["selective", "full"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_numbers_are_the_same_to_the_bit(how: str, dtype: torch.dtype) -> None:
    loss, gradients, _, _ = one_step("off", dtype)
    again, same, _, _ = one_step(how, dtype)
    assert loss == again
    assert gradients.keys() == same.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, same[name], rtol=0, atol=0, msg=name)


def test_what_is_computed_again_is_what_the_table_says() -> None:
    counts = {how: one_step(how)[2:] for how in ("off", "selective", "full")}
    products = {how: backward["mm"] + backward["bmm"] for how, (_, backward) in counts.items()}
    roots = {how: backward["rsqrt"] for how, (_, backward) in counts.items()}
    assert products["selective"] == products["off"]  # no product twice
    assert (
        products["full"] - products["off"] == 6 * CONFIG.num_hidden_layers
    )  # q, k, v, o, gate, up; of down nobody asks the result
    assert roots["off"] == 0
    assert roots["selective"] == roots["full"] == 2 * CONFIG.num_hidden_layers  # both norms of a block


def test_fewer_numbers_are_kept() -> None:
    def kept(how: str) -> int:
        model = Llama(CONFIG)
        model.model.checkpointing = how
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        unpack: Callable[[Tensor], Tensor] = lambda tensor: tensor  # noqa: E731 - a name for its type
        ids = torch.randint(4, 128, (8, 24))
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            model(ids)
        return sum(sizes.values())

    assert kept("full") < 0.7 * kept("off")
