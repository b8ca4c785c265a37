"""A GPU for tests where there is none: torch finds a CUDA device, and the processor computes what lies on it.

For processes started with this folder in PYTHONPATH and STAND_IN_SHIM naming the built shim.cpp; with STAND_IN_KIND=mps
it is one of Apple's. Tensors on the device are `OnGpu`, which hold a tensor of the processor's; each operation runs
there, and answers as a GPU would in what can be wrong about a program that never met one:

    tensors of two devices in one operation        are an error, as on CUDA
    whoever asks for a number                      waits for the device: `Device.waits` counts
    every tensor's bytes, in blocks of 512         are counted while they live: `Device.peak` is their most
    bf16 and fp16 attention, and varlen kernels    are called by torch's names and signatures for CUDA
    numbers of 64 bits, and a fused AdamW          are refused on Apple's, which have neither (the latter errs there)

Not shown: speed, compiled kernels, rounding (the processor's is another), and whatever else is made of silicon. With
STAND_IN_SHAPES=1 tensors have shapes and no numbers, so that large models are counted in seconds.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

SHIM, SHAPES, KIND = "STAND_IN_SHIM", "STAND_IN_SHAPES", "STAND_IN_KIND"
BLOCK = 512  # bytes: CUDA's caching allocator rounds up to it
MEMORY = 16 << 30
HOPPER = {  # what compilers ask for: NVIDIA H100 Tensor Core GPU Architecture, table 4
    "major": 9,
    "minor": 0,
    "multi_processor_count": 132,
    "warp_size": 32,
    "max_threads_per_multi_processor": 2048,
    "regs_per_multiprocessor": 65536,
    "shared_memory_per_block": 49152,
    "shared_memory_per_block_optin": 232448,
    "shared_memory_per_multiprocessor": 233472,
    "L2_cache_size": 50 << 20,
    "gcnArchName": "",
    "uuid": "0",
}


def start() -> None:
    """Give torch the device, with tensors that the processor computes."""
    load_shim()
    install()


def load_shim() -> None:
    """Load the shim before torch asks for CUDA."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None and "torch" not in sys.modules
    libraries = Path(spec.origin).parent / "lib"
    for name in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(libraries / name), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(os.environ[SHIM])


class Device:
    """What the stand-in saw."""

    begun = False
    waits = 0
    now = 0
    peak = 0
    _alive: ClassVar[dict[int, int]] = {}  # storages by address: how many tensors hold them

    @classmethod
    def begin(cls) -> None:
        cls.begun = True

    @classmethod
    def reset(cls, *_: Any) -> None:
        cls.waits, cls.peak = 0, cls.now

    @classmethod
    def wait(cls, *_: Any) -> None:
        cls.waits += 1

    @classmethod
    def hold(cls, tensor: Any, inner: Any) -> None:
        """Count the storage of a tensor until the tensor ends, or holds another."""
        getattr(tensor, "let_go", int)()
        storage = inner.untyped_storage()
        key, size = storage._cdata, -(-storage.nbytes() // BLOCK) * BLOCK
        cls._alive[key] = cls._alive.get(key, 0) + 1
        if cls._alive[key] == 1:
            cls.now += size
            cls.peak = max(cls.peak, cls.now)
        tensor.let_go = weakref.finalize(tensor, cls._drop, key, size, storage)

    @classmethod
    def _drop(cls, key: int, size: int, _storage: Any) -> None:
        cls._alive[key] -= 1
        if not cls._alive[key]:
            del cls._alive[key]
            cls.now -= size


def install() -> None:
    """Make the class of tensors, the kernels, and what torch.cuda answers."""
    torch: Any = importlib.import_module("torch")
    on_gpu, run = make_tensors(torch)
    everything = torch.library.Library("_", "IMPL")
    kind = os.environ.get(KIND, "cuda")
    everything.fallback(lambda operation, *given, **named: run(operation, given, named), kind.upper())
    factories = torch.library.Library("aten", "IMPL")
    for name in ("default", "start", "start_step"):  # torch makes them by growing an empty tensor
        operation = getattr(torch.ops.aten.arange, name)
        factories.impl(operation, _direct(run, operation), kind.upper())
    torch._C._stand_in = (everything, factories)  # they last as long as torch does
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    answer_for_apple(torch) if kind == "mps" else answer_for_cuda(torch)
    attention = torch.nn.functional.scaled_dot_product_attention
    choice = _metal if kind == "mps" else _chosen
    torch.nn.functional.scaled_dot_product_attention = choice(torch, on_gpu, attention)


def answer_for_cuda(torch: Any) -> None:
    """Let torch.cuda say that there is one device, a Hopper."""
    # torch.tensor(1.0, device=...) fills on the processor and then copies, where our tensors see it.
    torch._C._set_only_lift_cpu_tensors(True)
    cuda = torch.cuda
    cuda._lazy_init, cuda.is_initialized = Device.begin, lambda: Device.begun
    for name, answer in {
        "is_available": True,
        "device_count": 1,
        "current_device": 0,
        "get_device_capability": (9, 0),
        "get_device_name": "stand-in",
        "get_device_properties": SimpleNamespace(total_memory=MEMORY, name="stand-in", **HOPPER),
    }.items():
        setattr(cuda, name, lambda *_, answer=answer: answer)
    cuda.synchronize, cuda.reset_peak_memory_stats = Device.wait, Device.reset
    cuda.max_memory_allocated = lambda *_: Device.peak
    torch.version.cuda = "13.0"


def answer_for_apple(torch: Any) -> None:
    """Let torch.mps say that there is one of Apple's devices, and Python that this is their system."""
    torch._C._set_only_lift_cpu_tensors(True)
    torch.backends.mps.is_available = lambda: True
    torch.mps.manual_seed = lambda _: None
    torch.mps.recommended_max_memory = lambda: MEMORY
    torch.mps.driver_allocated_memory = lambda: Device.now
    torch.mps.synchronize = Device.wait
    platform.mac_ver = lambda *_, **__: ("15.1", ("", "", ""), "arm64")


def _direct(run: Callable[..., Any], operation: Any) -> Callable[..., Any]:
    return lambda *given, **named: run(operation, given, named)


def _chosen(torch: Any, on_gpu: Any, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Choose as torch does on CUDA: FlashAttention where there is neither a mask nor fp32."""

    def attention(q: Any, k: Any, v: Any, attn_mask: Any = None, **named: Any) -> Any:
        flash = isinstance(q, on_gpu) and attn_mask is None and q.dtype in (torch.bfloat16, torch.float16)
        if not flash:
            return otherwise(q, k, v, attn_mask, **named)
        if named.pop("enable_gqa", False):
            k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], 1) for part in (k, v))
        return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, **named)[0]

    return attention


def _metal(torch: Any, on_gpu: Any, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Write attention out, as torch does for Apple's GPUs; grouped heads are to be repeated before."""

    def attention(q: Any, k: Any, v: Any, attn_mask: Any = None, is_causal: bool = False, **named: Any) -> Any:
        if not isinstance(q, on_gpu):
            return otherwise(q, k, v, attn_mask, is_causal=is_causal, **named)
        assert q.shape[1] == k.shape[1] == v.shape[1]
        return torch.ops.aten._scaled_dot_product_attention_math(q, k, v, attn_mask, 0.0, is_causal)[0]

    return attention


def make_tensors(torch: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the class of tensors on the device, and what runs an operation on them."""
    from torch.utils._pytree import tree_leaves, tree_map_only

    aten = torch.ops.aten
    kind = os.environ.get(KIND, "cuda")
    home = torch.device("meta" if os.environ.get(SHAPES) else "cpu")
    may_cross = {aten._to_copy.default, aten.copy_.default, aten.index.Tensor}
    kernels = make_kernels(torch)

    class OnGpu(torch.Tensor):  # type: ignore[misc]
        """A tensor on the device that is none."""

        inner: Any

        @staticmethod
        def __new__(cls: Any, inner: Any) -> Any:
            made = torch.Tensor._make_wrapper_subclass(
                cls,
                inner.shape,
                strides=inner.stride(),
                storage_offset=inner.storage_offset(),
                dtype=inner.dtype,
                device=torch.device(kind, 0),
            )
            made.inner = inner
            Device.hold(made, inner)
            return made

        def __repr__(self, **_: Any) -> str:
            return f"OnGpu({self.inner})"

        @classmethod
        def __torch_function__(cls, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
            if function == torch.Tensor.data.__set__:
                if not isinstance(given[1], OnGpu):
                    raise RuntimeError("a tensor on the device was given the data of one on the processor")
                given[0].inner = given[1].inner
                Device.hold(given[0], given[1].inner)
            if function is torch.Tensor.tolist:
                Device.wait()
                return (torch.zeros(given[0].shape) if home.type == "meta" else given[0].inner).tolist()
            with torch._C.DisableTorchFunctionSubclass():
                return function(*given, **(named or {}))

        @classmethod
        def __torch_dispatch__(cls, operation: Any, types: Any, given: Any = (), named: Any = None) -> Any:
            return run(operation, given, named or {})

    def run(operation: Any, given: Any, named: dict[str, Any]) -> Any:
        """Do an operation on the processor; what comes out lies where the operation says, or its inputs do."""
        leaves = tree_leaves((given, named))
        here = [leaf for leaf in leaves if isinstance(leaf, OnGpu)]
        others = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and not isinstance(leaf, OnGpu)]
        if here and operation not in may_cross and any(other.ndim for other in others):
            raise RuntimeError(f"{operation}: expected all tensors on one device, found {kind} and {others[0].device}")
        if kind == "mps" and (operation is aten._fused_adamw_.default or torch.float64 in _types(named, here)):
            raise TypeError(f"{operation} is not to be had on Apple's GPUs")
        stays = bool(here)
        if named.get("device") is not None:
            stays = torch.device(named["device"]).type == kind
            named = {**named, "device": home if stays or not here else torch.device("cpu")}
        if here and _waits(operation, given, named, stays):
            Device.wait()
        named = {**named, "pin_memory": False} if "pin_memory" in named else named
        if home.type == "meta" and operation is aten._local_scalar_dense.default:
            return 0
        if home.type == "meta" and operation is aten.copy_.default and not isinstance(given[0], OnGpu):
            return given[0]
        wrapped = {id(tensor.inner): tensor for tensor in here}
        plain, more = tree_map_only(OnGpu, lambda tensor: tensor.inner, (given, named))
        found = kernels.get(str(operation), operation)(*plain, **more)
        if operation is aten.copy_.default:
            return given[0]

        def placed(tensor: Any) -> Any:
            if id(tensor) in wrapped:
                return wrapped[id(tensor)]
            return OnGpu(tensor) if stays else tensor

        return tree_map_only(torch.Tensor, placed, found)

    def _types(named: dict[str, Any], here: list[Any]) -> set[Any]:
        return {named.get("dtype"), *(tensor.dtype for tensor in here)}

    def _waits(operation: Any, given: Any, named: dict[str, Any], stays: bool) -> bool:
        """Tell whether the processor cannot go on before the device has come so far."""
        if operation is aten.copy_.default:
            return not isinstance(given[0], OnGpu) and not given[2:]
        copies = operation is aten._to_copy.default and not stays and not named.get("non_blocking")
        return copies or operation in (aten._local_scalar_dense.default, aten.nonzero.default)

    return OnGpu, run


def make_kernels(torch: Any) -> dict[str, Callable[..., Any]]:
    """Return for CUDA's own operations what the processor does in their place."""
    aten = torch.ops.aten
    nothing = torch.empty(0)

    def softmax(x: Any, dimension: int, _widened: bool) -> Any:
        return torch.softmax(x.float() if _widened else x, dimension)

    def log_softmax(x: Any, dimension: int, _widened: bool) -> Any:
        return torch.log_softmax(x.float() if _widened else x, dimension)

    def widened(operation: Any) -> Callable[..., Any]:
        """Multiply fp16 in fp32, as a GPU adds up; the processor's own products are thirty times as slow."""

        def product(one: Any, other: Any) -> Any:
            if one.dtype != torch.float16:
                return operation(one, other)
            return operation(one.float(), other.float()).half()

        return product

    def flash(
        q: Any, k: Any, v: Any, dropout: float = 0.0, causal: bool = False, _mask: bool = False, **named: Any
    ) -> Any:
        assert not dropout and q.shape[1] == k.shape[1]
        out, logsumexp = aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal, **named)
        state = torch.zeros(2, dtype=torch.uint64)
        return out, logsumexp, None, None, q.shape[2], k.shape[2], state, nothing, nothing

    def flash_backward(grad: Any, q: Any, k: Any, v: Any, out: Any, logsumexp: Any, *more: Any, **named: Any) -> Any:
        causal = more[5]
        return aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, q, k, v, out, logsumexp, 0.0, causal, **named
        )

    def documents(starts: Any) -> list[tuple[int, int]]:
        return list(zip(starts.tolist()[:-1], starts.tolist()[1:], strict=True))

    def probabilities(q: Any, k: Any) -> Any:
        later = torch.ones(len(q), len(q), dtype=torch.bool).triu(1)
        scores = torch.einsum("ihd,jhd->hij", q.float(), k.float()) * q.shape[-1] ** -0.5
        return torch.softmax(scores.masked_fill(later, float("-inf")), -1)

    def varlen(q: Any, k: Any, v: Any, starts: Any, others: Any, _q: int, _k: int, causal: bool, *more: Any) -> Any:
        """Attend causally in each of the documents that lie end to end: (tokens, heads, size of a head)."""
        assert causal and more[1] == [-1, 0] and starts.dtype == others.dtype == torch.int32
        assert int(starts[0]) == 0 and int(starts[-1]) == len(q) and torch.equal(starts, others)
        out = torch.cat(
            [
                torch.einsum("hij,jhd->ihd", probabilities(q[start:end], k[start:end]), v[start:end].float())
                for start, end in documents(starts)
            ]
        )
        return out.to(q.dtype), torch.zeros(q.shape[1], len(q)), torch.zeros(2, dtype=torch.uint64)

    def varlen_backward(grad: Any, q: Any, k: Any, v: Any, _out: Any, _sums: Any, starts: Any, *_: Any) -> Any:
        found = []
        for start, end in documents(starts):
            g, queries, keys, values = (part[start:end].float() for part in (grad, q, k, v))
            p = probabilities(queries, keys)
            to_p = torch.einsum("ihd,jhd->hij", g, values)
            slope = p * (to_p - (to_p * p).sum(-1, keepdim=True)) * q.shape[-1] ** -0.5
            to_q, to_k = torch.einsum("hij,jhd->ihd", slope, keys), torch.einsum("hij,ihd->jhd", slope, queries)
            found.append((to_q, to_k, torch.einsum("hij,ihd->jhd", p, g)))
        return tuple(torch.cat(parts).to(q.dtype) for parts in zip(*found, strict=True))

    return {
        "aten.mm.default": widened(aten.mm.default),
        "aten.bmm.default": widened(aten.bmm.default),
        "aten._softmax.default": softmax,
        "aten._log_softmax.default": log_softmax,
        "aten._scaled_dot_product_flash_attention.default": flash,
        "aten._scaled_dot_product_flash_attention_backward.default": flash_backward,
        "torch_attn._varlen_attn.default": varlen,
        "torch_attn._varlen_attn_backward.default": varlen_backward,
    }
