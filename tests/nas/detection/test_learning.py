"""Detectors learn."""

from __future__ import annotations

import pytest
import torch

from nas.detection import KINDS, multi_task_loss
from tests.nas.detection.small import TINY, scenes, tiny


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_loss_falls_within_a_few_steps(kind: str) -> None:
    torch.manual_seed(0)
    model = tiny(kind, TINY, in_channels=1, mean=[0.2], std=[0.3])
    images, targets = scenes(2).batch(torch.arange(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    curve = []
    for _ in range(12):
        loss = multi_task_loss(model(images, targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(float(loss.detach()))
    assert sum(curve[-3:]) < 0.7 * sum(curve[:3])
