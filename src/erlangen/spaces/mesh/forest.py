"""Connected pieces of a graph, and trees that span them, by whole levels at a time."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


def labelled(count: int, i: Int[Tensor, "e"], j: Int[Tensor, "e"]) -> Int[Tensor, "n"]:
    """The least node of the piece that each of `count` nodes belongs to, under edges from i to j.

    Labels fall to the least of all neighbours', then to the label of the label, until none falls.
    """
    label = torch.arange(count)
    while True:
        least = torch.minimum(label[i], label[j])
        fallen = label.scatter_reduce(0, label[i], least, "amin").scatter_reduce(0, label[j], least, "amin")
        fallen = fallen.scatter_reduce(0, i, least, "amin").scatter_reduce(0, j, least, "amin")
        fallen = fallen[fallen]
        if torch.equal(fallen, label):
            return label
        label = fallen


class Level(NamedTuple):
    """Nodes at one distance from the roots, each with the edge that leads there, maybe backwards."""

    parent: Int[Tensor, "k"]
    child: Int[Tensor, "k"]
    edge: Int[Tensor, "k"]
    backwards: Tensor


def spanning(
    count: int, i: Int[Tensor, "e"], j: Int[Tensor, "e"], roots: Int[Tensor, "r"]
) -> tuple[list[Level], Tensor]:
    """The levels of trees that span all that can be reached from the roots, and which edges are in use.

    The edges of a node lie side by side in one list, so that a level costs what it holds.
    """
    source, target = torch.cat([i, j]), torch.cat([j, i])
    order = torch.argsort(source, stable=True)
    degree = torch.bincount(source, minlength=count)
    first = degree.cumsum(0) - degree
    reached = torch.zeros(count, dtype=torch.bool)
    reached[roots] = True
    levels, used, here = [], torch.zeros(len(i), dtype=torch.bool), roots
    first_way = torch.full((count,), 2 * len(i))
    while len(here):
        n = degree[here]
        place = torch.arange(int(n.sum())) - (n.cumsum(0) - n).repeat_interleave(n)
        out = order[first[here].repeat_interleave(n) + place]
        out = out[~reached[target[out]]]
        first_way.scatter_reduce_(0, target[out], out, "amin")
        out = out[first_way[target[out]] == out]  # one of several ways to a node
        here = target[out]
        reached[here] = True
        edge = out % max(len(i), 1)
        used[edge] = True
        if len(out):
            levels.append(Level(source[out], here, edge, out >= len(i)))
    return levels, used
