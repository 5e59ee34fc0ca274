"""Where the project's views are."""

from django.urls import path

from tests.hosts.ops import views

_NAMES = (
    "unseen",
    "seen",
    "failing",
    "partly",
    "robot",
    "hostile",
    "nested",
    "asynchronous",
    "spawning",
)

urlpatterns = [path(f"{name}/<int:pk>", getattr(views, name)) for name in _NAMES]
urlpatterns.append(path("rest/<int:pk>", views.Rest.as_view()))
