"""Deck transformations compose, come back, and have powers; groups of them lead home."""

import math

import pytest
import torch

import erlangen as er
from erlangen.geometry import Frame
from erlangen.groups.structure import turn
from erlangen.spaces.decks import DeckGroup

THIRD = torch.block_diag(turn(2 * math.pi / 3 * torch.ones(()).double()), torch.eye(1).double())
DECKS = {
    "shift": er.Deck(torch.eye(2), torch.tensor([0.3, 1.0])),
    "glide beside zero": er.Deck(torch.diag(torch.tensor([1.0, -1.0])), torch.tensor([2.0, 0.7])),
    "screw beside zero": er.Deck(THIRD, torch.tensor([0.2, -0.4, 1.5])),
    "endless screw": er.Deck(
        torch.block_diag(turn(0.5 * torch.ones(()).double()), torch.eye(1).double()),
        torch.tensor([0.1, 0.0, 1.0]),
    ),
}


@pytest.mark.parametrize("name", DECKS)
def test_powers_are_products(name):
    deck, n = DECKS[name], len(DECKS[name].shift)
    u = Frame(torch.randn(5, n).double(), torch.randn(5, n, n).double())
    once = deck.act(u)
    for k, by in ((1, deck), (2, deck @ deck), (-1, deck.inverse), (0, deck @ deck.inverse)):
        torch.testing.assert_close(deck.power(k).act(u), by.act(u))
        torch.testing.assert_close(deck.power(torch.tensor([k] * 5).double()).act(u), by.act(u))
    torch.testing.assert_close(once.point, u.point @ deck.matrix.T + deck.shift)
    g = deck.affine @ torch.cat([u.point, torch.ones(5, 1).double()], -1).T
    torch.testing.assert_close(g[:n].T, once.point)
    assert (
        deck.order == {"shift": 1, "glide beside zero": 2, "screw beside zero": 3, "endless screw": 0}[name]
    )


@pytest.mark.parametrize("name", DECKS)
def test_images_of_a_frame_come_home_to_one(name):
    deck, n = DECKS[name], len(DECKS[name].shift)
    group = DeckGroup([deck])
    u = Frame(torch.randn(9, n).double(), torch.randn(9, n, n).double())
    for k in (-7, -1, 1, 13):
        torch.testing.assert_close(group.home(deck.power(k).act(u)), group.home(u))


def test_decks_that_do_not_keep_the_lattice_of_others_are_refused():
    shifts = [er.Deck(torch.eye(3), torch.eye(3)[axis]) for axis in (0, 1)]
    screw = er.Deck(THIRD, torch.eye(3)[2])
    with pytest.raises(ValueError, match=r"come home elsewhere, expected one that carries the lattice"):
        DeckGroup([*shifts, screw])
    sheared = er.Deck(torch.eye(3), torch.tensor([0.5, math.sqrt(0.75), 0.0]).double())
    assert len(DeckGroup([shifts[0], sheared, screw])) == 3


def test_what_is_no_deck_is_refused():
    with pytest.raises(ValueError, match=r"the matrix has shape \(3, 3\) and the shift \(2,\), expected"):
        er.Deck(torch.eye(3), torch.zeros(2))
