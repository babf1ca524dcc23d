"""What is recorded of the library's answers, so that a redesign changes none of them.

Numbers are made without a random generator, so that they are the same wherever and whenever they are made. An
answer is kept as a few inner products with such numbers. ``python tests/golden/recipes.py [PART ...]``
records anew, when a change is meant; the saved networks stay as they were written, by `write_network`.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "geometry"))

import atlases  # noqa: E402
from metrics import TURN, flat, torus  # noqa: E402
from spaces import DOMAINS, RADIUS, field_shape  # noqa: E402

import erlangen as er  # noqa: E402
from erlangen.domains import Samples  # noqa: E402

DIGITS = 13
FIELDS = ("scalar", "regular", "vector", "sign")
FAITHFUL = ("scalar", "regular", "vector")


def numbers(*shape: int, key: int = 0) -> Tensor:
    """Values in [-1, 1] that look like noise: fractions of multiples of irrational numbers."""
    count = math.prod(shape)
    i = torch.arange(1, count + 1, dtype=torch.float64)
    seed = math.sqrt(2) * (key + 1)
    t = torch.remainder(i * 0.7548776662466927 + i * i * 0.5698402909980532 + seed, 1.0)
    return (2 * t - 1).reshape(shape)


def inner(x: Tensor) -> list[float]:
    """Three inner products of a tensor with noise, per square root of its size."""
    x = x.detach().double()
    rows = [numbers(*x.shape, key=100 + k) for k in range(3)]
    return [float(f"{float((x * row).sum()) / math.sqrt(max(x.numel(), 1)):.{DIGITS}g}") for row in rows]


def filled(module: nn.Module) -> nn.Module:
    """In float64, its parameters filled with noise; weights of norms lie about one."""
    module = module.double()
    with torch.no_grad():
        for key, (name, p) in enumerate(sorted(module.named_parameters())):
            noise = 0.5 * numbers(*p.shape, key=key)
            p.copy_(1 + noise if p.dim() == 1 and name.endswith("weight") else noise)
    return module


def quadric(x: Tensor) -> Tensor:
    """The ellipsoid of axes 1, 1.2 and 1.5, as an equation."""
    return (x / torch.tensor([1.0, 1.2, 1.5]).to(x)).square().sum(-1) - 1


def disc(rings: int, angles: int) -> Samples:
    """The hyperbolic plane about its origin, in polar coordinates."""
    r, t = (torch.arange(rings).double() + 0.5) / rings, TURN * torch.arange(angles).double() / angles
    r, t = torch.meshgrid(r, t, indexing="ij")
    points = torch.stack([r.cosh(), r.sinh() * t.cos(), r.sinh() * t.sin()], -1)
    return Samples(er.Hyperbolic(), points, r.sinh() / rings * TURN / angles)


MORE = {
    "hyperbolic plane": lambda: disc(3, 6),
    "projective plane": lambda: er.ProjectivePlane().grid(4),
    "torus of revolution": lambda: er.SurfaceOfRevolution(steps=2).grid(6, 4, rotations=3, nodes=4),
    "ellipsoid": lambda: er.Ellipsoid(steps=2).grid(4, 6, rotations=3, nodes=4),
    "a strip of charts": lambda: atlases.strip().grid(5, 4),
}
MORE_RADIUS = {"hyperbolic plane": 0.8, "projective plane": 0.8, "a strip of charts": 0.4}


def layers() -> dict[str, dict[str, list[float]]]:
    """Of every domain and pair of fields: output, gradients by input and by weights."""
    return {name: answers for domain in DOMAINS | MORE for name, answers in of_domain(domain).items()}


def of_domain(name: str) -> dict[str, dict[str, list[float]]]:
    """The layers of one domain."""
    domain = (DOMAINS | MORE)[name]()
    radius = (RADIUS | MORE_RADIUS).get(name, 0.9 if name in MORE else 2.5)
    known = FAITHFUL if name in MORE else FIELDS
    fields = [f for f in known if f != "regular" or domain.fibre is not None]
    return {f"{name}: {a} to {b}": of_layer(domain, a, b, radius) for a in fields for b in fields}


def of_layer(domain: Any, in_field: str, out_field: str, radius: float) -> dict[str, list[float]]:
    """One layer of two channels, or that there is none."""
    try:
        layer = er.nn.Correlation(
            domain, 2, 2, radius=radius, rings=3, in_field=in_field, out_field=out_field, bias=False
        )
    except ValueError as error:
        if "allows no kernel" not in str(error):
            raise
        return {}
    layer = filled(layer)
    x = numbers(1, 2, *field_shape(domain, in_field)).requires_grad_()
    y = layer(x)
    grads = torch.autograd.grad((y * numbers(*y.shape, key=7)).sum(), [x, layer.weight])
    return {"output": inner(y), "input": inner(grads[0]), "weight": inner(grads[1])}


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "plane, C8": (lambda: er.models.UNet(er.Plane(rotations=8), 3, 1, 2, 2, taps="rings"), (3, 13, 16)),
    "plane, D4, full, two blocks": (
        lambda: er.models.UNet(er.Plane(4, True), 3, 2, 2, 1, separable=False, blocks=2, taps="rings"),
        (3, 11, 8),
    ),
    "plane, isotropic": (lambda: er.models.UNet(er.Plane(), 3, 1, 3, 2, taps="rings"), (3, 12, 9)),
    "plane, gated": (
        lambda: er.models.UNet(er.Plane(rotations=6), 3, 1, 2, 1, nonlinearity="gated", taps="rings"),
        (3, 9, 10),
    ),
    "plane, classes": (
        lambda: er.models.Classifier(er.Plane(rotations=4), 3, 3, 2, 2, taps="rings"),
        (3, 13, 12),
    ),
    "strip": (
        lambda: er.models.UNet(
            er.Moebius(8.0, 5.0).grid(8, 5), 3, 1, 2, 1, kernel_size=3, exact_shifts=True, taps="rings"
        ),
        (3, 8, 5),
    ),
    "plane, C8, solved taps": (
        lambda: er.models.UNet(er.Plane(rotations=8), 3, 1, 2, 2, taps="solved"),
        (3, 13, 16),
    ),
    "plane, D4, full, solved taps": (
        lambda: er.models.UNet(
            er.Plane(4, True), 3, 2, 2, 1, separable=False, taps="solved", kernel_size=(3, 5)
        ),
        (3, 11, 8),
    ),
    "strip, solved taps": (
        lambda: er.models.UNet(er.Moebius(8.0, 5.0).grid(8, 5), 3, 1, 2, 1, kernel_size=3, taps="solved"),
        (3, 8, 5),
    ),
    "sphere": (lambda: er.models.UNet(er.Sphere().grid(8, rotations=3), 3, 1, 2, 1), (3, 8, 16)),
    "sphere, classes": (lambda: er.models.Classifier(er.Sphere().grid(8), 3, 2, 2, 2), (3, 8, 16)),
    "torus of revolution": (
        lambda: er.models.UNet(
            er.SurfaceOfRevolution(steps=2).grid(8, 8, rotations=4, nodes=4), 3, 1, 2, 1, radius=0.8
        ),
        (3, 8, 8),
    ),
}


def losses() -> dict[str, list[float]]:
    """Of twenty steps of every network, and the answer in eval mode after them."""
    return {name: of_training(name) for name in NETWORKS}


def of_training(name: str) -> list[float]:
    """Twenty steps of gradient descent towards noise: four of the losses, and the answer."""
    build, shape = NETWORKS[name]
    net = filled(build()).train()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    x = numbers(2, *shape)
    seen = []
    for _ in range(20):
        y = net(x)
        loss = (y - numbers(*y.shape, key=5)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(f"{loss.item():.{DIGITS}g}"))
    return [seen[0], seen[1], seen[9], seen[19], *inner(net.eval()(x))]


def states() -> dict[str, dict[str, list[int]]]:
    """The keys and shapes of every network's state."""
    return {
        name: {key: list(value.shape) for key, value in build().state_dict().items()}
        for name, (build, _) in NETWORKS.items()
    }


GROUPS: dict[str, Callable[[], Any]] = {
    "holonomy of the plane": lambda: er.Euclidean(2).holonomy(),
    "holonomy of the strip": lambda: er.Moebius().holonomy(),
    "holonomy of the Klein bottle": lambda: er.KleinBottle().holonomy(),
    "holonomy of the projective plane": lambda: er.ProjectivePlane().holonomy(),
    "holonomy of the sphere": lambda: er.Sphere().holonomy(),
    "holonomy of S^3": lambda: er.Sphere(3).holonomy(),
    "holonomy of H^2": lambda: er.Hyperbolic().holonomy(),
    "holonomy of the torus of revolution": lambda: er.Chart(torus, 2, periods=(TURN, TURN)).holonomy(),
    "holonomy of a flat torus": lambda: er.Chart(flat, 2, periods=(1.0, 2.0)).holonomy(),
    "holonomy of the ellipsoid": lambda: er.Ellipsoid(steps=6).holonomy(),
    "holonomy of an equation": lambda: er.Implicit(
        quadric, torch.tensor([0.0, 0.0, 1.5]), steps=6
    ).holonomy(),
    "holonomy of S^2 x S^1": lambda: er.Product(er.Sphere(), er.FlatTorus((TURN,))).holonomy(),
    "holonomy of a mapping torus": lambda: er.MappingTorus(TURN / 3).holonomy(),
    "stabilizer of the plane under isometries": lambda: er.Euclidean(2, "isometries").stabilizer(),
    "stabilizer of the sphere": lambda: er.Sphere().stabilizer(),
    "stabilizer of the sphere under isometries": lambda: er.Sphere(symmetry="isometries").stabilizer(),
    "stabilizer of H^3": lambda: er.Hyperbolic(3).stabilizer(),
    "stabilizer of R^3 x S^2": lambda: er.PositionsAndDirections().stabilizer(),
    "stabilizer of SE(2)": lambda: er.GroupSpace(er.groups.SE(2)).stabilizer(),
    "stabilizer of the hyperboloid": lambda: er.HomogeneousSpace(
        er.groups.SO(1, 2), torch.tensor([1.0, 0.0, 0.0]), lambda g, p: (g @ p[..., None])[..., 0]
    ).stabilizer(),
}


def groups() -> dict[str, str]:
    """The names of holonomies and stabilizers."""
    return {name: str(solve()) for name, solve in GROUPS.items()}


PHOTOGRAPHS, WHOLE = er.train.Task(), er.train.Task(("left", "right"), dense=False)
SAVED: dict[str, Callable[[], nn.Module]] = {
    "unet_c4": lambda: er.models.UNet(er.Plane(rotations=4), 3, 1, 2, 1),
    "unet_d4_full": lambda: er.models.UNet(er.Plane(4, True), 3, 1, 1, 1, separable=False, kernel_size=3),
    "unet_c6_gated": lambda: er.models.UNet(
        er.Plane(rotations=6), 3, 1, 1, 1, nonlinearity="gated", blocks=2
    ),
    "unet_isotropic": lambda: er.models.UNet(er.Plane(), 3, 1, 3, 2, padding_mode="reflect"),
    "unet_any_kernel": lambda: er.models.UNet(
        er.Plane(symmetry="translations"), 3, 1, 2, 1, padding_mode="circular", exact_shifts=True
    ),
    "classifier_c4": lambda: er.models.Classifier(er.Plane(rotations=4), 3, 2, 2, 1, pooling="max"),
}


def network_file(name: str) -> Path:
    """A network that was saved when the answers were recorded."""
    return HERE / "networks" / f"{name}.safetensors"


def write_network(name: str) -> None:
    """Save a network as if trained: with random weights, biases and statistics."""
    net = er.verify.randomized(SAVED[name]())
    mean, std = torch.tensor([0.4, 0.5, 0.3]), torch.tensor([0.2, 0.3, 0.25])
    task = WHOLE if name.startswith("classifier") else PHOTOGRAPHS
    er.save(er.train.Predictor(net, mean, std, task=task), network_file(name))


def answers() -> dict[str, list[float]]:
    """Of the saved networks, to a photograph of noise."""
    return {name: of_saved(name) for name in SAVED}


def of_saved(name: str) -> list[float]:
    """The answer of one, computed in float64."""
    model = er.load(network_file(name)).double()
    return inner(model(numbers(1, 3, 12, 16, key=3) / 2 + 0.5))


PARTS: dict[str, Callable[[], Any]] = {
    "layers": layers,
    "losses": losses,
    "states": states,
    "groups": groups,
    "answers": answers,
}


def recorded(part: str) -> Any:
    """What was recorded of a part."""
    return json.loads((HERE / f"{part}.json").read_text("utf-8"))


def main(names: list[str]) -> None:
    """Record the parts anew."""
    for part in names or PARTS:
        rows = PARTS[part]()
        lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
        (HERE / f"{part}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
