"""Incidents as hosts model them: by integers, by choices, by rows of a table, by a proxy, by a child."""
# mypy: allow-subclassing-any
# Django ships no types, so its base classes are Any.

import uuid

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone


class Severity(models.IntegerChoices):
    """Choices that are integers."""

    LOW = 0
    HIGH = 1


class Phase(models.TextChoices):
    """Choices that are text; the status and the stage at once."""

    TRIAGE = "triage"
    REPAIR = "repair"
    REVIEW = "review"
    OVER = "over"
    DROPPED = "dropped"


class Incident(models.Model):
    """By integers: status 1 and 2 are open, 3 and above are closed."""

    status = models.IntegerField(default=1)
    priority = models.IntegerField(null=True)
    commander = models.ForeignKey(User, on_delete=models.SET_NULL, null=True)
    team = models.IntegerField(default=7)
    title = models.CharField(max_length=200, default="Payments are down")
    created = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        """Its title."""
        return str(self.title)

    def save(self, *args: object, **kwargs: object) -> None:
        """Save, and fail afterwards if that is asked for."""
        super().save(*args, **kwargs)
        if self.title == "fails after it was saved":
            raise RuntimeError(self.title)


class Alarm(Incident):
    """The same rows under another class."""

    class Meta:
        """A proxy."""

        proxy = True


class Outage(Incident):
    """Rows of its own, which continue those of its parent."""

    region = models.CharField(max_length=20, default="eu")


class Drill(Incident):
    """The same with a key of their own."""

    number = models.AutoField(primary_key=True)
    incident = models.OneToOneField(
        Incident, on_delete=models.CASCADE, parent_link=True, related_name="drill"
    )


class Case(models.Model):
    """By choices, with ids that are UUIDs."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    phase = models.CharField(max_length=20, choices=Phase.choices, default=Phase.TRIAGE)
    severity = models.IntegerField(choices=Severity.choices, default=Severity.LOW)
    owner = models.UUIDField(null=True)

    def __str__(self) -> str:
        """Its id."""
        return str(self.id)


class State(models.Model):
    """A status as a row of a table."""

    name = models.CharField(max_length=20)

    def __str__(self) -> str:
        """Its name."""
        return str(self.name)


class Job(models.Model):
    """By rows of a table: state 2 is closed."""

    state = models.ForeignKey(State, on_delete=models.PROTECT)
    opened = models.DateTimeField(null=True)

    def __str__(self) -> str:
        """Its number."""
        return str(self.pk)


class Entry(models.Model):
    """What is done with an incident, in rows of its own."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE)
    kind = models.CharField(max_length=20)
    at = models.DateTimeField(default=timezone.now)
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True)

    def __str__(self) -> str:
        """Its number."""
        return str(self.pk)


class Role(models.Model):
    """What somebody is in an incident; the kind of a role is a row of a table."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE)
    person = models.ForeignKey(User, on_delete=models.CASCADE)
    kind = models.ForeignKey(State, on_delete=models.PROTECT)

    def __str__(self) -> str:
        """Its number."""
        return str(self.pk)
