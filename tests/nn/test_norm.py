"""Normalization: torch's where all samples weigh the same, the measure's where they do not."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import erlangen as er


@pytest.mark.parametrize("momentum", [0.1, None])
def test_scalars_on_the_plane_are_normalized_as_torch_does(momentum):
    ours, theirs = (
        norm.double()
        for norm in (er.nn.Norm(er.Plane(), 3, momentum=momentum), nn.BatchNorm2d(3, momentum=momentum))
    )
    for _ in range(3):
        x = torch.randn(4, 3, 5, 6).double() * 3 + 1
        torch.testing.assert_close(ours(x), theirs(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_statistics_are_shared_along_the_fibre():
    norm = er.nn.Norm(er.Plane(rotations=8), 2).double()
    y = norm(torch.randn(3, 2, 8, 5, 5).double() * torch.arange(1, 9).view(8, 1, 1) + 4)
    torch.testing.assert_close(y.mean((0, 2, 3, 4)), torch.zeros(2).double(), rtol=0, atol=1e-10)
    assert float(y.detach()[:, :, 7].std() / y.detach()[:, :, 0].std()) > 4


@pytest.mark.parametrize("in_training", [True, False])
def test_the_sphere_is_measured_by_area(in_training):
    """The same function, turned: what a mean over samples, dense at the poles, would tell apart."""
    ball = er.Sphere().grid(24)
    x, _, z = ball.points.unbind(-1)
    norm = er.nn.Norm(ball, 1, affine=False).double().train()
    upright, lying = (norm(f.square()[None, None]) for f in (z, x))
    if not in_training:
        norm.eval()
        upright, lying = (norm(f.square()[None, None]) for f in (z, x))
    weights = ball.weights / ball.weights.sum()
    torch.testing.assert_close((upright * weights).sum(), (lying * weights).sum(), rtol=0, atol=1e-10)
    torch.testing.assert_close((upright**2 * weights).sum(), (lying**2 * weights).sum(), rtol=0, atol=1e-10)
    if in_training:
        torch.testing.assert_close(
            upright.pow(2).mul(weights).sum(), torch.tensor(1.0).double(), rtol=0, atol=1e-3
        )


class Seen(TorchDispatchMode):
    """The arguments of every native_batch_norm_backward."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, op, _types, args=(), kwargs=None):
        if op is torch.ops.aten.native_batch_norm_backward.default:
            self.calls.append(args)
        return op(*args, **(kwargs or {}))


def test_the_backward_pass_is_given_what_a_gpu_reads():
    """CPUs read the running statistics, GPUs those saved: both are there, and the same."""
    norm = er.nn.Norm(er.Plane(rotations=8), 2).double()
    x = torch.randn(3, 2, 8, 5, 5, dtype=torch.float64, requires_grad=True)
    y = norm(x).square().sum()
    with Seen() as seen:
        y.backward()
    ((*_, mean, var, saved_mean, saved_inverse, in_training, eps, _),) = seen.calls
    assert not in_training
    torch.testing.assert_close(saved_mean, mean)
    torch.testing.assert_close(saved_inverse, torch.rsqrt(var + eps))
