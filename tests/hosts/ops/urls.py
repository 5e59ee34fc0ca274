"""Where the project's views are."""

urlpatterns: list[object] = []
