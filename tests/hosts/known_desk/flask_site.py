"""The desk on Flask with flask-login."""

import flask
import flask_login
from known_desk import incidents, tasks  # type: ignore[import-not-found]  # on the path of the hosts alone

application = flask.Flask("known_desk")
application.secret_key = "a secret"  # noqa: S105  of a test
login = flask_login.LoginManager(application)


@login.request_loader  # type: ignore[untyped-decorator]  # flask-login has no types
def who(request: flask.Request) -> incidents.Person | None:
    """Whoever the header names."""
    return incidents.PEOPLE.get(request.headers.get("x-user", ""))


@application.post("/close/<int:number>")
@flask_login.login_required  # type: ignore[untyped-decorator]  # the same
def close(number: int) -> str:
    """End an incident now."""
    incidents.close(number)
    return ""


@application.post("/unseen/<int:number>")
def close_unseen(number: int) -> str:
    """End one without a look at who it is."""
    incidents.close(number)
    return ""


@application.post("/later/<int:number>")
@flask_login.login_required  # type: ignore[untyped-decorator]  # the same
def close_later(number: int) -> str:
    """End one in a worker."""
    tasks.close.delay(number)
    return ""


@application.post("/nobody/<int:number>")
def close_later_for_nobody(number: int) -> str:
    """End one in a worker, for nobody."""
    tasks.close.delay(number)
    return ""
