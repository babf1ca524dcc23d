"""What the networks are built from."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from erlangen.domains.spec import Field
from erlangen.models.options import Level
from erlangen.nn import Correlation, Gated, Lift, LowPass, Norm, Polynomial, Project, ReLU, SiLU

LIMIT = 4.0  # of the root mean square of what is squared, which norms that know their fields make about 1


def activation(level: Level) -> nn.Module:
    """The nonlinearity, and what smooths it."""
    if level.low_pass:
        return nn.Sequential(
            _nonlinearity(level), LowPass(level.domain, level.field, circular=level.is_circular)
        )
    return _nonlinearity(level)


def _nonlinearity(level: Level) -> nn.Module:
    if level.nonlinearity in ("gated", "low-passed"):
        return Gated(
            level.domain,
            level.width,
            level.field,
            oversampling=level.oversampling,
            low_pass=level.nonlinearity == "low-passed",
            circular=level.is_circular,
        )
    if level.nonlinearity == "polynomial":
        return Polynomial(level.domain, level.width, field=level.field, limit=LIMIT)
    smooth = level.nonlinearity == "silu"
    return (SiLU if smooth else ReLU)(level.domain, level.field, oversampling=level.oversampling)


def stem(level: Level, in_channels: int, in_field: Field = "scalar") -> list[nn.Module]:
    """From the fields that come in to those of the finest level: correlation, norm, nonlinearity."""
    domain, width = level.domain, level.width
    if level.field == "regular" and in_field == "scalar":
        first: nn.Module = Lift(domain, in_channels, width, **level.kernel, bias=False)
    else:
        kernel: dict[str, Any] = level.kernel | {"in_field": in_field, "out_field": level.field}
        first = Correlation(domain, in_channels, width, **kernel, bias=False)
    return [
        first,
        Norm(domain, width, field=level.field),
        activation(level),
    ]


def output(level: Level, count: int, field: Field, projection: Any) -> tuple[nn.Module, nn.Module]:
    """From fields of a level to those that come out: a projection, and the correlation behind it.

    Scalars are projected first. All others are seen at one point by fields of frames; from scalar fields,
    which say no direction there, by a kernel as wide as the level's.
    """
    domain, width, lifted = level.domain, level.width, level.field == "regular"
    if field == "scalar":
        project = Project(domain, projection) if lifted else nn.Identity()
        return project, Correlation(domain, width, count, 1)
    kernel: dict[str, Any] = {"kernel_size": 1} if lifted else level.kernel | {"separable": False}
    head = Correlation(domain, width, count, **kernel, in_field=level.field, out_field=field)
    return nn.Identity(), head


class Beside(nn.ModuleList):
    """Several modules, each of the same field."""

    def forward(self, field: Tensor) -> tuple[Tensor, ...]:
        return tuple(module(field) for module in self)


class ConvBlock(nn.Module):
    """Correlation, norm, nonlinearity.

    Args:
        level: where, how, and how many fields come out.
        in_channels: fields that come in.
        in_field: their type; None for the level's own.
    """

    in_turn = (("correlation", "norm"),)  # parts that one call takes after each other

    def __init__(self, level: Level, in_channels: int, in_field: Field | None = None) -> None:
        super().__init__()
        self.correlation = Correlation(
            level.domain,
            in_channels,
            level.width,
            **level.kernel,
            bias=False,
            in_field=in_field or level.field,
            out_field=level.field,
            separable=level.separable,
        )
        self.norm = Norm(level.domain, level.width, field=level.field)
        self.activation = activation(level)

    @property
    def turns(self) -> tuple[nn.Module, ...]:
        """The layers, for `in_turn`."""
        return self.correlation, self.norm, self.activation

    def forward(self, field: Float[Tensor, "batch in_channels *space"]) -> Tensor:
        return self.activation(self.correlation.normed(field, self.norm))


def conv_blocks(level: Level, in_channels: int, in_field: Field | None = None) -> ConvBlock | nn.Sequential:
    """All of a level, one after another; a single one is itself, so that its weights keep their names."""
    first = ConvBlock(level, in_channels, in_field)
    others = [ConvBlock(level, level.width) for _ in range(level.blocks - 1)]
    return nn.Sequential(first, *others) if others else first


class ResidualBlock(nn.Module):
    """Two blocks, the second one's nonlinearity after the sum with what came in."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.first = ConvBlock(level, level.width)
        self.second = ConvBlock(level, level.width)

    def forward(self, field: Float[Tensor, "batch channels *space"]) -> Tensor:
        last = self.second
        return last.activation(field + last.correlation.normed(self.first(field), last.norm))


def residual_blocks(level: Level) -> list[ResidualBlock]:
    """All of a level, one for each two correlations."""
    if level.blocks % 2:
        raise ValueError(
            f"blocks is {level.blocks}, and a Classifier adds its correlations up in pairs, expected an even "
            f"number; take {level.blocks + 1}, or another width or depth"
        )
    return [ResidualBlock(level) for _ in range(level.blocks // 2)]
