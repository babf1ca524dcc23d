"""Kernel bases: k = sum_b w_b psi_b, where the w_b are what a layer learns."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups import Representation, StructureGroup
from erlangen.kernels.directions import canonical_basis
from erlangen.kernels.rings import Polar
from erlangen.kernels.solve import equivariant_part, solve, turned


@dataclass(frozen=True, eq=False)
class KernelBasis:
    r"""Matrix-valued kernels ``psi_b(v)`` in R^{d_out x d_in} that respect the structure group.

    ``psi_b(v) = sum_a R_a(|v|) Y_a(v / |v|) mix[b, a]``, with
    ``psi_b(h v) = rho_out(h) psi_b(v) rho_in(h)^{-1}``. Where a field is regular its values are kept
    to a band of frequencies along the fibre, each basis function to one frequency in and one out, and those
    that would come out beyond the band, and alias, are left out: a turn by any angle is exact.

    Attributes:
        rings: the radial parts and their degrees.
        rho_in: the type of the field that comes in.
        rho_out: the type of the field that goes out.
        mix: ``(b, a, d_out, d_in)``; a runs over ring, degree and harmonic.
        smoothness: ``(b,)``, the amplitude that each function should start with: smooth kernels first.
        is_diagonal: whether the kernels do not mix along the fibre.
    """

    rings: Polar
    rho_in: Representation
    rho_out: Representation
    mix: Float[Tensor, "b a d_out d_in"]
    smoothness: Float[Tensor, "b"]
    is_diagonal: bool = False

    @staticmethod
    def build(
        group: StructureGroup,
        rings: Polar,
        rho_in: Representation,
        rho_out: Representation,
        band_in: int | None = None,
        band_out: int | None = None,
    ) -> "KernelBasis":
        """Solve for the basis, with frequencies up to the bands along the fibres.

        None keeps all frequencies: those of a finite H, and of an infinite one what its samples hold.
        """
        if not group.is_finite:
            band_in, band_out = _held(rho_in, band_in), _held(rho_out, band_out)
        fibre = rho_out.fibre or rho_in.fibre
        whole = None if fibre is None or band_in is band_out is None else fibre.group_of_all_turns

        def solved(degree: int) -> tuple[Tensor, Tensor]:
            found, smooth = [], []
            solutions = solve(group, rho_in, rho_out, degree)
            for amplitude, part in _by_frequency(solutions, rho_in, rho_out, band_in, band_out):
                if whole is not None:
                    part = equivariant_part(part, whole, rho_in, rho_out, degree)
                basis = canonical_basis(part.flatten(1)).unflatten(1, part.shape[1:])
                found.append(basis)
                smooth.append(torch.full((len(basis),), amplitude).double())
            return torch.cat(found), torch.cat(smooth)

        return KernelBasis._assemble(rings, rho_in, rho_out, solved)

    @staticmethod
    def depthwise(
        group: StructureGroup, rings: Polar, rho: Representation, band_in: int | None = None
    ) -> "KernelBasis":
        r"""Kernels that do not mix along the fibre: ``psi(v) = diag_i k(h_i^{-1} v)``.

        For scalars these are the invariant kernels themselves. Degree l raises a frequency by l: with fields
        of frequencies up to `band_in`, degrees that would leave the fibre's band are left out.
        """
        if rho.fibre is None:
            return KernelBasis.build(group, rings, rho, rho)
        h, limit = rho.fibre.elements, rho.fibre.default_band
        most = None if band_in is None or limit is None else max(limit - band_in, 0)

        def solved(degree: int) -> tuple[Tensor, Tensor]:
            if most is not None and degree > most:
                count = turned(group.dim, degree, h[:1]).shape[-1]
                return h.new_zeros(0, count, len(h), len(h)), h.new_zeros(0)
            D = turned(group.dim, degree, h.mT)  # (N, b, c): k = Y_b carried round
            return torch.diag_embed(D.permute(1, 2, 0)) / math.sqrt(len(h)), torch.ones(D.shape[1]).double()

        return KernelBasis._assemble(rings, rho, rho, solved, is_diagonal=True)

    @staticmethod
    def _assemble(
        rings: Polar,
        rho_in: Representation,
        rho_out: Representation,
        solved: Callable[[int], tuple[Tensor, Tensor]],
        is_diagonal: bool = False,
    ) -> "KernelBasis":
        by_degree = {degree: solved(degree) for degree in {degree for _, degree in rings.terms}}
        counts = [by_degree[degree][0].shape[1] for _, degree in rings.terms]
        blocks, amplitudes = [], []
        for term, (radial, degree) in enumerate(rings.terms):
            solutions, smooth = by_degree[degree]
            block = solutions.new_zeros(len(solutions), sum(counts), rho_out.dim, rho_in.dim)
            start = sum(counts[:term])
            block[:, start : start + counts[term]] = solutions
            blocks.append(block)
            amplitudes.append(smooth * rings.amplitude(radial, degree))
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
) -> Iterator[tuple[float, Tensor]]:
    """The solutions split by frequency along the fibres, and how smooth each part is."""
    for n_out, P_out in _frequencies(rho_out, band_out):
        for n_in, P_in in _frequencies(rho_in, band_in):
            part = torch.einsum("ij,bcjk,kl->bcil", P_out, solutions, P_in)
            yield ((1 + n_out) * (1 + n_in)) ** -0.5, part


def _held(rho: Representation, band: int | None) -> int | None:
    """The band, or all that the samples of an infinite group hold."""
    return rho.fibre.default_band if band is None and rho.fibre is not None else band


def _frequencies(rho: Representation, band: int | None) -> list[tuple[int, Tensor]]:
    """The projections on each frequency up to the band; one, the identity, without a fibre."""
    whole = torch.eye(rho.dim, dtype=torch.float64)
    if rho.blocks:
        degree = torch.repeat_interleave(torch.arange(len(rho.blocks)), torch.tensor(rho.blocks))
        most = len(rho.blocks) - 1 if band is None else min(band, len(rho.blocks) - 1)
        return [(l, torch.diag((degree == l).double())) for l in range(most + 1)]
    if rho.fibre is None:
        return [(0, whole)]
    return rho.fibre.frequencies(band)
