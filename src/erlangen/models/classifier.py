"""The classification network."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from erlangen.arguments import Count, Depth, checked
from erlangen.domains import Domain
from erlangen.models.blocks import ConvBlock, residual_blocks, stem
from erlangen.models.options import WIDTH, Options, PerLevel
from erlangen.nn import GlobalPool, Pool, Project
from erlangen.nn.equivariant import Equivariant
from erlangen.nn.recompute import Stored


class Classifier(Equivariant):
    r"""An invariant classifier: lift, residual blocks with pooling between, project, pool, classify.

    Args:
        domain: where the images live.
        in_channels: scalar fields in.
        out_channels: classes (logits).
        width: fields at the finest level, or at each level.
        depth: how often the resolution is halved; number of resolutions - 1.
        options: the others of `Options`, as of a `UNet`. With nonlinearity="polynomial" take
            projection="mean", or rotations of the sphere are not exact. With exact_shifts logits are
            invariant under integer shifts along the axes that close.

    Shapes: ``(batch, in_channels, *space)`` to ``(batch, out_channels)``.

    Example:
        >>> import torch, erlangen as er
        >>> net = er.models.Classifier(er.Plane(rotations=8), in_channels=1, out_channels=10)
        >>> net(torch.randn(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    @checked
    def __init__(
        self,
        domain: Domain,
        in_channels: Count,
        out_channels: Count,
        width: PerLevel[Count] | None = WIDTH,
        depth: Depth = 2,
        **options: Any,
    ) -> None:
        super().__init__()
        self.domain, self.in_channels, self.out_channels = domain, in_channels, out_channels
        given = Options.named(width, depth, options)
        self.options = chosen = given.chosen(domain, blocks=2, projection="max", pooling="mean")
        pooling: Any = chosen.pooling
        levels = chosen.levels(domain)
        layers, ends = stem(levels[0], in_channels), []
        for i, level in enumerate(levels):
            if i:
                before = levels[i - 1]
                shifts: dict[str, Any] = {"circular": chosen.circular, "exact_shifts": chosen.exact_shifts}
                by = chosen.resampling
                layers.append(Pool(before.domain, pooling, before.field, resampling=by, **shifts))
                layers.append(ConvBlock(level, before.width, before.field))
            layers += residual_blocks(level)
            ends.append(len(layers))
        coarsest, projection = levels[-1].domain, chosen.projection
        if domain.default_field == "regular":
            layers.append(Project(coarsest, projection))  # type: ignore[arg-type]
        layers.append(GlobalPool(coarsest))
        self.features = Stored(*layers, ends=ends) if chosen.recompute else nn.Sequential(*layers)
        self.head = nn.Linear(levels[-1].width, out_channels)

    def forward(
        self, image: Float[Tensor, "batch in_channels *space"]
    ) -> Float[Tensor, "batch out_channels"]:
        return self.head(self.features(image))
