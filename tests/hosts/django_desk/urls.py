"""What it does, and where."""

import logging
from typing import Any

import requests
from django.conf import settings
from django.db import connection
from django.http import JsonResponse
from django.urls import path

logger = logging.getLogger("desk")


def declare(request: Any, team: str) -> Any:
    """Keep an incident and page the team."""
    title, reporter = request.POST["title"], request.POST["reporter"]
    with connection.cursor() as cursor:
        cursor.execute("create table if not exists incident (id integer primary key, title, reporter)")
        cursor.execute("insert into incident (title, reporter) values (%s, %s)", [title, reporter])
    requests.get(f"{settings.PAGER}/page/{team}", params={"title": title}, timeout=5)
    logger.warning("%s declared %s", reporter, title)
    return JsonResponse({"title": title}, status=201)


def search(request: Any) -> Any:
    """Count incidents by a title, as nobody should."""
    statement = f"select count(*) from incident where title = '{request.GET['title']}'"  # noqa: S608  a literal in a statement is what a gate has to stop
    with connection.cursor() as cursor:
        cursor.execute(statement)
        (count,) = cursor.fetchone()
    return JsonResponse({"count": count})


def escalate(request: Any, number: int) -> None:
    """Fail with a message that says what the incident is about."""
    raise LookupError(f"nobody is on call for {request.POST['title']}, number {number}")


urlpatterns = [
    path("incidents", search),
    path("incidents/<str:team>", declare),
    path("incidents/<int:number>/escalate", escalate),
]
