"""The one page for people: the board."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .models import Incident


@login_required
def board(request: HttpRequest) -> HttpResponse:
    """Every incident with its timeline, newest first."""
    incidents = Incident.objects.select_related("team", "commander").prefetch_related("messages__author")
    return render(request, "desk/board.html", {"incidents": incidents.order_by("-pk")})
