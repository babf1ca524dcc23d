"""What every layer says of itself."""

from erlangen.domains import Domain, KernelSpec


class Equivariant:
    """A layer on a domain, or from one to another, that knows what it commutes with."""

    domain: Domain
    to_domain: Domain | None = None

    @property
    def equivariant_to(self) -> str:
        """The name of the group that the layer commutes with."""
        return self.domain.equivariant_to(KernelSpec(), self.to_domain)
