"""What the networks are built from."""

from jaxtyping import Float
from torch import Tensor, nn

from erlangen.models.options import Level
from erlangen.nn import Correlation, Gated, Lift, Norm, Polynomial, ReLU, SiLU

LIMIT = 4.0  # of the root mean square of what is squared, which norms that know their fields make about 1


def activation(level: Level) -> nn.Module:
    """The nonlinearity."""
    if level.nonlinearity == "gated":
        return Gated(level.domain, level.width, oversampling=level.oversampling)
    if level.nonlinearity == "polynomial":
        return Polynomial(level.domain, level.width, limit=LIMIT)
    if level.nonlinearity == "silu":
        return SiLU(level.domain, oversampling=level.oversampling)
    return ReLU(level.domain, oversampling=level.oversampling)


def stem(level: Level, in_channels: int) -> list[nn.Module]:
    """From scalar fields to the domain's own type: correlation, norm, nonlinearity."""
    domain, width = level.domain, level.width
    layer = Correlation if domain.fibre is None else Lift
    return [
        layer(domain, in_channels, width, **level.kernel, bias=False),
        Norm(domain, width),
        activation(level),
    ]


class ConvBlock(nn.Module):
    """Correlation, norm, nonlinearity, between fields of the domain's own type.

    Args:
        level: where, how, and how many fields come out.
        in_channels: fields that come in.
    """

    def __init__(self, level: Level, in_channels: int) -> None:
        super().__init__()
        field = level.domain.default_field
        self.correlation = Correlation(
            level.domain,
            in_channels,
            level.width,
            **level.kernel,
            bias=False,
            in_field=field,
            out_field=field,
            separable=level.separable,
        )
        self.norm = Norm(level.domain, level.width)
        self.activation = activation(level)

    def forward(self, field: Float[Tensor, "batch in_channels *space"]) -> Tensor:
        return self.activation(self.norm(self.correlation(field)))


def conv_blocks(level: Level, in_channels: int) -> ConvBlock | nn.Sequential:
    """All of a level, one after another; a single one is itself, so that its weights keep their names."""
    first = ConvBlock(level, in_channels)
    others = [ConvBlock(level, level.width) for _ in range(level.blocks - 1)]
    return nn.Sequential(first, *others) if others else first


class ResidualBlock(nn.Module):
    """Two blocks, the second one's nonlinearity after the sum with what came in."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.first = ConvBlock(level, level.width)
        self.second = ConvBlock(level, level.width)

    def forward(self, field: Float[Tensor, "batch channels *space"]) -> Tensor:
        inner = self.second.norm(self.second.correlation(self.first(field)))
        return self.second.activation(field + inner)


def residual_blocks(level: Level) -> list[ResidualBlock]:
    """All of a level, one for each two correlations."""
    if level.blocks % 2:
        raise ValueError(
            f"blocks is {level.blocks}, and a Classifier adds its correlations up in pairs, expected an even "
            f"number; take {level.blocks + 1}, or another width or depth"
        )
    return [ResidualBlock(level) for _ in range(level.blocks // 2)]
