"""Where everything is: a board for people under `/`, an API for programs beside it."""

from django.contrib.auth.views import LoginView
from django.urls import path

from . import api, pages

urlpatterns = [
    path("", pages.board, name="board"),
    path("login", LoginView.as_view(template_name="desk/login.html"), name="login"),
    path("session", api.session),
    path("reports", api.reports),
    path("incidents", api.incidents),
    path("incidents/<int:incident_id>", api.incident),
    path("incidents/<int:incident_id>/commander", api.commander),
    path("incidents/<int:incident_id>/stage", api.stage),
    path("incidents/<int:incident_id>/messages", api.messages),
    path("incidents/<int:incident_id>/monitoring", api.monitoring),
    path("incidents/<int:incident_id>/close", api.close),
    path("incidents/<int:incident_id>/reopen", api.reopen),
    path("tasks/<int:task_id>/done", api.task_done),
]
