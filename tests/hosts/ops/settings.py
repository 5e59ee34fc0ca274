"""Settings of the project: two SQLite files, sessions, nothing else."""

import os
from pathlib import Path

DATA = Path(os.environ["OPS_DATA"])  # noqa: TID251  a settings module is where a Django project reads its environment
USE_TZ = os.environ.get("OPS_USE_TZ", "true") == "true"  # noqa: TID251  a settings module is where a Django project reads its environment
TIME_ZONE = os.environ.get("OPS_TIME_ZONE", "UTC")  # noqa: TID251  a host of the tests, which is set up so

SECRET_KEY = "a key for tests alone"  # noqa: S105  a test's project holds nothing secret
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.hosts.ops.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA / f"{alias}.sqlite3"}
    for alias in ("default", "archive")
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "tests.hosts.ops",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
}
