"""The answers of the library are the recorded ones."""

import pytest
import torch
from golden import recipes

CHAOTIC = {"sphere, classes": 1e-6}


def close(now, before, tolerance):
    """Numbers in lists in dictionaries, compared; whatever else is in them is equal."""
    if isinstance(before, dict):
        assert now.keys() == before.keys()
        for name in before:
            close(now[name], before[name], tolerance)
    else:
        now, before = (torch.tensor(numbers, dtype=torch.float64) for numbers in (now, before))
        torch.testing.assert_close(now, before, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", recipes.DOMAINS | recipes.MORE)
def test_layers(name):
    before = {key: row for key, row in recipes.recorded("layers").items() if key.startswith(f"{name}: ")}
    close(recipes.of_domain(name), before, 1e-10)


@pytest.mark.parametrize("name", recipes.NETWORKS)
def test_losses(name):
    """The training of one of them makes 1e-7 of a rounding: of inputs that differ by 1e-15."""
    close(recipes.of_training(name), recipes.recorded("losses")[name], CHAOTIC.get(name, 1e-9))


def test_states():
    assert recipes.states() == recipes.recorded("states")


@pytest.mark.parametrize("name", recipes.GROUPS)
def test_groups(name):
    assert str(recipes.GROUPS[name]()) == recipes.recorded("groups")[name]


@pytest.mark.parametrize("name", recipes.SAVED)
def test_saved_networks(name):
    close(recipes.of_saved(name), recipes.recorded("answers")[name], 1e-10)
