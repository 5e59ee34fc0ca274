"""What the desk does, and for whom."""

from dataclasses import dataclass


@dataclass
class Person:
    """One of the desk's users; the frameworks ask for the rest."""

    id: int | str
    name: str
    is_superuser: bool
    is_authenticated: bool = True

    @property
    def identity(self) -> str:
        """What Starlette calls the id."""
        return str(self.id)

    @property
    def display_name(self) -> str:
        """What it shows."""
        return self.name


PEOPLE = {
    "7": Person(7, "Morgan", is_superuser=True),
    "8": Person(8, "Alex", is_superuser=False),
    "sam": Person("sam@acme.test", "Sam", is_superuser=False),
}


def close(number: int) -> int:
    """End an incident."""
    return number
