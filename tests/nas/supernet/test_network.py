"""A supernet is every network of its space: in logits, in gradients, in cost."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas import device as devices
from nas.build import build
from nas.profile import flops
from nas.supernet.network import Supernet
from nas.supernet.reading import read
from search_spaces import Arch, OneOf, Stage, cost
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.space import Space
from search_spaces.spaces import find, names
from tests.nas.searching import SPACE as TOY
from tests.nas.supernet.small import MACRO
from tests.search_spaces.small import SMALL, written_out

PIXELS = 64
GROWING = Space(
    "growing",
    Arch(
        resolution=16,
        stem=ConvStem(width=OneOf(4, 8)),
        stages=(Stage(Dense(layers=OneOf(1, 3), growth=OneOf(2, 5), bottleneck=0), width=16),),
        head=PoolHead(),
        eps=0.1,
    ),
)


def stirred(space: Space, pixels: int = PIXELS) -> Supernet:
    """A supernet with weights at random everywhere, so that no two of its tensors are alike."""
    supernet = Supernet(space, 3, 10, pixels)
    with torch.no_grad():
        for parameter in supernet.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)
        for name, parameter in supernet.named_parameters():
            if name.endswith("Linear.weight"):
                parameter.normal_(std=0.1)
    return supernet


def settle(network: nn.Module, images: Tensor) -> None:
    """Batch norms' statistics from these images, so that logits are neither tiny nor huge."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None
    network.train()
    with torch.no_grad():
        network(images)
    network.eval()


# ---------------------------------------------------------------------------- it is every network


@pytest.mark.parametrize("name", names())
def test_selected_and_extracted_agree_in_every_space(name: str) -> None:
    space = find(name)
    space = space.at(space.resolutions[0])
    supernet, rng, images = stirred(space), Random(1), torch.randn(4, 3, PIXELS, PIXELS)
    for i in range(2):
        arch = space.sample(rng)
        selected = supernet.select(arch, PIXELS)
        settle(selected, images)
        extracted = supernet.extract(arch, PIXELS).eval()
        plain = build(arch.at(PIXELS), 3, 10)
        plain.load_state_dict(extracted.state_dict())  # the very names and shapes
        devices.place(plain, torch.device("cpu"))  # with the same kernels: others round otherwise
        with torch.no_grad():
            logits, expected = supernet.eval()(images), plain.eval()(images)
        assert expected.std() > 1e-2, "logits that differ are what this test compares"
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
        if i == 0:  # fvcore takes its time
            exact = cost(arch.at(PIXELS), 3, 10)
            assert flops(extracted, 3, PIXELS) == exact.flops
            assert sum(p.numel() for p in selected.parameters()) == exact.params


@pytest.mark.parametrize("name", ["nested", "twins"])
def test_every_network_of_a_small_space(name: str) -> None:
    supernet, images = stirred(SMALL[name], 16), torch.randn(2, 3, 16, 16)
    archs = [arch for arch in written_out(name) if arch.resolution <= 16]
    for arch in archs[:: max(1, len(archs) // 15)]:
        settle(supernet.select(arch), images)
        torch.testing.assert_close(supernet(images), supernet.extract(arch).eval()(images), atol=1e-5, rtol=1e-5)


def test_a_space_of_the_users_own_keeps_alternatives_of_one_block_side_by_side() -> None:
    assert MACRO.size() == 3**8
    supernet, rng, images = stirred(MACRO, 32), Random(0), torch.randn(4, 3, 32, 32)
    for _ in range(3):
        arch = MACRO.sample(rng)
        settle(supernet.select(arch), images)
        torch.testing.assert_close(supernet(images), supernet.extract(arch).eval()(images), atol=1e-5, rtol=1e-5)
    small, large = (
        supernet.shared[f"stage2/0/{kind}/depthwise/conv:Conv"].weight
        for kind in ("inverted_residual", "inverted_residual#2")
    )
    assert tuple(small.shape) == (192, 1, 3, 3)
    assert tuple(large.shape) == (384, 1, 5, 5)


def test_slices_are_leading_channels_and_central_taps() -> None:
    space = find("mobile")
    space = space.at(224)
    supernet = stirred(space)
    arch = Arch.parse(
        "r224 | conv_stem(width=16, act=relu6) | inverted_residual(expand=1) c16 "
        "| inverted_residual(expand=4) c24 n2 s2 "
        "| inverted_residual(kernel=5, expand=3) c32 s2 | inverted_residual(expand=3) c64 s2 "
        "| inverted_residual(expand=3) c96 | inverted_residual(expand=3) c160 s2 | inverted_residual(expand=3) c320 "
        "| pool_head(width=960, act=relu6)"
    )
    state, shared = supernet.extract(arch).state_dict(), dict(supernet.shared.named_parameters())
    whole = shared["stage2/1/depthwise/conv:Conv.weight"]
    assert tuple(whole.shape) == (32 * 6, 1, 7, 7)
    assert torch.equal(state["stage2.1.path.depthwise.conv.weight"], whole[:96, :, 2:5, 2:5])
    whole = shared["stage3/0/expand/conv:Conv.weight"]
    assert torch.equal(state["stage3.0.expand.conv.weight"], whole[:72, :24])
    assert torch.equal(state["stage3.0.depthwise.norm.bias"], shared["stage3/0/depthwise/norm:BatchNorm.bias"][:72])
    assert torch.equal(state["head.classifier.weight"], shared["head/classifier:Linear.weight"][:, :960])


def test_what_a_dense_layer_reads_of_another_stays_what_it_is_at_any_growth() -> None:
    supernet = stirred(GROWING, 16)
    arch = Arch.parse("r16 eps=0.1 | conv_stem(width=4) | dense(layers=3, growth=2, bottleneck=0) c16 | pool_head")
    state = supernet.extract(arch).state_dict()
    whole = supernet.shared["stage1/0/layer3/conv:Conv"].weight
    assert tuple(whole.shape) == (5, 8 + 5 + 5, 3, 3)
    taken = [0, 1, 2, 3, 8, 9, 13, 14]  # four channels of the stem's eight, two of each layer's five
    assert torch.equal(state["stage1.0.layer3.new.conv.weight"], whole[:2, taken])


def test_segments_survive_a_boundary_only_where_every_network_has_as_many() -> None:
    inception, squeeze = (Supernet(find(name).at(128), 3, 10, 32).extents for name in ("inception", "squeeze"))
    assert not inception.joined
    assert len(inception.leaves["stage2/0/branches/+one/conv:Conv"].columns) == 4
    assert "stage1/1" in squeeze.joined, "with a bypass, two branches are one sum"
    assert "stage1/0" not in squeeze.joined


@pytest.mark.parametrize(
    ("name", "most"),
    [("mobile", 1.0), ("dense", 1.0), ("nin", 1.0), ("shuffle", 1.05), ("squeeze", 1.1), ("inception", 1.15)],
)
def test_memory_stays_near_the_largest_network(name: str, most: float) -> None:
    """Where there are no alternatives: with them, each has its own."""
    space = find(name)
    space = space.at(space.resolutions[0])
    largest = space.lattice(3, 10).extreme("params", -1)[1].params
    held = sum(p.numel() for p in Supernet(space, 3, 10, PIXELS).parameters())
    assert largest <= held <= most * largest


# ---------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("space", [GROWING, TOY, MACRO], ids=lambda space: space.name)
def test_a_step_on_the_supernet_is_the_step_of_the_extracted_network(space: Space) -> None:
    supernet, rng, images = stirred(space, 32), Random(2), torch.randn(8, 3, 32, 32)
    labels = torch.arange(8) % 10
    for _ in range(3):
        arch = space.sample(rng)
        alone = devices.place(supernet.extract(arch).train(), torch.device("cpu"))
        together = supernet.train().select(arch)
        supernet.zero_grad()
        for network in (alone, together):
            F.cross_entropy(network(images), labels).backward()
        opened = supernet.open_gradients()
        torch.optim.SGD(alone.parameters(), lr=0.5).step()
        torch.optim.SGD(supernet.parameters(), lr=0.5).step()
        assert len(opened) == len(list(alone.parameters()))
        after = supernet.extract(arch)
        for (name, expected), found in zip(alone.named_parameters(), after.parameters(), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4, msg=name)


def test_what_a_network_does_not_have_keeps_its_weights() -> None:
    supernet, images = stirred(TOY, 32), torch.randn(4, 3, 32, 32)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    arch = Arch.parse("r32 | conv_stem(width=8) | fire c16 | bottleneck(ratio=0.25) c32 s2 | pool_head")
    supernet.zero_grad()
    supernet.select(arch)(images).square().mean().backward()
    supernet.open_gradients()
    torch.optim.SGD(supernet.parameters(), lr=0.1, weight_decay=0.0).step()
    changed = {name for name, value in supernet.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(
        ("/fire/" in name) if "stage1" in name else ("/bottleneck/" in name) for name in changed if "stage" in name
    )
    assert not any("stage1/1" in name for name in changed)
    stem = "shared.stem/conv:Conv.weight"
    assert torch.equal(supernet.state_dict()[stem][8:], before[stem][8:])


def test_gradients_are_means_over_the_networks_of_a_step() -> None:
    supernet, images = stirred(TOY, 32), torch.randn(4, 3, 32, 32)
    arch = TOY.sample(Random(0))
    gradients = []
    for times in (1, 3):
        supernet.zero_grad()
        for _ in range(times):
            supernet.select(arch)(images).square().mean().backward()
        gradients.append([p.grad.clone() for p in supernet.open_gradients()])  # type: ignore[union-attr]
    for once, thrice in zip(*gradients, strict=True):
        torch.testing.assert_close(once, thrice, atol=1e-6, rtol=1e-4)


def test_reading_a_layer_that_does_not_fit_says_so() -> None:
    from search_spaces.errors import ArchError
    from search_spaces.layers import Conv, Shape

    with pytest.raises(ArchError, match="groups must divide"):
        read(Conv(8, groups=3), Shape(8, 4, 4), (8,))
