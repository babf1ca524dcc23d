"""A short filter behind a nonlinearity, for what the lattice cannot turn."""

from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import checked
from erlangen.domains import Domain
from erlangen.domains.spec import Field
from erlangen.nn.equivariant import Equivariant


class LowPass(Equivariant):
    r"""``F -> B * F``, B the samples of a cubic B-spline, 1/6, 2/3, 1/6 on each axis.

    A nonlinearity makes waves of all lengths, and those of about two samples are not the same along the axes
    and across. This filter damps waves of all directions alike, by ``exp(-k^2 / 6)`` to fourth order in the
    wave number k: to 0.85 at 1, to 0.53 at 2 (within 0.012 in the plane). Quarter turns and flips commute
    exactly, at every size. It costs resolution: give it to networks that have to be exact between the angles
    of the lattice, behind each nonlinearity.

    Args:
        domain: a lattice of perpendicular steps of one length.
        field: the field's type; None for the domain's own.
        circular: treat the field as periodic; otherwise weights beyond the border are shared by those inside.

    Raises:
        ValueError: on other samples.

    Shapes: ``(batch, channel, [fibre,] *space)``, in and out.

    Reference: Unser, Aldroubi & Eden 1993 (B-splines as filters).

    Example:
        >>> import torch, erlangen as er
        >>> plane = er.Plane(rotations=8)
        >>> layer = torch.nn.Sequential(er.nn.SiLU(plane), er.nn.LowPass(plane))
        >>> layer(torch.randn(1, 4, 8, 16, 16)).shape
        torch.Size([1, 4, 8, 16, 16])
    """

    @checked
    def __init__(self, domain: Domain, field: Field | None = None, *, circular: bool = False) -> None:
        super().__init__()
        self.domain, self.circular = domain, circular
        self.field: Field = field or domain.default_field
        self.rho = domain.representation(self.field)
        self.prepare()

    def prepare(self) -> None:
        self.domain.expect_smoothing()

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        self.domain.check(field, self.field)
        return self.domain.smoothed(field, self.rho, self.circular)

    def of_channels(self, rows: slice) -> "LowPass":
        return self

    def extra_repr(self) -> str:
        return f'{self.domain}, field="{self.field}"'
