"""The networks of this experiment: global kernels on SO(3), and plain convolutions beside them."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

import erlangen as er
from erlangen.domains import Domain
from erlangen.models.blocks import ConvBlock, Style, stem

sys.path.insert(0, str(Path(__file__).parent.parent))
import latlon

SPHERE = er.Sphere()


class Equivariant(nn.Module):
    """Lift to SO(3), correlate, coarsen by harmonics, and take integrals that rotations leave alone.

    Args:
        rings: latitudes on which digits are read, before they are band-limited to the first level.
        degrees: the bandwidth L of the first level, and its latitudes; half as many at each next one.
        fibre: samples of the fibre.
        widths: regular fields at each level.
        convolutions: correlations between regular fields at each.
        separable: mix at each point, then correlate each channel by itself.
        oversampling: of the ReLU.
        spectra: at how many levels, from the last on, power spectra are taken beside means.
        dropout: of the invariants.
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
        spectra: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.read = SPHERE.grid(rings)
        self.first = domain = SPHERE.grid(degrees, rotations=fibre)
        style = Style(None, separable=separable, nonlinearity=nonlinearity, oversampling=oversampling)
        layers, before = stem(domain, 1, widths[0], style), widths[0]
        self.levels, self.down, invariants = nn.ModuleList(), nn.ModuleList(), 0
        self.spectra: dict[int, Domain] = {}
        for level, (width, count) in enumerate(zip(widths, convolutions, strict=True)):
            if level:
                self.down.append(er.nn.Down(domain))
                domain = domain.coarser()
            for _ in range(count):
                layers.append(ConvBlock(domain, before, width, style))
                before = width
            self.levels.append(nn.Sequential(*layers))
            if level >= len(widths) - spectra:
                self.spectra[level] = domain
                invariants += before * domain.degrees * (fibre // 2 + 1)
            layers = []
        self.last, self.project, self.pool = domain, er.nn.Project(domain, "max"), er.nn.GlobalPool(domain)
        invariants += 2 * before
        self.head = nn.Sequential(
            nn.BatchNorm1d(invariants, affine=False), nn.Dropout(dropout), nn.Linear(invariants, 10)
        )

    def forward(self, digits: Tensor) -> Tensor:
        L, invariants = self.first.degrees, []
        f = self.first.synthesize(self.read.analyze(digits)[..., :L, :L].contiguous())
        for level, layers in enumerate(self.levels):
            f = layers(self.down[level - 1](f) if level else f)
            if level in self.spectra:
                invariants.append(spectrum(self.spectra[level], f))
        # the maximum over the samples would depend on where they lie; these are integrals
        size = torch.sqrt(er.nn.mean(self.last, f.square().mean(2)) + 1e-6)
        return self.head(torch.cat([*invariants, self.pool(self.project(f)), size], 1))


def spectrum(domain: Domain, f: Tensor) -> Tensor:
    """How large a regular field is at each degree and each frequency along the fibre: rotations keep it."""
    power = torch.view_as_real(domain.analyze(f, "regular")).square().sum(-1)  # (batch, channel, n, l, m)
    power = power + power.flip(2)  # n and -n: with m >= 0 they stand for all m
    power = power[:, :, power.shape[2] // 2 :]
    power = power.sum(-1) - power[..., 0] / 2
    return torch.sqrt(power + 1e-6).flatten(1)


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


def network(kind: str, **options) -> nn.Module:
    return NETWORKS[kind](**options)
