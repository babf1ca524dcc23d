"""The networks of this experiment: one architecture, on fields of four types."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

import erlangen as er
from erlangen.domains import Domain
from erlangen.domains.spec import Field

Kind = Literal["plain", "scalar", "sign", "regular"]


@dataclass(frozen=True)
class Fields:
    """Layers between fields of one type on the strip; "plain" ones see a picture, and no strip."""

    name: Kind
    kernel: dict[str, Any]

    def correlation(self, domain: Domain, before: int, after: int, source: Field | None = None) -> nn.Module:
        """From `source` (None: the same type); biases are left to the norm."""
        if self.name == "plain":
            return nn.Conv2d(before, after, 3, padding=1, bias=False)
        spacing = float(domain.points[1, 0, 0] - domain.points[0, 0, 0])
        return er.nn.Correlation(
            domain,
            before,
            after,
            bias=False,
            radius=self.kernel["radius"] * spacing,
            rings=self.kernel["rings"],
            in_field=source or self.name,
            out_field=self.name,
        )

    def norm(self, domain: Domain, channels: int) -> nn.Module:
        return (
            nn.BatchNorm2d(channels)
            if self.name == "plain"
            else er.nn.Norm(domain, channels, field=self.name)
        )

    def activation(self, domain: Domain, channels: int) -> nn.Module:
        """ReLU; on signs, which have none, a gate of their own absolute value."""
        if self.name == "plain":
            return nn.ReLU()
        if self.name == "sign":
            return er.nn.Gated(domain, channels, "sign")
        return er.nn.ReLU(domain, self.name)

    def pool(self, domain: Domain) -> nn.Module:
        """Half the samples, in the phase that the content chooses: exact under all shifts."""
        if self.name == "plain":
            return nn.MaxPool2d(2)
        return er.nn.Pool(domain, "mean", self.name, exact_shifts=True)


class Residual(nn.Module):
    """Two correlations; what came in is added before the last nonlinearity."""

    def __init__(self, domain: Domain, channels: int, fields: Fields) -> None:
        super().__init__()
        self.first = fields.correlation(domain, channels, channels)
        self.first_norm = fields.norm(domain, channels)
        self.middle = fields.activation(domain, channels)
        self.second = fields.correlation(domain, channels, channels)
        self.second_norm = fields.norm(domain, channels)
        self.last = fields.activation(domain, channels)

    def forward(self, f: Tensor) -> Tensor:
        inner = self.middle(self.first_norm(self.first(f)))
        return self.last(f + self.second_norm(self.second(inner)))


class Network(nn.Module):
    """Stem, residual blocks with pooling between, invariants, a linear classifier.

    Args:
        field: "plain", "scalar", "sign" or "regular".
        widths: fields at 28 x 28, 14 x 14 and 7 x 7 samples (the real numbers, for plain ones).
        blocks: residual blocks at each.
        kernel: radius in samples, and rings.
        dropout: of the invariants.
    """

    def __init__(
        self, field: Kind, widths: list[int], blocks: list[int], kernel: dict, dropout: float = 0.0
    ) -> None:
        super().__init__()
        fields, self.field = Fields(field, kernel), field
        self.band = domain = er.Moebius(28.0, 28.0).grid(28, 28)
        source: Field | None = "scalar"
        before, layers = 1, []
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            if level:
                layers.append(fields.pool(domain))
                domain = domain.coarser()
            layers.append(fields.correlation(domain, before, width, source))
            layers.append(fields.norm(domain, width))
            layers.append(fields.activation(domain, width))
            layers += [Residual(domain, width, fields) for _ in range(count)]
            before, source = width, None
        self.features = nn.Sequential(*layers)
        self.project = er.nn.Project(domain, "max") if field == "regular" else nn.Identity()
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * before, 10))

    def forward(self, strip: Tensor) -> Tensor:
        f = self.project(self.features(strip))
        f = f.abs() if self.field == "sign" else f
        return self.head(torch.cat([f.mean((2, 3)), f.amax((2, 3))], 1))
