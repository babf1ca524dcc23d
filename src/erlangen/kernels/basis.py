"""Kernel bases: k = sum_b w_b psi_b, where the w_b are what a layer learns."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups import Representation, StructureGroup
from erlangen.kernels.harmonics import canonical_basis
from erlangen.kernels.rings import Rings
from erlangen.kernels.solve import solve, turned


@dataclass(frozen=True, eq=False)
class KernelBasis:
    r"""Matrix-valued kernels ``psi_b(v)`` in R^{d_out x d_in} that respect the structure group.

    ``psi_b(v) = sum_a R_a(|v|) Y_a(v / |v|) mix[b, a]``, with
    ``psi_b(h v) = rho_out(h) psi_b(v) rho_in(h)^{-1}``. Where a field is regular its values are kept
    to a band of frequencies along the fibre, each basis function to one frequency in and one out, so that
    a turn by any angle stays exact.

    Attributes:
        rings: the radial parts and their degrees.
        rho_in: the type of the field that comes in.
        rho_out: the type of the field that goes out.
        mix: ``(b, a, d_out, d_in)``; a runs over ring, degree and harmonic.
        smoothness: ``(b,)``, the amplitude that each function should start with: smooth kernels first.
        is_diagonal: whether the kernels do not mix along the fibre.
    """

    rings: Rings
    rho_in: Representation
    rho_out: Representation
    mix: Float[Tensor, "b a d_out d_in"]
    smoothness: Float[Tensor, "b"]
    is_diagonal: bool = False

    @staticmethod
    def build(
        group: StructureGroup,
        rings: Rings,
        rho_in: Representation,
        rho_out: Representation,
        band_in: int | None = None,
        band_out: int | None = None,
    ) -> "KernelBasis":
        """Solve for the basis, with frequencies up to the bands along the fibres (None: all)."""

        def solved(degree: int) -> tuple[Tensor, Tensor]:
            solutions = solve(group, rho_in, rho_out, degree)
            return _by_frequency(solutions, rho_in, rho_out, band_in, band_out)

        return KernelBasis._assemble(rings, rho_in, rho_out, solved)

    @staticmethod
    def depthwise(group: StructureGroup, rings: Rings, rho: Representation) -> "KernelBasis":
        r"""Kernels that do not mix along the fibre: ``psi(v) = diag_i k(h_i^{-1} v)``.

        For scalars these are the invariant kernels themselves.
        """
        if rho.fibre is None:
            return KernelBasis.build(group, rings, rho, rho)
        h = rho.fibre.elements

        def solved(degree: int) -> tuple[Tensor, Tensor]:
            D = turned(group.dim, degree, h.mT)  # (N, b, c): k = Y_b carried round
            return torch.diag_embed(D.permute(1, 2, 0)) / math.sqrt(len(h)), torch.ones(D.shape[1]).double()

        return KernelBasis._assemble(rings, rho, rho, solved, is_diagonal=True)

    @staticmethod
    def _assemble(
        rings: Rings,
        rho_in: Representation,
        rho_out: Representation,
        solved: Callable[[int], tuple[Tensor, Tensor]],
        is_diagonal: bool = False,
    ) -> "KernelBasis":
        by_degree = {degree: solved(degree) for degree in {degree for _, degree in rings.terms}}
        counts = [by_degree[degree][0].shape[1] for _, degree in rings.terms]
        blocks, amplitudes = [], []
        for term, (_, degree) in enumerate(rings.terms):
            solutions, smooth = by_degree[degree]
            block = solutions.new_zeros(len(solutions), sum(counts), rho_out.dim, rho_in.dim)
            start = sum(counts[:term])
            block[:, start : start + counts[term]] = solutions
            blocks.append(block)
            amplitudes.append(smooth / (1 + degree))
        mix = torch.cat(blocks) * math.sqrt(rho_out.dim)  # one value that goes out has unit norm
        return KernelBasis(rings, rho_in, rho_out, mix, torch.cat(amplitudes), is_diagonal)

    def __len__(self) -> int:
        return len(self.mix)

    def scalars(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch a"]:
        """The scalar functions ``R_a(|v|) Y_a(v / |v|)`` that the kernels are mixed from."""
        r = v.norm(dim=-1)
        return torch.cat(
            [
                self.rings.profile(rho, degree, r)[..., None] * self.rings.angular(degree, v)
                for rho, degree in self.rings.terms
            ],
            -1,
        )

    def __call__(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch b d_out d_in"]:
        return torch.einsum("...a,baij->...bij", self.scalars(v), self.mix.to(v))


def _by_frequency(
    solutions: Tensor,
    rho_in: Representation,
    rho_out: Representation,
    band_in: int | None,
    band_out: int | None,
) -> tuple[Tensor, Tensor]:
    """The solutions split by frequency along the fibres, and how smooth each one is."""
    found, smooth = [], []
    for n_out, P_out in _frequencies(rho_out, band_out):
        for n_in, P_in in _frequencies(rho_in, band_in):
            part = torch.einsum("ij,bcjk,kl->bcil", P_out, solutions, P_in)
            basis = canonical_basis(part.flatten(1)).unflatten(1, part.shape[1:])
            found.append(basis)
            smooth.append(torch.full((len(basis),), ((1 + n_out) * (1 + n_in)) ** -0.5).double())
    return torch.cat(found), torch.cat(smooth)


def _frequencies(rho: Representation, band: int | None) -> list[tuple[int, Tensor]]:
    """The projections on each frequency up to the band; one, the identity, without a fibre."""
    whole = torch.eye(rho.dim, dtype=torch.float64)
    if rho.fibre is None:
        return [(0, whole)]
    return rho.fibre.frequencies(band)
