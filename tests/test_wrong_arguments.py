"""Wrong arguments of public constructors, layers and functions: refused in words, at once.

A table of right calls, of which one argument at a time is replaced by what it can not be. An answer is
*clear* if it is a ValueError that names the argument or its value, and says what was expected (for a keyword
that there is not, Python's own TypeError); *unclear* if it is another exception; *taken* if there is none.
"""

import contextlib
import copy
import math
import random
import re
import signal
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch

import erlangen as er

WHOLE, QUICK = 1500, 80
SECONDS = 10  # for one call
UNCLEAR = 0.05  # of all

PLANE, LIFTED = er.Plane(), er.Plane(rotations=4)
BALL = er.Sphere().grid(4)
POINTS = er.Sphere().fibonacci(30).points
NET = torch.nn.Sequential(er.nn.Correlation(PLANE, 1, 1, 3))
IMAGE = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
SE2 = er.groups.SE(2)
ABOVE = er.GroupSpace(er.groups.SO(3)).samples(er.groups.SO(3).sample(4).flatten(1), torch.ones(4).double())


def flat(x):
    return torch.eye(2).to(x).expand(*x.shape, 2)


def round_one(x):
    return x.square().sum(-1) - 1


def bump(v):
    return torch.exp(-v.square().sum(-1))


def move(g, p):
    return (g @ p[..., None])[..., 0]


def tube(t):
    return 2 + 0 * t, t


CHART = er.Chart(flat, 2, periods=(4.0, 4.0), steps=1)
EGG = er.Ellipsoid(steps=1)
ROUND = er.Implicit(round_one, [0.0, 0.0, 1.0], steps=1)
UNITS = torch.cat([torch.eye(4), -torch.eye(4)])[1:7]
POLE = torch.tensor([0.0, 0.0, 1.0])
CORNERS = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
SIDES = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])

JUNK = [object(), {}, b"x", 1j]
NUMBERS = ["3", math.nan, True, torch.tensor(3), torch.ones(2), np.array([1.0, 2.0]), [[3]], *JUNK]
WRONG = {
    "count": [0, -1, 2.5, 2**31, 1e30, math.inf, *NUMBERS],
    "index": [-1, 2.5, 1e30, math.inf, *NUMBERS],  # from 0
    "bandwidth": [0, -1, 2.5, 2**31, 1e30, math.inf, *NUMBERS],
    "length": [0, 0.0, -1, -1e-3, math.inf, -math.inf, *NUMBERS],
    "extent": [0, 0.0, -1, -math.inf, *NUMBERS],  # inf is one
    "number": [math.inf, -math.inf, *NUMBERS],
    "share": [-1, -0.5, math.inf, *NUMBERS],  # of at least 0
    "factor": [0, 0.5, -1, math.inf, 1e30, *NUMBERS],  # of at least 1
    "flag": ["no", 1, 0, 2.5, [], torch.tensor(True), torch.ones(2, dtype=torch.bool), *JUNK],
    "choice": ["tangnet", "", 3, True, 2.5, ["max"], torch.ones(2), *JUNK],
    "domain": [3, "plane", None, True, er.Sphere(), er.Plane, IMAGE, np.ones(3), [PLANE], *JUNK],
    "other domain": [3, "plane", True, er.Sphere(), er.Plane, IMAGE, np.ones(3), [PLANE], *JUNK],
    "space": [3, "sphere", None, er.Sphere, BALL, IMAGE, *JUNK],
    "function": [3, "f", IMAGE, [bump], 2.5],
    "group": [3, "SO(3)", None, er.groups.SO, torch.eye(3), er.Sphere(), *JUNK],
    "module": [3, "net", None, PLANE, IMAGE, torch.nn.Linear, *JUNK],
    "settings": [3, "fast", {"minutes": 1}, PLANE, IMAGE, *JUNK],
    "net": [3, "net", PLANE, IMAGE, torch.nn.Linear, *JUNK],
    "seed": [2.5, 1e30, math.inf, *NUMBERS],
    "weights": [3, "ab", (1.0, -1.0), (math.nan, 1.0), (math.inf, 1.0), ("a", 1.0), *JUNK],
    "statistic": ["p", 3, POINTS[0].numpy(), POINTS, torch.full((3,), math.nan), torch.ones(1), *JUNK],
    "signal": ["f", 3.0, IMAGE[0, 0, 0], torch.full((1, 1, 8, 8), math.nan), *JUNK],
    "text": [3, True, ["a"], IMAGE],
    "point": [None, "p", 3, [], [math.nan, 0.0, 1.0], torch.zeros(0), torch.full((3,), math.nan), *JUNK],
    "points": [
        None,
        "p",
        3,
        POINTS.numpy(),
        POINTS[0],
        POINTS[None, None],
        torch.full((6, 3), math.nan),
        *JUNK,
    ],
    "points or none": ["p", 3, POINTS.numpy(), POINTS[0], torch.full((6, 3), math.nan), *JUNK],
    "field": ["f", 3.0, IMAGE.numpy(), IMAGE[0, 0, 0], torch.full((1, 1, 8, 8), math.nan), *JUNK],
    "lengths": [3, 2.0, "ab", (1.0, -1.0), (0.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), ("a", 1.0), *JUNK],
    "extents": [3, 2.0, "ab", (), (1.0, -1.0), (0.0, 1.0), (math.nan, 1.0), (1.0, 1.0), ("a", 1.0), *JUNK],
    "square": [3, "m", None, np.eye(2), torch.ones(2), torch.ones(3, 3), torch.ones(2, 3), *JUNK],
    "vector": [3, "v", None, np.ones(2), torch.ones(3), torch.tensor(1.0), *JUNK],
    "basis": [3, "m", np.eye(2), torch.ones(2), torch.ones(2, 2), torch.full((2, 2), math.nan), *JUNK],
    "decks": [3, "d", None, [], [3], [torch.eye(2)], [er.Deck.along(0, math.nan, (1, 1))], *JUNK],
    "size of an axis": [0, -1, 2.5, 2**31, "3", None, math.nan, True, torch.tensor(3), (3,), *JUNK],
    "sizes": [3, "ab", (0, 4), (-1, 4), (2.5, 4), (4,), (4, 4, 4), (2**31, 4), ("a", 4), (True, 4), *JUNK],
    "mapping": [3, "m", [1], IMAGE],
    "path": [None, 3, True, "network", "network.pt", "network.txt", IMAGE, *JUNK],
    "example": ["f", 3.0, IMAGE.numpy(), IMAGE, IMAGE[0, 0, 0], *JUNK],  # of one image too
}
NONE_IS_WRONG = (
    "flag",
    "count",
    "length",
    "number",
    "share",
    "factor",
    "choice",
    "function",
    "text",
    "lengths",
)

FIELDS = {"in_field": "choice!", "out_field": "choice!"}
KERNEL = {
    "domain": "domain",
    "in_channels": "count",
    "out_channels": "count",
    "kernel_size": "count?",
    "stride": "count",
    "padding": "index",
    "dilation": "count",
    "groups": "count",
    "bias": "flag",
    "padding_mode": "choice",
    "rings": "count?",
    "taps": "choice?",
    "separable": "flag",
    "fibre_band": "index",
    "to": "other domain",
}
A_KERNEL = {"domain": LIFTED, "in_channels": 2, "out_channels": 2, "kernel_size": 3}
NETWORK = {
    "domain": "domain",
    "in_channels": "count",
    "out_channels": "count",
    "width": "count?",
    "depth": "index",
    "exact_shifts": "flag",
    "recompute": "flag",
    "padding_mode": "choice",
    "separable": "flag",
    "kernel_size": "count?",
    "nonlinearity": "choice",
    "oversampling": "factor",
    "projection": "choice?",
    "taps": "choice?",
    "resampling": "choice",
    "lift_at": "index",
}
A_NETWORK = {"domain": LIFTED, "in_channels": 1, "out_channels": 1, "width": 1, "depth": 1}
SPHERE = {"degrees": "bandwidth", "rotations": "count?"}
FIBRE = {"rotations": "count?", "reflections": "flag?"}
RINGS = {"latitudes": "count", "kind": "choice", "builder": "choice", **SPHERE, **FIBRE}
STRIP = {"length": "length", "symmetry": "choice?"}
GATHERED = {**FIBRE, "boundary": "choice", "nodes": "count", "pooling": "length?"}


def call(function, right, kinds):
    return function, right, kinds


# what is called, with what, and what kind of thing each argument is: "?" where None is right as well
TABLE = {
    "Plane": call(
        er.Plane,
        {"rotations": 4},
        {"rotations": "count?", "reflections": "flag", "shape": "sizes?"},
    ),
    "Plane, symmetry": call(er.Plane, {}, {"symmetry": "choice?"}),
    "Plane.masked": call(
        PLANE.masked, {"mask": torch.ones(4, 4, dtype=torch.bool)}, {"boundary": "choice", "mask": "field"}
    ),
    "Euclidean": call(er.Euclidean, {"n": 2}, {"n": "count", "symmetry": "choice"}),
    "Euclidean.grid": call(
        lambda size=4, **options: er.Euclidean(2).grid(size, 4, **options),
        {},
        {"spacing": "length", "size": "size of an axis", **FIBRE},
    ),
    "Sphere": call(er.Sphere, {}, {"n": "count", "symmetry": "choice", "measure": "choice"}),
    "Sphere.grid": call(
        er.Sphere().grid,
        {"latitudes": 4},
        {
            "latitudes": "count",
            "longitudes": "count?",
            "kind": "choice",
            "builder": "choice",
            **SPHERE,
            **FIBRE,
        },
    ),
    "Sphere.healpix": call(
        er.Sphere().healpix, {"nside": 2}, {"nside": "count", "ring_weights": "flag", **SPHERE}
    ),
    "Sphere.icosahedral": call(er.Sphere().icosahedral, {"level": 1}, {"level": "index", **SPHERE}),
    "Sphere.fibonacci": call(er.Sphere().fibonacci, {"n": 30}, {"n": "count", **SPHERE}),
    "Sphere.samples": call(
        er.Sphere().samples,
        {"points": POINTS},
        {"points": "points or none", "weights": "points or none", **SPHERE, **FIBRE},
    ),
    "Sphere(3).samples": call(
        er.Sphere(3).samples,
        {"points": UNITS, "weights": torch.ones(6)},
        {"points": "points or none", "weights": "points or none", **FIBRE},
    ),
    "Sphere.harmonics": call(er.Sphere().harmonics, {"degrees": 4}, SPHERE),
    "Hyperbolic": call(er.Hyperbolic, {}, {"n": "count", "symmetry": "choice", "measure": "choice"}),
    "Hyperbolic.grid": call(
        er.Hyperbolic().grid,
        {"radius": 1.0, "rings": 3},
        {"radius": "length", "rings": "count", "samples": "count?", **FIBRE},
    ),
    "FlatTorus": call(er.FlatTorus, {}, {"lengths": "lengths?", "symmetry": "choice?"}),
    "FlatTorus by a lattice": call(
        er.FlatTorus, {"lattice": torch.eye(2)}, {"lattice": "basis", "symmetry": "choice?"}
    ),
    "Deck": call(
        er.Deck, {"matrix": torch.eye(2), "shift": torch.ones(2)}, {"matrix": "square", "shift": "vector"}
    ),
    "FlatQuotient": call(
        er.FlatQuotient,
        {"decks": [er.Deck.along(0, 2.0, (1, -1))], "widths": (math.inf, 1.0)},
        {"decks": "decks", "widths": "extents", "symmetry": "choice?"},
    ),
    "Cylinder": call(er.Cylinder, {}, {"width": "extent", **STRIP}),
    "Mesh": call(er.Mesh, {"vertices": CORNERS, "faces": SIDES}, {"vertices": "points or none"}),
    "Mesh.samples": call(
        er.Mesh(CORNERS, SIDES).samples,
        {},
        {"points": "points or none", "nodes": "count", "structure": "choice?", "boundary": "choice", **FIBRE},
    ),
    "Moebius": call(er.Moebius, {}, {"width": "extent", **STRIP}),
    "KleinBottle": call(er.KleinBottle, {}, {"width": "length", **STRIP}),
    "Moebius.grid": call(lambda size=8: er.Moebius().grid(16, size), {}, {"size": "size of an axis"}),
    "ProjectivePlane": call(er.ProjectivePlane, {}, {"measure": "choice"}),
    "ProjectivePlane.grid": call(
        er.ProjectivePlane().grid,
        {"latitudes": 4},
        {
            "latitudes": "count",
            "longitudes": "count?",
            "kind": "choice",
            "builder": "choice",
            **SPHERE,
            **FIBRE,
        },
    ),
    "SurfaceOfRevolution": call(
        er.SurfaceOfRevolution,
        {"profile": tube, "period": 2.0, "steps": 1},
        {"profile": "function?", "period": "length", "steps": "count"},
    ),
    "MappingTorus": call(
        er.MappingTorus, {"angle": 1.0}, {"angle": "number", "length": "length", "width": "length?"}
    ),
    "Chart": call(
        er.Chart,
        {"metric": flat, "dim": 2, "periods": (4.0, 4.0), "steps": 1},
        {
            "metric": "function",
            "dim": "count",
            "periods": "lengths?",
            "steps": "count",
            "measure": "choice",
            "injectivity_radius": "extent?",
            "connection": "function?",
            "name": "text",
            "glue": "mapping",
        },
    ),
    "Chart.grid": call(
        lambda size=4, **options: CHART.grid(size, 4, **options), {}, {"size": "size of an axis", **GATHERED}
    ),
    "Implicit": call(
        er.Implicit,
        {"F": round_one, "point": [0.0, 0.0, 1.0], "steps": 1},
        {
            "F": "function",
            "point": "point",
            "extent": "length?",
            "steps": "count",
            "measure": "choice",
            "injectivity_radius": "extent?",
            "name": "text",
        },
    ),
    "Implicit.spread_points": call(ROUND.spread_points, {"count": 4}, {"count": "count"}),
    "Ellipsoid": call(er.Ellipsoid, {"steps": 1}, {"axes": "lengths", "steps": "count"}),
    "Ellipsoid.grid": call(
        EGG.grid, {"latitudes": 4}, {"latitudes": "count", "longitudes": "count?", **GATHERED}
    ),
    "Product": call(
        er.Product,
        {"one": er.Sphere(), "other": er.FlatTorus((2.0,))},
        {"one": "space", "other": "space", "measure": "choice?"},
    ),
    "HomogeneousSpace": call(
        er.HomogeneousSpace,
        {"group": er.groups.SO(3), "origin": POLE, "action": move},
        {
            "group": "group",
            "origin": "point",
            "action": "function",
            "dim": "count?",
            "measure": "choice",
            "injectivity_radius": "extent?",
            "log": "function?",
            "name": "text",
        },
    ),
    "GroupSpace": call(er.GroupSpace, {"group": SE2}, {"group": "group"}),
    "PositionsAndDirections": call(er.PositionsAndDirections, {}, {"length": "length"}),
    "groups.SO": call(er.groups.SO, {"n": 3}, {"n": "count", "m": "count?"}),
    "groups.SE": call(er.groups.SE, {"n": 3}, {"n": "count"}),
    "groups.T": call(er.groups.T, {"n": 3}, {"n": "count"}),
    "groups.SL": call(er.groups.SL, {"n": 2}, {"n": "count"}),
    "groups.heisenberg": call(er.groups.heisenberg, {}, {"n": "count"}),
    "groups.cyclic": call(er.groups.cyclic, {"order": 4}, {"order": "count"}),
    "groups.dihedral": call(er.groups.dihedral, {"order": 4}, {"order": "count"}),
    "groups.product": call(lambda one=SE2: er.groups.product(one, SE2), {}, {"one": "group"}),
    "groups.semidirect": call(
        er.groups.semidirect, {"linear": er.groups.SO(2)}, {"linear": "group", "name": "text"}
    ),
    "CircleFibre": call(
        er.groups.CircleFibre,
        {"rotations": 4},
        {"rotations": "count", "reflections": "flag", "length": "length?"},
    ),
    "FiniteFibre": call(
        er.groups.FiniteFibre, {"group": er.groups.StructureGroup.cyclic(4)}, {"group": "group"}
    ),
    "Correlation": call(er.nn.Correlation, A_KERNEL, {**KERNEL, **FIELDS}),
    "Correlation, radius": call(
        er.nn.Correlation,
        {"domain": BALL, "in_channels": 1, "out_channels": 1, "radius": 1.5},
        {"radius": "length?", "in_channels": "count", "rings": "count?", **FIELDS},
    ),
    "Lift": call(er.nn.Lift, A_KERNEL, KERNEL),
    "Project": call(
        er.nn.Project,
        {"domain": LIFTED},
        {"domain": "domain", "reduction": "choice", "oversampling": "factor?"},
    ),
    "GlobalPool": call(
        er.nn.GlobalPool,
        {"domain": PLANE},
        {"domain": "domain", "reduction": "choice", "oversampling": "factor"},
    ),
    "Norm": call(
        er.nn.Norm,
        {"domain": LIFTED, "num_features": 2},
        {
            "domain": "domain",
            "num_features": "count",
            "eps": "length",
            "momentum": "share?",
            "affine": "flag",
            "track_running_stats": "flag",
            "field": "choice?",
        },
    ),
    "ReLU": call(
        er.nn.ReLU, {"domain": LIFTED}, {"domain": "domain", "field": "choice?", "oversampling": "factor"}
    ),
    "SiLU": call(
        er.nn.SiLU, {"domain": LIFTED}, {"domain": "domain", "field": "choice?", "oversampling": "factor"}
    ),
    "Pointwise": call(
        er.nn.Pointwise,
        {"domain": LIFTED, "function": torch.tanh},
        {"domain": "domain", "function": "function", "oversampling": "factor"},
    ),
    "Gated": call(
        er.nn.Gated,
        {"domain": LIFTED, "channels": 2},
        {
            "domain": "domain",
            "channels": "count",
            "field": "choice?",
            "oversampling": "factor",
            "low_pass": "flag",
            "circular": "flag",
        },
    ),
    "Polynomial": call(
        er.nn.Polynomial,
        {"domain": LIFTED, "channels": 2},
        {"domain": "domain", "channels": "count", "degree": "count", "field": "choice?", "limit": "length?"},
    ),
    "Down": call(
        er.nn.Down,
        {"domain": LIFTED},
        {
            "domain": "domain",
            "field": "choice?",
            "circular": "flag",
            "exact_shifts": "flag",
            "resampling": "choice",
        },
    ),
    "Up": call(
        er.nn.Up,
        {"domain": LIFTED},
        {"domain": "domain", "field": "choice?", "circular": "flag", "resampling": "choice"},
    ),
    "Pool": call(
        er.nn.Pool,
        {"domain": LIFTED},
        {
            "domain": "domain",
            "reduction": "choice",
            "circular": "flag",
            "exact_shifts": "flag",
            "resampling": "choice",
        },
    ),
    "Pullback": call(er.nn.Pullback, {"domain": BALL, "to": BALL}, {"domain": "domain", "to": "domain"}),
    "Pushforward": call(
        er.nn.Pushforward,
        {"domain": BALL, "to": BALL},
        {"domain": "domain", "to": "domain", "reduction": "choice"},
    ),
    "mean": call(er.nn.mean, {"domain": PLANE, "field": IMAGE}, {"domain": "domain", "field": "field"}),
    "mse_loss": call(
        er.nn.mse_loss,
        {"domain": PLANE, "input": IMAGE, "target": IMAGE},
        {"domain": "domain", "input": "field", "target": "field", "reduction": "choice"},
    ),
    "UNet": call(er.models.UNet, A_NETWORK, {**NETWORK, "blocks": "count?"}),
    "Classifier": call(er.models.Classifier, A_NETWORK, {**NETWORK, "pooling": "choice?"}),
    "correlate": call(
        er.correlate,
        {"domain": PLANE, "kernel": bump, "f": IMAGE},
        {
            "domain": "domain",
            "kernel": "function",
            "radius": "extent?",
            "nodes": "count",
            "f": "signal",
            "to": "other domain",
            "kernel_on": "choice",
            **FIELDS,
        },
    ),
    "convolve": call(
        er.convolve,
        {"domain": PLANE, "kernel": bump, "f": IMAGE},
        {"domain": "domain", "kernel": "function", "radius": "extent?", "nodes": "count"},
    ),
    "symmetrize": call(
        er.kernels.symmetrize,
        {"kernel": bump, "group": er.Sphere().structure},
        {"group": "group", "count": "count"},
    ),
    "verify.equivariance": call(
        er.verify.equivariance,
        {"module": NET, "x": IMAGE, "domain": PLANE, "show": False},
        {
            "module": "module",
            "x": "field",
            "domain": "domain",
            "in_field": "choice",
            "layers": "flag",
            "gradients": "flag",
        },
    ),
    "verify.budget": call(
        er.verify.budget,
        {"module": NET, "x": IMAGE, "domain": PLANE, "show": False},
        {
            "module": "module",
            "x": "field",
            "domain": "domain",
            "in_field": "choice",
            "out_field": "choice?",
            "finer": "other domain",
            "only": "flag",
            "show": "flag",
        },
    ),
    "verify.gauge": call(
        er.verify.gauge,
        {"module": er.nn.Correlation(BALL, 1, 1)},
        {
            "module": "module",
            "turns": "choice",
            "in_field": "choice?",
            "domain": "other domain",
            "seed": "seed",
        },
    ),
    "verify.randomized": call(er.verify.randomized, {"module": NET}, {"module": "module", "seed": "seed"}),
    "on": call(
        er.on,
        {"module": NET, "domain": PLANE},
        {"module": "module", "domain": "domain", "to": "other domain"},
    ),
    "freeze": call(er.freeze, {"module": NET}, {"module": "module"}),
    "to_plain": call(er.to_plain, {"module": NET}, {"module": "module"}),
    "export": call(
        er.export,
        {"module": copy.deepcopy(NET).eval(), "path": "no such folder/network.pt2"},
        {"module": "module", "path": "path", "example": "example?", "notes": "mapping"},
    ),
    "Settings": call(
        er.train.Settings().changed,
        {"minutes": 1.0},
        {
            "minutes": "length",
            "network": "settings",
            "epochs": "length?",
            "steps": "count?",
            "classes": "count?",
            "ignore": "index",
            "loss": "choice?",
            "class_weights": "weights?",
            "balance": "flag",
            "seed": "seed",
            "rotations": "index",
            "reflections": "flag",
            "width": "count?",
            "depth": "index",
            "blocks": "count?",
            "separable": "flag",
            "kernel_size": "count?",
            "nonlinearity": "choice",
            "padding_mode": "choice",
            "projection": "choice?",
            "exact_shifts": "flag",
            "oversampling": "factor",
            "taps": "choice?",
            "resampling": "choice",
            "lift_at": "index",
            "size": "count?",
            "crop": "count?",
            "batch": "count",
            "lr": "length",
            "weight_decay": "share",
            "jitter": "share",
            "flips": "flag",
            "zoom": "share",
            "turns": "share",
            "consistency": "share?",
            "quarter_turns": "flag",
            "validation": "length",
            "looks": "count",
            "device": "text",
            "amp": "flag",
        },
    ),
    "fit": call(
        partial(er.fit, "no such folder"),
        {},
        {
            "settings": "settings",
            "net": "net",
            "resume": "flag",
            "overwrite": "flag",
            "progress": "function?",
        },
    ),
    "figures.holonomy_loops": call(
        er.figures.holonomy_loops,
        {"space": er.Moebius(), "loops": 1},
        {"space": "space", "loops": "index", "pixels": "count", "interactive": "flag"},
    ),
    "figures.exponential_map": call(
        er.figures.exponential_map, {}, {"radius": "length", "pixels": "count", "interactive": "flag"}
    ),
    "figures.smoothing": call(
        er.figures.smoothing, {}, {"kernel": "function?", "spacing": "length", "places": "count"}
    ),
    "Task": call(er.train.Task, {}, {"classes": "lengths", "dense": "flag"}),
    "Loss": call(
        er.train.Loss, {"task": er.train.Task()}, {"task": "module", "name": "choice?", "weights": "weights?"}
    ),
    "Predictor": call(
        er.train.Predictor,
        {"net": NET},
        {"net": "module", "size": "count?", "mean": "statistic", "std": "statistic"},
    ),
    "example": call(er.train.example, {"size": 16}, {"size": "count", "seed": "seed"}),
}

# what only looks wrong, by the call, the argument and the value
RIGHT = {
    ("Settings", "steps", 2**31),  # as long as one likes
    ("Predictor", "size", 2**31),  # photographs stay as they are
}
PLAIN = (int, float, str, bool, type(None))
BOGUS = "no_such_argument"


def cases():
    """All (call, argument, kind, value), in an order of their own."""
    found = []
    for name, (_, _, kinds) in TABLE.items():
        found.append((name, BOGUS, "keyword", 1))
        for argument, kind in kinds.items():
            kind, optional = kind.rstrip("?!"), kind.endswith("?")
            values = WRONG[kind] + [None] * (kind in NONE_IS_WRONG and not optional)
            found += [
                (name, argument, kind, value) for value in values if not is_right(name, argument, value)
            ]
    random.Random(0).shuffle(found)
    return found


def is_right(name, argument, value):
    return any((name, argument) == known[:2] and type(value) is int and value == known[2] for known in RIGHT)


@contextlib.contextmanager
def alarm():
    def ring(*_):
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def answer(name, argument, value):
    """How a call answers, and in what words."""
    function, right, _ = TABLE[name]
    try:
        with alarm():
            function(**{**right, argument: value})
    except TimeoutError:
        return "hang", ""
    except Exception as error:
        text = str(error)
        if argument == BOGUS:
            return ("clear" if isinstance(error, TypeError) else "unclear"), text
        words = [repr(value)[:40], "NaN", "not finite"]
        words += [] if type(value) in PLAIN else [type(value).__name__.lower()]
        named = bool(re.search(rf"\b{argument}\b", text)) or any(word in text for word in words)
        clear = isinstance(error, ValueError) and named and "expected" in text
        return ("clear" if clear else "unclear"), f"{type(error).__name__}: {text}"
    return "taken", ""


def summary(answers):
    counts = Counter(kind for _, kind, _ in answers)
    lines = [
        f"{len(answers)} wrong arguments of {len(TABLE)} calls: "
        + ", ".join(f"{n} {k}" for k, n in counts.items())
    ]
    for (name, argument, _, value), kind, text in answers:
        if kind != "clear":
            lines.append(f"{kind}: {name}({argument}={str(value)[:40]!r}): {text[:150]}")
    return "\n".join(lines)


def check(some):
    answers = [(case, *answer(case[0], case[1], case[3])) for case in some]
    print(text := summary(answers))
    counts = Counter(kind for _, kind, _ in answers)
    assert not counts["taken"], text
    assert not counts["hang"], text
    assert counts["unclear"] <= UNCLEAR * len(answers), text


COSTLY = ("fit", "figures", "Ellipsoid.grid", "export", "verify.budget")  # and right in tests of their own


def test_the_table_itself_is_right():
    for name, (function, right, _) in TABLE.items():
        if not name.startswith(COSTLY):
            assert function(**right) is not None, name


@pytest.mark.filterwarnings("ignore")
def test_some_wrong_arguments_are_refused_clearly():
    check(cases()[:QUICK])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wrong_arguments_are_refused_clearly():
    assert len(TABLE) >= 60
    assert len(cases()) >= WHOLE
    check(cases())
