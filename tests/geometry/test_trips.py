"""Frames on their way round: what comes back agrees with curvature, and with the holonomy's own loops."""

import math

import pytest
import torch
from metrics import TURN, torus

import erlangen as er
from erlangen.geometry import Frame
from erlangen.geometry.trips import round_circles, round_circuit, traced


@pytest.mark.parametrize("build", [er.Moebius, er.ProjectivePlane, lambda: er.MappingTorus(1.0)])
def test_rounds_are_the_circuits(build):
    H = build().holonomy()
    rounds = [round_circuit(H.geometry, H.frame, circuit) for circuit in H.circuits]
    for trip, h in zip(rounds, H.circuit_turns, strict=True):
        torch.testing.assert_close(trip.turn, h, rtol=0, atol=1e-9)
        assert trip.is_mirrored == bool(torch.linalg.det(h) < 0)
    assert rounds[0].angle == pytest.approx(1.0) or H.frame.basis.shape[-1] == 2


def test_a_circle_turns_by_the_curvature_inside():
    sphere = er.Sphere()
    p = torch.tensor([[0.6, 0.0, 0.8], [0.0, -0.8, -0.6]]).double()
    radius = torch.tensor([0.5, 1.0]).double()
    circles = round_circles(sphere, sphere.frames(p), radius)
    for trip, r, centre in zip(circles, radius.tolist(), p, strict=True):
        assert trip.angle == pytest.approx(2 * math.pi * (1 - math.cos(r)), abs=3e-4)
        torch.testing.assert_close(trip.frames.point[0], trip.frames.point[-1])
        torch.testing.assert_close(trip.centre, centre)
        E = trip.frames.basis
        torch.testing.assert_close(E.mT @ E, torch.eye(2).double().expand(len(E), 2, 2))


def test_on_a_chart_all_steps_at_once_are_the_steps_one_by_one():
    chart = er.Chart(torus, 2, periods=(TURN, TURN), steps=4)
    t = torch.linspace(0, 1, 25).double()
    points = chart.home(torch.stack([6.1 + 0.4 * torch.cos(TURN * t), 0.1 + 0.4 * torch.sin(TURN * t)], -1))
    start = chart.frames(points[0])
    start = start.turn(torch.tensor([[0.6, -0.8], [0.8, 0.6]]).double())
    u, bases = start, [start.basis]
    for q in points[1:]:
        u = chart.nearby(u, q)
        bases.append(u.basis)
    found = traced(chart, start, points)
    torch.testing.assert_close(found.basis, torch.stack(bases), rtol=0, atol=1e-6)
    h = chart.gauge(Frame(start.point, start.basis), found.at(-1))
    assert abs(math.atan2(float(h[1, 0]), float(h[0, 0]))) > 0.05


def test_between_is_the_way_that_along_takes():
    t = torch.tensor([0.25, 1.0]).double()
    sphere = er.Sphere()
    p, q = torch.eye(3).double()[:2], torch.eye(3).double()[1:]
    found = sphere.between(p, q, t)
    torch.testing.assert_close(found[:, 1], q)
    expected = math.cos(math.pi / 8) * p + math.sin(math.pi / 8) * q
    torch.testing.assert_close(found[:, 0], expected)
    strip = er.Chart(
        lambda x: torch.eye(2).to(x).expand(*x.shape, 2),
        2,
        periods=(2.0, None),
        bounds=(None, (-0.5, 0.5)),
        glue={0: torch.diag(torch.tensor([1.0, -1.0]))},
    )
    found = strip.between(torch.tensor([[1.9, 0.2]]).double(), torch.tensor([[0.1, -0.2]]).double(), t)
    torch.testing.assert_close(found[0], torch.tensor([[1.95, 0.2], [0.1, -0.2]]).double())
