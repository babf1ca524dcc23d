"""What every layer says of itself."""

from torch import nn

from erlangen.domains import Domain, KernelSpec


class Equivariant(nn.Module):
    """A layer on a domain, or from one to another, that knows what it commutes with."""

    domain: Domain
    to_domain: Domain | None = None
    spec = KernelSpec()  # of layers without a kernel: one at each point, between scalars

    @property
    def equivariant_to(self) -> str:
        """The name of the group that the layer commutes with."""
        return self.domain.equivariant_to(self.spec, self.to_domain)
