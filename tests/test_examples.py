"""The examples run, with few steps, and are as short as they say."""

import importlib.util
import math

import pytest
import torch
from paths import ROOT

import erlangen as er

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short(path):
    assert path.read_text().count("\n") < 60


def test_hyperbolic_denoising():
    found = loaded("hyperbolic_denoising").main(steps=2)
    assert all(math.isfinite(error) for errors in found.values() for error in errors)
    at_centre, moved = found["Hyperbolic"]
    assert moved == pytest.approx(at_centre, rel=0.15)  # trained or not: the same network everywhere


def test_a_space_of_your_own(capsys):
    assert 0 < loaded("a_space_of_your_own").main() < 1e-10
    assert "ellipses: dimension 3, stabilizer O(2)" in capsys.readouterr().out


def test_lines_in_space():
    example = loaded("lines_in_space")
    axes = er.PositionsAndDirections(length=2.5).grid(example.SPACE, torch.eye(3))
    found = example.main(steps=2, on=axes)
    assert len(found) == 3
    assert all(math.isfinite(error) for errors in found.values() for error in errors)
    noisy, whole = example.volumes(50, upright=False)
    assert float((noisy - whole).norm() / whole.norm()) > 1.0
