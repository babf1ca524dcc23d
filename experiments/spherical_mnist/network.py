"""The networks of this experiment: global kernels on SO(3), and plain convolutions beside them."""

import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import erlangen as er
from erlangen.engines import FinerFibre
from erlangen.models.blocks import ConvBlock, ResidualBlock, stem
from erlangen.spaces.spherical import Coefficients

sys.path.insert(0, str(Path(__file__).parent.parent))
import latlon

SPHERE = er.Sphere()


class Equivariant(nn.Module):
    """Lift to SO(3), correlate, coarsen by harmonics, and read what rotations leave alone.

    Args:
        rings: latitudes on which digits are read, before they are band-limited to the first level.
        degrees: the bandwidth L of the first level, and its latitudes; half as many at each next one.
        fibre: samples of the fibre.
        widths: regular fields at each level.
        convolutions: correlations between regular fields at each.
        separable: mix at each point, then correlate each channel by itself.
        oversampling: of the ReLU.
        dropout: of the invariants.
        reading: of the last level: its "energies"; or integrals, of the root mean square along the fibre
            beside the "mean", the "maximum" on samples twice as fine, or the "coarse maximum" on those that
            there are, which say how a digit lies.
        hidden: units between the invariants and the answers; 0 for none.
        knots: degrees at which kernels are free; None for the library's 8.
        residual: whether two correlations that keep the number of fields are added to what came in.
    """

    def __init__(
        self,
        rings: int,
        degrees: int,
        fibre: int,
        widths: list[int],
        convolutions: list[int],
        separable: bool = True,
        nonlinearity: str = "relu",
        oversampling: int = 2,
        dropout: float = 0.0,
        reading: str = "energies",
        hidden: int = 0,
        knots: int | None = None,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.read = SPHERE.grid(rings)
        self.first = domain = SPHERE.harmonics(degrees, rotations=fibre)
        options = er.models.Options(
            tuple(widths),
            depth=len(widths) - 1,
            separable=separable,
            nonlinearity=nonlinearity,
            oversampling=oversampling,
            rings=knots,
        )
        levels = options.levels(domain)
        layers, before = stem(levels[0], 1), widths[0]
        for i, (level, count) in enumerate(zip(levels, convolutions, strict=True)):
            if i:
                layers.append(er.nn.Down(levels[i - 1].domain))
            while count:
                pair = residual and before == level.width and count > 1
                layers.append(ResidualBlock(level) if pair else ConvBlock(level, before))
                before, count = level.width, count - (2 if pair else 1)
        domain = levels[-1].domain
        self.features = nn.Sequential(*layers)
        self.invariants = Energies(domain) if reading == "energies" else Integrals(domain, reading)
        self.head = head(before * self.invariants.count, hidden, dropout)

    def forward(self, digits: Tensor) -> Tensor:
        L = self.first.degrees
        c = self.read.analyze(digits)[..., :L, :L]
        return self.head(self.invariants(self.features(torch.stack([c.real, c.imag], 2))))


class Energies(nn.Module):
    """The roots of a field's power spectrum, ``sqrt(sum_m |c^n_lm|^2)``; that of l = n = 0 with its sign.

    A rotation takes the c^n_lm of one l and n to each other by a unitary matrix: these are invariants to
    rounding.
    """

    def __init__(self, domain: Coefficients) -> None:
        super().__init__()
        self.domain, band = domain, domain.fibre.default_band
        self.there = torch.ones(domain.degrees, band + 1).tril().bool()  # n <= l
        self.count = int(self.there.sum())

    def forward(self, f: Tensor) -> Tensor:
        constant = math.sqrt(4 * math.pi) * self.domain.mean(f)[..., None]
        power = self.domain.spectrum(f, "regular").mT[..., self.there]  # (batch, channel, l n)
        return torch.cat([constant, torch.sqrt(power[..., 1:] + 1e-6)], 2).flatten(1)


class Integrals(nn.Module):
    """Over the sphere: of the root mean square along the fibre, and of its mean or maximum."""

    count = 2

    def __init__(self, domain: Coefficients, reading: str) -> None:
        super().__init__()
        self.domain = domain
        self.reduce: Callable[[Tensor], Tensor] = {
            "mean": lambda: er.nn.Project(domain.grid, "mean"),
            "maximum": lambda: er.nn.Project(domain.grid, "max", oversampling=2),
            "coarse maximum": lambda: partial(coarse_maximum, FinerFibre(domain.fibre, 4)),
        }[reading]()

    def forward(self, f: Tensor) -> Tensor:
        f = self.domain.synthesize(f, "regular")
        size = torch.sqrt(er.nn.mean(self.domain.grid, f.square().mean(2)) + 1e-6)
        return torch.cat([er.nn.mean(self.domain.grid, self.reduce(f)), size], 1)


def coarse_maximum(fibre: FinerFibre, f: Tensor) -> Tensor:
    """The maximum over a finer fibre at each sample of the sphere, aliased."""
    return fibre.up(f).amax(2)


def head(invariants: int, hidden: int, dropout: float) -> nn.Sequential:
    """From invariants to answers."""
    layers: list[nn.Module] = [nn.BatchNorm1d(invariants, affine=False), nn.Dropout(dropout)]
    if hidden:
        layers += [nn.Linear(invariants, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden or invariants, 10))


class Plain(nn.Module):
    """Convolutions of the longitude-latitude picture, with pooling between.

    Args:
        rings: latitudes on which digits are read.
        widths: channels at each level, of half the samples at each next one.
        kernel_size: of all convolutions.
    """

    def __init__(self, rings: int, widths: list[int], kernel_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.read = SPHERE.grid(rings)
        before, layers = 1, []
        for level, width in enumerate(widths):
            layers += [nn.MaxPool2d(2)] if level else []
            layers += latlon.block(before, width, kernel_size) + latlon.block(width, width, kernel_size)
            before = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * before, 10))

    def forward(self, digits: Tensor) -> Tensor:
        f = self.features(digits)
        return self.head(torch.cat([f.mean((2, 3)), f.amax((2, 3))], 1))


NETWORKS = {"equivariant": Equivariant, "plain": Plain}


def network(kind: str, published: bool = True, **options) -> nn.Module:
    """A network, and whether it sees the published projection of digits."""
    net = NETWORKS[kind](**options)
    net.published = published
    return net
