"""Samples of a space, and the fields on them."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import expect_tensor, shown
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.refusals import refuse_missing
from erlangen.domains.spec import Field, representation_of
from erlangen.domains.symmetry import Symmetries, Symmetry
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation, same_fibre

if TYPE_CHECKING:
    from erlangen.domains.domain import Domain


class Sampled(ABC):
    r"""Samples of a space: a geometry, points, quadrature weights and a fibre.

    Attributes:
        geometry: the space, with frames and `carry`.
        fibre: the samples of H that regular fields have at each point, or None.
        shape: the sizes of the space axes; None if any size will do.
    """

    geometry: Geometry
    fibre: Fibre | None
    shape: tuple[int, ...] | None

    @classmethod
    def refusal(cls, name: str, value: object) -> str:
        """What an argument is told that should be a domain."""
        if isinstance(value, Geometry):
            return f"{name}: {value} is a space, expected samples of it: such as {value.sampling}"
        first = "; it comes first, before torch's own arguments" * isinstance(value, int)
        return (
            f"{name} is {shown(value)}, expected a domain, which says where fields live: such as er.Plane(), "
            f"er.Plane(rotations=8) or er.Sphere().grid(64){first}"
        )

    @property
    @abstractmethod
    def points(self) -> Float[Tensor, "*space m"]:
        """The samples, in float64."""

    @property
    @abstractmethod
    def weights(self) -> Float[Tensor, "*space"]:
        """The measure of each sample, in float64: ``int f dmu = sum_q w_q f(q)``."""

    @property
    @abstractmethod
    def interpolation(self) -> Interpolation:
        """How to read a field between the samples."""

    @property
    def dim(self) -> int:
        """The dimension of the space."""
        return self.geometry.dim

    @property
    def space_axes(self) -> int:
        """The number of space axes of a field."""
        return self.dim if self.shape is None else len(self.shape)

    @property
    def frames(self) -> Frame:
        """The frames s(p) at the samples."""
        return self.geometry.frames(self.points)

    @property
    def default_field(self) -> Field:
        """The richest field that the domain carries: regular with a fibre, else scalar."""
        return "scalar" if self.fibre is None else "regular"

    def representation(self, field: Field) -> Representation:
        """The representation of H behind a field's name."""
        return representation_of(field, self.geometry, self.fibre)

    def expect(self, shape: tuple[int, ...]) -> None:
        """ValueError unless a field may have these space axes."""
        if self.shape is not None and tuple(shape) != self.shape:
            raise ValueError(f"the field has space axes {tuple(shape)}, expected {self.shape}")

    def is_same(self, other: "Sampled") -> bool:
        """Whether the other has these samples, weights, frames and fibre, as a copy has them."""
        if self is other:
            return True
        alike = type(self) is type(other) and self.shape == other.shape
        if not alike or not self.geometry.is_same(other.geometry) or not same_fibre(self.fibre, other.fibre):
            return False
        return self.shape is None or (
            torch.equal(self.weights, other.weights)
            and torch.equal(self.points, other.points)
            and torch.equal(self.frames.basis, other.frames.basis)
        )

    def sized(self, shape: tuple[int, ...]) -> "Domain":
        """This domain with the given sizes; ValueError if it has others."""
        self.expect(shape)
        return self  # type: ignore[return-value]

    def parts(self, rho: Representation) -> int | None:
        """The size of the axis between channels and space; None where fields of that type have none."""
        return rho.dim if rho.has_axis else None

    @cached_property
    def _layouts(self) -> dict[Field, tuple[int, int | None]]:
        """`layout` of each type that was asked for."""
        return {}

    def layout(self, field: Field) -> tuple[int, int | None]:
        """The number of axes of a field of that type, batch and channels among them, and its `parts`."""
        found = self._layouts.get(field)
        if found is None:
            parts = self.parts(self.representation(field))
            found = self._layouts[field] = 2 + (parts is not None) + self.space_axes, parts
        return found

    def check(self, f: Tensor, field: Field, channels: int | None = None) -> None:
        """ValueError unless f is a field ``(batch, channels, [fibre,] *space)`` of that type here.

        Every layer asks it of every field, so what is right passes by one comparison each.
        """
        axes, parts = self._layouts.get(field) or self.layout(field)
        if isinstance(f, Tensor) and f.dim() == axes and f.is_floating_point():
            shape = f.shape
            right = (channels is None or shape[1] == channels) and (parts is None or shape[2] == parts)
            if right and (self.shape is None or shape[-len(self.shape) :] == self.shape):
                return
        self._refuse(f, field, channels)

    def _refuse(self, f: Tensor, field: Field, channels: int | None) -> None:
        """What `check` says."""
        expect_tensor(f, "the field")
        axes, parts = self._layouts[field]
        wrong = f.dim() != axes or (channels is not None and f.shape[1] != channels)
        if wrong or (parts is not None and f.shape[2] != parts):
            count = "channels" if channels is None else channels
            raise ValueError(
                f"the field has shape {tuple(f.shape)}, expected (batch, {count}, "
                f"{'' if parts is None else f'{parts}, '}*space), {axes} axes in all, for "
                f"{'' if channels is None else f'{channels} '}{field} fields on {self}"
            )
        if not f.is_floating_point():
            raise ValueError(f"the field is {f.dtype}, expected a floating-point one; call .float() on it")
        self.expect(tuple(f.shape[-self.space_axes :]))

    def hide(self, field: Tensor, value: float = 0.0) -> Tensor:
        """The field ``(..., *space)`` with a value in place of what a mask hides."""
        return field

    @property
    def is_uniform(self) -> bool:
        """Whether all samples weigh the same."""
        return False

    def mean(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int f dmu / int dmu``, over what a mask leaves visible."""
        f = self.hide(field).flatten(-self.space_axes)
        if self.is_uniform:
            return f.mean(-1)
        weights = self.weights.flatten().to(f)
        return f @ (weights / weights.sum())

    def mean_square(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int f^2 dmu / int dmu``, as `mean`."""
        return self.mean(field.square())

    def mean_absolute(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int |f| dmu / int dmu``, as `mean`."""
        return self.mean(field.abs())

    def fibre_mean(self, field: Float[Tensor, "batch channel fibre *space"]) -> Tensor:
        """The mean along the fibre of a regular field: a scalar one."""
        return field.mean(2)

    def add(self, field: Float[Tensor, "batch channel *space"], values: Float[Tensor, "channel"]) -> Tensor:
        """The field with a constant added to each channel."""
        return field + values.view(-1, *[1] * (field.dim() - 2))

    def act(
        self,
        g: Float[Tensor, "d d"],
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        r"""The field moved by a symmetry of the space: ``(g F)(u) = F(g^{-1} u)``, interpolated.

        Args:
            g: the symmetry, a matrix as the geometry takes it.
            f: ``(*batch, [fibre,] *space)``.
            field: its type.
            interpolation: how to read between the samples; None takes the domain's own.
        """
        self.geometry.expect_symmetry(g)
        expect_tensor(f, "the field")
        domain = self.sized(f.shape[-self.space_axes :])
        u = domain.geometry.act(torch.linalg.inv(g.to(torch.float64)), domain.frames)
        return domain.seen_from(u, f, field, interpolation=interpolation)

    def seen_from(
        self,
        u: Frame,
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        """The field at any frames ``(*places)``: ``(*batch, [fibre,] *places)``, interpolated.

        Args:
            u: where to look from.
            f: ``(*batch, [fibre,] *space)``.
            field: its type.
            interpolation: how to read between the samples; None takes the domain's own.
        """
        rho = self.representation(field)
        places = u.point.shape[:-1]
        f, u = self.hide(f), u.flat
        refuse_missing(f)
        reading = interpolation or self.interpolation
        index, weight, h = reading.transported(self, u)  # (p, k), (p, k), (p, k, n, n)
        values = f.flatten(-self.space_axes)
        values = values if rho.has_axis else values[..., None, :]  # (*batch, d, q)
        matrix = rho.inverse(h) * weight[..., None, None]  # (p, k, d, d)
        moved = torch.einsum("pkij,...jpk->...ip", matrix.to(f), values[..., index])
        return (moved if rho.has_axis else moved[..., 0, :]).unflatten(-1, places)

    def reframed(self, h: Float[Tensor, "*space n n"]) -> "Domain":
        """This domain with the frames ``s(p) h(p)`` at its samples."""
        raise ValueError(f"{self} has frames along its axes, expected samples whose frames can be chosen")

    def to(self, target: "Sampled", f: Tensor, field: Field = "scalar") -> Tensor:
        """The field f ``(*batch, [fibre,] *space)`` read at the samples of another domain of the same space,
        by interpolation."""
        if not self.geometry.is_same(target.geometry):
            raise ValueError(
                f"the field lives on {self.geometry} and is to go to {target.geometry}, expected one geometry"
            )
        return self.seen_from(target.frames, f, field)

    def symmetries(self) -> list[Symmetry]:
        """Symmetries worth testing: the elements of the group that permute the samples, with names."""
        return Symmetries(self.geometry, self.frames, self.weights, self.fibre).find()

    def symmetry_of(self, g: Float[Tensor, "d d"], name: str = "g") -> Symmetry:
        """The element g under a name, with whether it permutes the samples and belongs to the group."""
        return Symmetries(self.geometry, self.frames, self.weights, self.fibre).named(name, g)

    def centre(self, field: Tensor) -> Tensor:
        """Where a moved field can be compared: True away from the edges, ``(*space)``."""
        return torch.ones(field.shape[-self.space_axes :], dtype=torch.bool, device=field.device)
