"""The JSON API: log in, open incidents, and do what `services` can do with them."""

import functools
import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, JsonResponse
from django.middleware.csrf import get_token
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from . import services
from .models import Incident, Member, Message, Report, Task

View = Callable[..., dict[str, Any]]


def answers(view: View) -> Callable[..., JsonResponse]:
    """A view that returns what its JSON answer says; what is refused becomes a 4xx with the reason."""

    @functools.wraps(view)
    def answer(request: HttpRequest, **ids: int) -> JsonResponse:
        try:
            return JsonResponse(view(request, **ids))
        except services.RefusedError as error:
            return JsonResponse({"error": str(error)}, status=409)
        except ObjectDoesNotExist as error:
            return JsonResponse({"error": str(error)}, status=404)
        except (ValueError, KeyError, TypeError) as error:
            return JsonResponse({"error": f"not understood: {error}"}, status=400)

    return answer


def members_only(view: View) -> View:
    """A view for whoever is logged in."""

    @functools.wraps(view)
    def checked(request: HttpRequest, **ids: int) -> dict[str, Any]:
        if not request.user.is_authenticated:
            raise services.RefusedError("log in first")
        return view(request, **ids)

    return checked


@require_http_methods(["GET", "POST", "DELETE"])
@answers
def session(request: HttpRequest) -> dict[str, Any]:
    """GET: the token that further requests carry; POST: log in; DELETE: log out."""
    if request.method == "POST":
        given = json.loads(request.body)
        member = authenticate(request, username=given["username"], password=given["password"])
        if member is None:
            raise services.RefusedError("the name or the password is wrong")
        login(request, member)
    elif request.method == "DELETE":
        logout(request)
    user = request.user
    team = getattr(user, "team_id", None)
    return {"token": get_token(request), "member": user.pk, "name": str(user), "team": team}


@require_POST
@answers
def reports(request: HttpRequest) -> dict[str, Any]:
    """A customer writes to us."""
    given = json.loads(request.body)
    report = Report.objects.create(sender=given["sender"], email=given["email"], text=given["text"])
    return {"id": report.pk}


@require_http_methods(["GET", "POST"])
@answers
@members_only
def incidents(request: HttpRequest) -> dict[str, Any]:
    """GET: all incidents; POST: open one."""
    if request.method == "POST":
        return described(services.open_incident(request.user, **json.loads(request.body)))
    return {"incidents": [described(incident) for incident in Incident.objects.all()]}


@require_GET
@answers
@members_only
def incident(request: HttpRequest, incident_id: int) -> dict[str, Any]:  # noqa: ARG001  Django's signature
    """One incident with its timeline."""
    found = Incident.objects.get(pk=incident_id)
    timeline = [{"author": str(each.author), "text": each.text} for each in found.messages.all()]
    tasks = Task.objects.filter(stage__incident=found).order_by("stage__position", "pk")
    checklist = [{"id": each.pk, "text": each.text, "done": each.done} for each in tasks]
    return described(found) | {"description": found.description, "messages": timeline, "tasks": checklist}


@require_POST
@answers
@members_only
def commander(request: HttpRequest, incident_id: int) -> dict[str, Any]:
    """Hand over."""
    found = Incident.objects.get(pk=incident_id)
    services.hand_over(found, Member.objects.get(pk=json.loads(request.body)["member"]))
    return described(found)


@require_POST
@answers
@members_only
def stage(request: HttpRequest, incident_id: int) -> dict[str, Any]:
    """Go to another stage."""
    found = Incident.objects.get(pk=incident_id)
    services.move_to(found, json.loads(request.body)["stage"])
    return described(found)


@require_POST
@answers
@members_only
def messages(request: HttpRequest, incident_id: int) -> dict[str, Any]:
    """Say something."""
    found = Incident.objects.get(pk=incident_id)
    Message.objects.create(incident=found, author=request.user, text=json.loads(request.body)["text"])
    return described(found)


@require_POST
@answers
@members_only
def task_done(request: HttpRequest, task_id: int) -> dict[str, Any]:  # noqa: ARG001  Django's signature
    """Tick off a task."""
    task = Task.objects.get(pk=task_id)
    task.done = True
    task.save(update_fields=["done"])
    return {"id": task.pk, "done": task.done}


@require_POST
@answers
@members_only
def monitoring(request: HttpRequest, incident_id: int) -> dict[str, Any]:  # noqa: ARG001  Django's signature
    """Keep watching."""
    found = Incident.objects.get(pk=incident_id)
    services.monitor(found)
    return described(found)


@require_POST
@answers
@members_only
def close(request: HttpRequest, incident_id: int) -> dict[str, Any]:
    """Call it over."""
    found = Incident.objects.get(pk=incident_id)
    services.close(found, request.user, json.loads(request.body)["resolution"])
    return described(found)


@require_POST
@answers
@members_only
def reopen(request: HttpRequest, incident_id: int) -> dict[str, Any]:
    """It was not over."""
    found = Incident.objects.get(pk=incident_id)
    services.reopen(found, request.user, json.loads(request.body)["reason"])
    return described(found)


def described(incident: Incident) -> dict[str, Any]:
    """An incident as the API tells it."""
    return {
        "id": incident.pk,
        "title": incident.title,
        "status": incident.status,
        "stage": incident.stage,
        "stages": incident.stage_count,
        "public": incident.is_public,
        "team": incident.team_id,
        "commander": incident.commander_id,
        "report": incident.report_id,
        "created_at": incident.created_at.isoformat(),
    }
