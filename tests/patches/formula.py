"""What every addition is asked: do layers there compute the formula."""

import torch

import erlangen as er
from erlangen.domains import Domain, KernelSpec
from erlangen.kernels import KernelBasis, Rings

torch.manual_seed(0)


def off_the_formula(
    domain: Domain, in_field: str, out_field: str, radius: float, rings: int = 3, **asked: object
) -> float:
    """How far the engine of a domain is from `er.correlate`, which sums the formula literally."""
    rho_in, rho_out = domain.representation(in_field), domain.representation(out_field)
    basis = KernelBasis.build(domain.geometry.structure, Rings(domain.dim, radius, rings), rho_in, rho_out)
    parts = (rho_in.dim,) if rho_in.has_axis else ()
    f = torch.randn(1, 1, *parts, *domain.weights.shape, dtype=torch.float64)
    w = torch.randn(1, 1, len(basis), dtype=torch.float64)
    fields = {"in_field": in_field, "out_field": out_field, "radius": radius}
    y = domain.engine(KernelSpec(**fields, rings=rings, **asked)).apply(f, w)

    def kernel(v, h=None):
        K = torch.einsum("b,...bij->...ij", w[0, 0], basis(v))
        return (
            K[..., 0, 0]
            if h is None
            else (K[..., 0, :] * rho_in.fibre.interpolate(h)).sum(-1) / rho_in.fibre.weight
        )

    expected = er.correlate(domain, kernel, f[:, 0], **fields)
    return float((y[:, 0] - expected).norm() / expected.norm())
