"""Jacobian covariance: how differently the network's output answers to small changes of the images of a batch.

Mellor, Turner, Storkey, Crowley 2020, "Neural Architecture Search without Training", first version (arXiv v1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ABOUT = "how little the Jacobians of different images correlate (Mellor 2020, the paper's first version)"
EPSILON = 1e-5


def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """−Σ log(v + ε) + 1 / (v + ε) over eigenvalues v of the Jacobians' correlations; about −N when none correlate."""
    inputs = images.detach().clone().requires_grad_()
    (jacobian,) = torch.autograd.grad(network(inputs).sum(), inputs)
    return spread(jacobian.flatten(1))


def spread(jacobian: Tensor) -> float:
    """The score of Jacobians (N, pixels), one row an image."""
    correlations = torch.corrcoef(jacobian.detach().double().cpu())
    values = torch.linalg.eigvalsh(correlations).clamp_min(0) + EPSILON
    return -float((values.log() + 1 / values).sum())
