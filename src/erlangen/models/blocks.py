"""What the networks are built from."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from erlangen.domains import Domain
from erlangen.nn import Correlation, Gated, Lift, Norm, Polynomial, ReLU

Nonlinearity = Literal["relu", "gated", "polynomial"]
LIMIT = 4.0  # of the root mean square of what is squared, which norms that know their fields make about 1


@dataclass(frozen=True)
class Style:
    """The choices that all blocks of a network share: arguments of their correlations and nonlinearities."""

    kernel_size: int | None = None
    radius: float | None = None
    padding_mode: str = "zeros"
    separable: bool = True
    nonlinearity: Nonlinearity = "relu"
    oversampling: float = 2
    rings: int | None = None

    def __post_init__(self) -> None:
        if self.kernel_size is not None and self.radius is not None:
            raise ValueError(
                f"kernel_size={self.kernel_size} and radius={self.radius}: expected one of them, "
                "kernel_size in samples or radius in units of the space"
            )

    @property
    def kernel(self) -> dict[str, Any]:
        """The arguments of a correlation."""
        return {
            "kernel_size": self.kernel_size,
            "radius": self.radius,
            "padding_mode": self.padding_mode,
            "rings": self.rings,
        }

    def coarser(self, domain: Domain) -> "Style":
        """On half the samples of a domain a kernel of as many samples has twice the radius."""
        pixels = domain.coarser() is domain  # images of any size, measured in their own pixels
        return self if self.radius is None or pixels else replace(self, radius=2 * self.radius)

    def activation(self, domain: Domain, channels: int) -> nn.Module:
        """The nonlinearity."""
        if self.nonlinearity == "gated":
            return Gated(domain, channels, oversampling=self.oversampling)
        if self.nonlinearity == "polynomial":
            return Polynomial(domain, channels, limit=LIMIT)
        return ReLU(domain, oversampling=self.oversampling)


def stem(domain: Domain, in_channels: int, width: int, style: Style) -> list[nn.Module]:
    """From scalar fields to the domain's own type: correlation, norm, nonlinearity."""
    layer = Correlation if domain.fibre is None else Lift
    return [
        layer(domain, in_channels, width, **style.kernel, bias=False),
        Norm(domain, width),
        style.activation(domain, width),
    ]


class ConvBlock(nn.Module):
    """Correlation, norm, nonlinearity, between fields of the domain's own type."""

    def __init__(self, domain: Domain, in_channels: int, out_channels: int, style: Style) -> None:
        super().__init__()
        field = domain.default_field
        self.correlation = Correlation(
            domain,
            in_channels,
            out_channels,
            **style.kernel,
            bias=False,
            in_field=field,
            out_field=field,
            separable=style.separable,
        )
        self.norm = Norm(domain, out_channels)
        self.activation = style.activation(domain, out_channels)

    def forward(self, field: Float[Tensor, "batch in_channels *space"]) -> Tensor:
        return self.activation(self.norm(self.correlation(field)))


def conv_blocks(
    count: int, domain: Domain, in_channels: int, out_channels: int, style: Style
) -> ConvBlock | nn.Sequential:
    """So many blocks after one another; a single one is itself, so that its weights keep their names."""
    first = ConvBlock(domain, in_channels, out_channels, style)
    others = [ConvBlock(domain, out_channels, out_channels, style) for _ in range(count - 1)]
    return nn.Sequential(first, *others) if others else first


class ResidualBlock(nn.Module):
    """Two blocks, the second one's nonlinearity after the sum with what came in."""

    def __init__(self, domain: Domain, channels: int, style: Style) -> None:
        super().__init__()
        self.first = ConvBlock(domain, channels, channels, style)
        self.second = ConvBlock(domain, channels, channels, style)

    def forward(self, field: Float[Tensor, "batch channels *space"]) -> Tensor:
        inner = self.second.norm(self.second.correlation(self.first(field)))
        return self.second.activation(field + inner)
