"""Angles between those of the fibre: how near to exact, on a smooth photograph."""

import pytest
import torch
from torch import nn

import erlangen as er
from erlangen.domains import Symmetry

ANGLES = (5, 15, 22.5, 30, 45, 77)
REGULAR = {"in_field": "regular", "out_field": "regular"}


def worst_angle(net: nn.Module, x: torch.Tensor, plane: er.Plane) -> tuple[float, float]:
    """The largest defect over the angles, and interpolation's own there."""
    elements = [Symmetry(f"turn {a:g}", plane.turn(a), False, True) for a in ANGLES]
    report = er.verify.equivariance(net, x, plane, elements, gradients=False, show=False)
    return max((row.output, row.floor or 0.0) for row in report.rows)


def network(plane: er.Plane, seed: int, gated: bool, projection: str) -> nn.Module:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for i in range(3):
        layers += [
            er.nn.Correlation(plane, 8, 8, 5, **REGULAR) if i else er.nn.Lift(plane, 3, 8, 7),
            er.nn.Norm(plane, 8),
            er.nn.Gated(plane, 8) if gated else er.nn.ReLU(plane),
        ]
    net = nn.Sequential(*layers, er.nn.Project(plane, projection))
    return net.double()


@pytest.mark.parametrize(
    ("gated", "projection", "median", "worst"), [(False, "max", 0.025, 0.045), (True, "mean", 0.01, 0.01)]
)
def test_any_angle(photograph, gated, projection, median, worst):
    plane = er.Plane(rotations=8)
    errors = []
    for seed in range(8):
        net = network(plane, seed, gated, projection)
        net(photograph)  # one step of training mode, so that the norms know the photograph
        errors.append(worst_angle(net.eval(), photograph, plane)[0])
    errors.sort()
    assert (errors[3] + errors[4]) / 2 <= median, errors
    assert errors[-1] <= worst, errors


@pytest.mark.parametrize("size", [5, 7, 9])
def test_isotropic_kernels_of_any_sign(photograph, size):
    plane = er.Plane()
    for seed in range(8):
        torch.manual_seed(seed)
        layer = er.nn.Correlation(plane, 3, 4, size, dtype=torch.float64)
        nn.init.normal_(layer.weight)  # signed rings, all equally large
        defect, floor = worst_angle(layer, photograph, plane)
        assert defect <= floor + 0.005, (seed, defect, floor)
