"""Which type of field a module gives."""

from torch import Tensor, nn

from erlangen.domains import Domain
from erlangen.domains.spec import Field


def field_of(
    y: Tensor, domain: Domain, module: nn.Module | None = None, told: Field | None = None
) -> Field | None:
    """The type of an output: as told, else as its last layer says, else by its axes, of which scalar and sign
    fields have two, regular and vector fields three. None for invariants ``(batch, features)``."""
    if y.dim() == 2:
        return None
    axes = y.dim() - domain.space_axes
    if axes not in (2, 3):
        raise ValueError(
            f"the module's output has shape {tuple(y.shape)}, expected (batch, channel, [fibre,] *space) or "
            "(batch, features)"
        )
    field = told or (None if module is None else _said(module))
    if field is None:
        field = "scalar" if axes == 2 else "vector" if domain.default_field == "scalar" else "regular"
    parts = domain.parts(domain.representation(field))
    if (parts is not None) != (axes == 3) or (parts is not None and y.shape[2] != parts):
        components = "no axis of components" if parts is None else f"{parts} components"
        raise ValueError(
            f"the module's output has shape {tuple(y.shape)}, but {field} fields of {domain} have "
            f"{components}; expected another out_field="
        )
    return field


def _said(module: nn.Module) -> Field | None:
    """The type that a layer names, or the last layer of a sequence."""
    if isinstance(module, nn.Sequential) and len(module):
        *before, last = module
        return _said(nn.Sequential(*before) if isinstance(last, nn.Identity) else last)
    names = (getattr(module, name, None) for name in ("out_field", "field"))
    return next((name for name in names if isinstance(name, str)), None)  # type: ignore[return-value]
