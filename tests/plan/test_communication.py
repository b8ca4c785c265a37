"""Communication by hand: rings, machines, and TinyLlama's published speed."""

import pytest

from lhama.plan.budget import plan
from lhama.plan.communication import FAR_HOP, HOP, Network, scaling, spoken
from lhama.plan.hardware import ACCELERATORS
from lhama.plan.recipe import load

NETWORK = Network(inside=100e9, between=80e9)


def test_one_accelerator_says_nothing() -> None:
    assert spoken("ddp", 10**9, 23, 8, 1, NETWORK) == (0.0, 0.0)


def test_a_replicated_gradient_goes_around_the_ring_twice() -> None:
    # 8 of one machine, a billion weights: 2 x 7/8 x 4 GB = 7 GB at 100 GB/s, and 14 hops.
    sent, seconds = spoken("ddp", 10**9, 23, 8, 8, NETWORK)
    assert sent == pytest.approx(7e9)
    assert seconds == pytest.approx(0.07 + 14 * HOP)


def test_shards_are_gathered_twice_and_scattered_once_in_every_micro_batch() -> None:
    # 16 on two machines: 15/16 x (2 + 2 + 4) GB = 7.5 GB a micro-batch at the slower 80 GB/s; 23 parts x 3 operations
    # of 14 near hops and one far one.
    sent, seconds = spoken("fsdp", 10**9, 23, 4, 16, NETWORK)
    assert sent == pytest.approx(30e9)
    assert seconds == pytest.approx(4 * (7.5 / 80 + 23 * 3 * (14 * HOP + FAR_HOP)))


def test_with_room_shards_are_gathered_and_scattered_once_a_step() -> None:
    # 15/16 x (2 + 4) GB however many micro-batches, in 23 x 2 operations.
    sent, seconds = spoken("fsdp", 10**9, 23, 4, 16, NETWORK, room=True)
    assert sent == pytest.approx(5.625e9)
    assert seconds == pytest.approx(5.625 / 80 + 23 * 2 * (14 * HOP + FAR_HOP))


def test_hybrid_talks_between_machines_once_a_step() -> None:
    # Inside 7/8 x 8 GB a micro-batch; between two machines 2 x 1/2 x 4/8 GB, each accelerator on its eighth of 80 GB/s.
    sent, seconds = spoken("hybrid", 10**9, 23, 4, 16, NETWORK)
    assert sent == pytest.approx(4 * 7e9 + 0.5e9)
    assert seconds == pytest.approx(4 * (0.07 + 23 * 3 * 7 * HOP) + 0.05 + 23 * 2 * FAR_HOP)


def test_tinyllama_published_speed() -> None:
    """16 A100-40GB made 24,000 tokens a second each (its README), 56% of the peak, sharded as the recipe says."""
    found = scaling(load("tinyllama-1.1b"), ACCELERATORS["a100-40"], "bf16", 16)
    assert found.mode == "fsdp"
    assert found.tokens_per_second / 16 == pytest.approx(24_000, rel=0.05)
    assert found.efficiency > 0.97  # 8 micro-batches of 8 rows hide nearly all that is said


def test_more_accelerators_compute_less_each_and_say_the_same() -> None:
    recipe, device = load("tinyllama-1.1b"), ACCELERATORS["a100-40"]
    found = [scaling(recipe, device, "bf16", count) for count in (8, 64, 512)]
    assert [one.computation / found[2].computation for one in found] == pytest.approx([64, 8, 1])
    efficiencies = [one.efficiency for one in found]
    assert efficiencies == sorted(efficiencies, reverse=True)
    assert found[2].tokens_per_second > found[1].tokens_per_second > found[0].tokens_per_second


def test_accelerators_without_a_row_do_nothing() -> None:
    # 4 rows a step on 8: four compute, and all of them wait for the gradient.
    found = scaling(load("ttl-160m"), ACCELERATORS["h100"], "bf16", 8)
    assert found.efficiency == pytest.approx(0.5 * found.computation / (found.computation + found.exposed))


def test_replicas_send_during_the_last_backward_pass_all_but_the_embedding() -> None:
    # ttl-160m: 32,000 x 768 of 162,417,408 weights are the embedding's; a step of 4 rows on 2 is one micro-batch of 2.
    found = scaling(load("ttl-160m", ["train.micro_batch=2"]), ACCELERATORS["h100"], "bf16", 2)
    assert found.mode == "ddp" and 2 / 3 * found.computation > found.communication
    assert found.exposed == pytest.approx(found.communication * 24_576_000 / 162_417_408)
    # Of a network so slow that a backward pass hides only a part, that part is two thirds of the computation.
    slow = scaling(load("ttl-160m", ["train.micro_batch=2"]), ACCELERATORS["t4"], "fp32", 2, rate=1e7)
    assert slow.exposed == pytest.approx(slow.communication - 2 / 3 * slow.computation)


def test_the_plan_says_what_more_would_do() -> None:
    found = plan(load("lhama-160m", ["hardware.accelerator=h100"]))
    expected = scaling(load("lhama-160m"), ACCELERATORS["h100"], "bf16", 64)
    assert found["scaling"][1]["tokens_per_second"] == pytest.approx(expected.tokens_per_second)
    assert found["tables"][-1]["rows"][1][0] == "64 together"
    alone = plan(load("demo", ["hardware.accelerator=cpu"]))
    assert alone["scaling"] == [] and "accelerators would do" not in str(alone["tables"])


def test_a_measured_rate_takes_the_place_of_the_expected_one() -> None:
    found = scaling(load("tinyllama-1.1b"), ACCELERATORS["h100"], "bf16", 8, rate=50_000.0)
    assert found.computation == pytest.approx(2_097_152 / 8 / 50_000)
