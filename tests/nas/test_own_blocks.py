"""A study whose space file defines a block: later commands are given the file, and say so where they were not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas import export, search
from tests.nas.exporting import imported
from tests.nas.test_search_command import arguments, here  # noqa: F401 - a fixture

SPACE = """
from dataclasses import dataclass

from search_spaces import Arch, IntRange, OneOf, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.layers import Act, Layer, chain, conv_norm
from search_spaces.part import Block
from search_spaces.space import Space


@dataclass(frozen=True)
class Wide(Block):  # begins with its activation, as DARTS's operations do, behind a stem that ends with one
    kernel: int = 3

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        return chain(act=Act("relu"), body=conv_norm(out_channels, self.kernel, stride))


small = Space("small", Arch(
    resolution=64,
    stem=ConvStem(width=8),
    stages=(Stage(Wide(kernel=OneOf(3, 5)), width=OneOf(16, 24), depth=IntRange(1, 2), stride=2),),
    head=PoolHead(),
))
"""


@pytest.mark.usefixtures("own_parts")
def test_a_block_of_a_space_file_is_taken_home(here: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    (here / "mine.py").write_text(SPACE)
    assert search.main(arguments("--trials", "1", "--no-export", "--trust", "0", space="mine.py:small")) == 0
    assert "nas.export --study small-8MFLOPs-images --blocks mine.py --best" in capsys.readouterr().err
    line = [sys.executable, "-m", "nas.export", "--best", "--out", "home", "--json"]
    bare = subprocess.run(line, capture_output=True, text=True, check=False)
    assert bare.returncode == 2
    assert "Traceback" not in bare.stderr
    assert "blocks that its space mine.py:small defines are known once that file is named: --blocks FILE" in bare.stderr
    named = subprocess.run([*line, "--blocks", "mine.py"], capture_output=True, text=True, check=False)
    assert named.returncode == 0, named.stderr
    assert "wide" in json.loads(named.stdout)["arch"]
    trained = imported(here / "home").load().train()
    trained(torch.randn(4, 3, 64, 64)).sum().backward()
    assert all(parameter.grad is not None for parameter in trained.parameters())
    missing = subprocess.run([*line, "--blocks", "none.py"], capture_output=True, text=True, check=False)
    assert missing.returncode == 2
    assert missing.stderr.endswith("error: argument --blocks: a space file must exist, but got none.py\n")
    assert export.parser().format_help().count("--blocks FILE.py") == 2
