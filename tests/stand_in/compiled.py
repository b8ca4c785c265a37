"""Compile training steps for a GPU that is none, and count the bytes that they keep.

In: the shape of a model, rows, and a backend of torch.compile. Out, as JSON: bytes before a step, kept by its forward
pass, and at its peak; seconds and kernels. Tensors have shapes and no numbers. With `aot_eager_decomp_partition` the
graph is captured whole and cut into forward and backward as for Inductor; with `inductor`, which needs triton, all
kernels are compiled down to the machine code of a Hopper, and only their launch is left out.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

import stand_in_gpu
from stand_in_gpu import Device

stand_in_gpu.load_shim()

import torch  # noqa: E402  # the shim must be there before

stand_in_gpu.answer_for_cuda(torch)
untyped: Any = torch
T = 2048


def answer_for_compilers() -> None:
    """Let torch's compiler find the device: it asks more than the program does."""
    for name in ("_cuda_getDevice", "_cuda_getDeviceCount", "_cuda_getCurrentRawStream", "_cuda_setDevice"):
        setattr(untyped._C, name, lambda *_, name=name: 0)
    cuda = untyped.cuda
    cuda._exchange_device = lambda _: 0
    cuda._maybe_exchange_device = lambda _: 0
    cuda.get_rng_state = lambda *_: torch.zeros(1)
    cuda.set_rng_state = lambda *_: None
    cuda.default_generators = (torch.Generator(),)
    guards = untyped._C._dynamo.guards
    guards._empty_strided_cuda = lambda size, stride, dtype: torch.empty_strided(
        size, stride, dtype=dtype, device="cuda"
    )
    guards._reinterpret_tensor = lambda tensor, size, stride, more=0: tensor.as_strided(
        size, stride, tensor.storage_offset() + more
    )

    def attention(q: Any, k: Any, v: Any, attn_mask: Any = None, is_causal: bool = False, **_: Any) -> Any:
        assert attn_mask is None
        return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, 0.0, is_causal)[0]

    untyped.nn.functional.scaled_dot_product_attention = attention


def answer_for_triton() -> list[str]:
    """Let triton compile for a Hopper, and leave out what runs there; return the kernels as they come."""
    import torch._inductor.config as inductor
    import torch._inductor.runtime.triton_helpers as helpers
    import torch._inductor.runtime.triton_heuristics as heuristics
    import triton  # type: ignore[import-not-found]
    from triton.backends.compiler import GPUTarget  # type: ignore[import-not-found]

    class Driver:
        """What triton asks a GPU's driver for."""

        def __getattr__(self, name: str) -> Any:
            answers = {"get_current_target": GPUTarget("cuda", 90, 32), "get_current_device": 0}
            return lambda *_: answers.get(name, 0)

    kernels: list[str] = []

    def compile_only(tuner: Any, *_: Any, **__: Any) -> None:
        tuner._precompile_worker()
        assert tuner.compile_results
        kernels.append(tuner.fn.__name__)
        tuner.launchers = []

    triton.runtime.driver.set_active(Driver())
    changed: Any = heuristics.CachingAutotuner
    changed.precompile, changed.run = compile_only, lambda *_, **__: None
    untyped._inductor.runtime.triton_helpers = helpers
    helpers.set_driver_to_gpu = lambda: None
    inductor.joint_graph_constant_folding = False  # it would compute constants on the device
    inductor.compile_threads = 1
    return kernels


def count_tensors() -> None:
    """Count every tensor on the device while it lives."""
    import torch._subclasses.fake_tensor

    make = torch._subclasses.fake_tensor.FakeTensor.__new__

    def made(cls: Any, mode: Any, inside: Any, device: Any, *given: Any, **named: Any) -> Any:
        tensor = make(cls, mode, inside, device, *given, **named)
        if torch.device(device).type == "cuda":
            Device.hold(tensor, tensor)
        return tensor

    changed, mode = untyped._subclasses.fake_tensor.FakeTensor, untyped._subclasses.fake_tensor.FakeTensorMode
    changed.__new__ = staticmethod(made)
    mode.avoid_device_init = property(lambda _: True)  # otherwise it would ask the device for memory


def main(backend: str, checkpointing: str, apart: str, rows: str, *shape: str) -> None:
    """Compile, take three steps that compute nothing, and print what the last of them held."""
    answer_for_compilers()
    kernels = answer_for_triton() if backend == "inductor" else []
    count_tensors()
    from torch._subclasses.fake_tensor import FakeTensorMode

    from lhama.model.llama import Llama, LlamaConfig
    from lhama.train.optim import AdamW

    begun, found = time.monotonic(), {}
    with FakeTensorMode():
        torch.set_default_device("cuda")
        sizes: Any = [int(number) for number in shape]
        model = Llama(LlamaConfig(*sizes))
        torch.set_default_device(None)
        settings: dict[str, Any] = {"weight_decay": 0.1, "betas": (0.9, 0.95), "epsilon": 1e-8, "clip": 1.0}
        optimizer = AdamW(model, compute=torch.bfloat16, **settings)
        model.compute_with("auto", checkpointing)
        loss: Any = torch.compile(model.loss, fullgraph=True, dynamic=False, backend=backend)
        starts = torch.zeros(8, dtype=torch.int32, device="cuda") if apart == "apart" else None
        for _ in range(3):
            ids = torch.zeros(int(rows), T, dtype=torch.long, device="cuda")
            gc.collect()  # what tracing left would otherwise go in the midst of a step
            before = Device.now
            Device.reset()
            nats = loss(ids, ids, None, starts)
            kept = Device.now - before
            nats.backward()
            optimizer.gather()
            found = {"kept": kept, "peak": Device.peak - before}
            optimizer.step(1e-3, T, nats.detach())
            del nats
    found |= {"kernels": len(kernels), "seconds": round(time.monotonic() - begun)}
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
