"""What the desk keeps: teams and their members, reports from customers, incidents and what is said there."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models


class Team(models.Model):
    """Who looks after a part of the company."""

    name = models.CharField(max_length=80, unique=True)

    def __str__(self) -> str:
        return str(self.name)


class Member(AbstractUser):
    """Somebody who can log in; a superuser administers the desk."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, related_name="members")
    job_title = models.CharField(max_length=80, blank=True)
    phone = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return str(self.get_full_name() or self.username)


class Report(models.Model):
    """What a customer wrote to us; an incident may grow out of it."""

    sender = models.CharField(max_length=120)
    email = models.EmailField()
    text = models.TextField()
    received_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.sender} <{self.email}>"


class Incident(models.Model):
    """Something is broken and somebody is in command until it no longer is."""

    class Status(models.TextChoices):
        """How far we are; only the last means that it is over."""

        INVESTIGATING = "investigating"
        MONITORING = "monitoring"
        RESOLVED = "resolved"

    title = models.CharField(max_length=200)
    description = models.TextField()
    resolution = models.TextField(blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.INVESTIGATING)
    stage = models.SlugField(max_length=40)
    stage_count = models.PositiveSmallIntegerField(default=0)
    is_public = models.BooleanField(default=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="incidents")
    commander = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="commanded")
    report = models.ForeignKey(Report, on_delete=models.SET_NULL, null=True, related_name="incidents")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.title)


class Stage(models.Model):
    """One stage of an incident's checklist."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="stages")
    slug = models.SlugField(max_length=40)
    name = models.CharField(max_length=120)
    position = models.PositiveSmallIntegerField()

    class Meta:
        """In the order in which they are gone through."""

        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["incident", "slug"], name="one_of_each_stage")
        ]

    def __str__(self) -> str:
        return str(self.name)


class Task(models.Model):
    """Something to do in a stage."""

    stage = models.ForeignKey(Stage, on_delete=models.CASCADE, related_name="tasks")
    text = models.CharField(max_length=300)
    assignee = models.ForeignKey(Member, on_delete=models.PROTECT, null=True, related_name="tasks")
    done = models.BooleanField(default=False)

    def __str__(self) -> str:
        return str(self.text)


class Message(models.Model):
    """One entry of an incident's timeline."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="messages")
    author = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="messages")
    text = models.TextField()
    written_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Oldest first."""

        ordering: ClassVar = ["written_at", "pk"]

    def __str__(self) -> str:
        return str(self.text)
