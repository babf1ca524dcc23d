"""What kernels and fields a domain refuses."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from erlangen.arguments import expect_tensor
from erlangen.domains.spec import Field, KernelSpec
from erlangen.geometry import Geometry
from erlangen.groups import StructureGroup, same_fibre
from erlangen.kernels import KernelBasis, Rings

FILLS = {"UNSEEN (-1.6375e30)": -1.6375e30, "the fill value of netCDF (9.97e36)": 9.969209968386869e36}
LARGE, NEAR = 1e29, 4e-3  # below it nothing stands for a missing value; as bfloat16 stores them


def expect_kernels(basis: KernelBasis, H: StructureGroup, spec: KernelSpec) -> None:
    """ValueError for a basis without kernels."""
    if len(basis) == 0:
        larger = Rings(basis.rings.n, 1.0, 4)
        if len(KernelBasis.build(H, larger, basis.rho_in, basis.rho_out, spec.band_in, spec.band_out)) == 0:
            raise ValueError(
                f"H = {H} allows no kernel from {spec.in_field} to {spec.out_field} fields, of any size; "
                "expected other types of field, or a smaller H"
            )
        raise ValueError(
            f"H = {H} allows no kernel from {spec.in_field} to {spec.out_field} fields at radius "
            f"{spec.radius} with {spec.rings} rings; expected one at least: take more rings, or a larger "
            "kernel_size"
        )


def expect_reach(geometry: Geometry, radius: float) -> None:
    """ValueError for a radius beyond which a kernel would meet itself."""
    if radius > geometry.injectivity_radius * (1 + 1e-9):  # or it is rounding
        raise ValueError(
            f"radius is {radius}, beyond {geometry.up_to()}, where a kernel would meet itself; take a "
            "smaller radius"
        )


def expect_one_kind(home: Any, there: Any) -> None:
    """ValueError unless kernels on one domain are kernels on the other: these know H, fibre and measure."""
    H, other = home.geometry.structure, there.geometry.structure
    if not H.is_same(other):
        raise ValueError(
            f"the module lives on {home}, where H = {H}, and is to go to {there}, where H = {other} "
            f"of dimension {there.dim}; expected one structure group, for which its kernels were made: give "
            "the same symmetry=, rotations= or reflections="
        )
    sizes = [
        one.representation("regular").dim if one.default_field == "regular" else "no" for one in (home, there)
    ]
    if not same_fibre(home.fibre, there.fibre) or sizes[0] != sizes[1]:
        raise ValueError(
            f"the module lives on {home} with {sizes[0]} values of a regular field at each point, and is to "
            f"go to {there} with {sizes[1]}, or others; expected the same fibre: give the same rotations=, "
            "or degree="
        )
    if home.geometry.measure != there.geometry.measure:
        raise ValueError(
            f'the kernels of {home} are taken in the measure of "{home.geometry.measure}", those of {there} '
            f'in that of "{there.geometry.measure}", expected one measure=; make the space with it'
        )
    if (home.shape is None) != (there.shape is None):
        whole, sized = (home, there) if home.shape is None else (there, home)
        raise ValueError(
            f"{whole} takes images of any size and measures each level in its own pixels, {sized} has one "
            "size and one unit; expected both alike: leave out shape=, or give it to both"
        )


def expect_in_view(geometry: Geometry, radius: float, row: Int[Tensor, "e"], rows: int) -> None:
    """ValueError for a kernel that a sum over so few samples says nothing about."""
    seen, enough = float(torch.bincount(row, minlength=rows).double().quantile(0.25)), 2 * geometry.dim + 1
    if seen < enough:
        raise ValueError(
            f"within radius {radius:.6g} a sample of {geometry} sees {seen:.0f} of the samples, itself among "
            f"them, expected {enough} at least for a sum over them to be an integral; take a larger radius, "
            f"about {radius * (2 * enough / max(seen, 1)) ** (1 / geometry.dim):.2g}, or a finer grid"
        )


def without_grid_options(spec: KernelSpec) -> None:
    """Refuse the options that only a lattice has."""
    if not spec.is_plain:
        raise ValueError(
            f"stride={spec.stride}, padding={spec.padding!r}, dilation={spec.dilation}, padding_mode="
            f"{spec.padding_mode!r}: these need a lattice, expected the defaults on this domain; "
            "resample to a coarser domain instead"
        )


def expect_field(
    f: Tensor, field: Field, channels: int | None, parts: int | None, space_axes: int, where: object
) -> None:
    """ValueError unless f is ``(batch, channels, [parts,] *space)``, of floating point."""
    expect_tensor(f, "the field")
    axes = 2 + (parts is not None) + space_axes
    wrong = f.dim() != axes or (channels is not None and f.shape[1] != channels)
    if wrong or (parts is not None and f.shape[2] != parts):
        count = "channels" if channels is None else channels
        raise ValueError(
            f"the field has shape {tuple(f.shape)}, expected (batch, {count}, "
            f"{'' if parts is None else f'{parts}, '}*space), {axes} axes in all, for "
            f"{'' if channels is None else f'{channels} '}{field} fields on {where}"
        )
    if not f.is_floating_point():
        raise ValueError(f"the field is {f.dtype}, expected a floating-point one; call .float() on it")


def expect_shape(found: tuple[int, ...], shape: tuple[int, ...] | None) -> None:
    """ValueError unless a field has the space axes that are expected; None expects none."""
    if shape is not None and found != shape:
        raise ValueError(f"the field has space axes {found}, expected {shape}")


def refuse_missing(f: Tensor) -> None:
    """ValueError for NaN, infinities and what files write where a value is missing; on the processor only,
    since elsewhere to ask is to wait."""
    if f.device.type != "cpu" or torch.compiler.is_compiling():
        return
    values = torch.view_as_real(f.detach().resolve_conj()) if f.is_complex() else f.detach()
    if not values.is_floating_point() or values.numel() == 0:
        return
    try:
        low, high = (float(end) for end in values.aminmax())  # one look at all; NaN where any is
    except RuntimeError:  # within torch.func.vmap nobody may look at a number
        return
    if low > -LARGE and high < LARGE:
        return
    values = values.to(torch.float64)
    kinds = {"NaN": values.isnan(), "infinite": values.isinf()}
    kinds |= {name: (values - fill).abs() <= NEAR * abs(fill) for name, fill in FILLS.items()}
    found = [f"{int(where.sum())} {name}" for name, where in kinds.items() if bool(where.any())]
    if found:
        count, _, rest = found[0].partition(" ")
        raise ValueError(
            f"{count} of {values.numel()} values of the field are {', '.join([rest, *found[1:]])}, expected "
            "numbers; where samples are missing, say so: domain.masked(mask), or mask= where it is made, "
            "True where there is data"
        )
