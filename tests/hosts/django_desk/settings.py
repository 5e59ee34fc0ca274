"""Its settings."""

import os

SECRET_KEY = "a key for tests alone"  # noqa: S105  a test's site holds nothing secret
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_desk.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DESK_DATABASE"]}}  # noqa: TID251  a settings module is where a Django project reads its environment
PAGER = os.environ["DESK_PAGER"]  # noqa: TID251  a settings module is where a Django project reads its environment
INSTALLED_APPS: list[str] = []
MIDDLEWARE: list[str] = []
USE_TZ = True
