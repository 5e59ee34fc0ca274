"""Views that end an incident, each in the way of another host."""
# mypy: allow-subclassing-any
# Neither Django nor REST framework ships types, so their base classes are Any.

import asyncio
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.hosts.ops.models import Incident

later: list["asyncio.Task[None]"] = []
"""What a view has left to be done after its response."""

go_on = asyncio.Event()
"""Lets it go on."""


def end(pk: int) -> None:
    """End an incident."""
    incident = Incident.objects.get(pk=pk)
    incident.status = 4
    incident.save()


def unseen(_request: HttpRequest, pk: int) -> HttpResponse:
    """Looks at no user."""
    end(pk)
    return HttpResponse()


def seen(request: HttpRequest, pk: int) -> HttpResponse:
    """Looks at the user."""
    name = request.user.username
    end(pk)
    return HttpResponse(name)


def failing(request: HttpRequest, pk: int) -> HttpResponse:
    """Looks at the user, and fails after it has ended the incident."""
    seen(request, pk)
    raise RuntimeError(pk)


def partly(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a user of whom only the name was loaded."""
    request.user = User.objects.only("username").get(pk=request.user.pk)
    end(pk)
    return HttpResponse()


class Robot:
    """Somebody who is not in the database."""

    is_authenticated = True
    is_superuser = True
    pk = "018f4f2e7d1c7e559d4a0123456789ab"


class Hostile:
    """A user that cannot be looked at."""

    @property
    def is_authenticated(self) -> bool:
        """Fails."""
        raise ValueError("a secret")


def robot(request: HttpRequest, pk: int) -> HttpResponse:
    """A user who is no row."""
    request.user = Robot()
    end(pk)
    return HttpResponse()


def hostile(request: HttpRequest, pk: int) -> HttpResponse:
    """A user that raises."""
    request.user = Hostile()
    end(pk)
    return HttpResponse()


def nested(request: HttpRequest, pk: int) -> HttpResponse:
    """Makes another request, by nobody, before it goes on."""
    name = request.user.username
    Client().post(f"/seen/{pk}")
    incident = Incident.objects.get(pk=pk)
    incident.status = 1
    incident.save()
    return HttpResponse(name)


async def asynchronous(request: HttpRequest, pk: int) -> HttpResponse:
    """Looks at the user as asynchronous views do."""
    user: Any = await request.auser()
    incident = await Incident.objects.aget(pk=pk)
    incident.status = 4
    await incident.asave()
    return HttpResponse(user.username)


async def spawning(request: HttpRequest, pk: int) -> HttpResponse:
    """Leaves the work to a task that goes on after the response."""
    user: Any = await request.auser()

    async def work() -> None:
        await go_on.wait()
        incident = await Incident.objects.aget(pk=pk)
        incident.status = 4
        await incident.asave()

    later.append(asyncio.create_task(work()))
    return HttpResponse(user.username)


class Rest(APIView):
    """A view of REST framework, which authenticates by itself."""

    def post(self, _request: Any, pk: int) -> Response:
        """End it."""
        end(pk)
        return Response()
