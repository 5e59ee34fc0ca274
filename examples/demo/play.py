"""Plays the screenplay over the host's API as its members would, and notes what must be reported for it.

The expectation comes from what the host answers and from the screenplay, never from the package shown: ids,
commander and time of creation as the API tells them, who was logged in, and whether what was done is a
lifecycle action at all. Some of it is not: the same commander again, a failed opening, a second close.
"""

import http.cookiejar
import json
import tomllib
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, final

SCREENPLAY: Final = Path(__file__).resolve().parent / "screenplay.toml"

# The order in which the hook file names the host's stages: what goes on the wire is the position in it.
_STAGES: Final = ("triage", "contain", "recover", "review")
_ACTIVE_AFTER: Final = {"end": False}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@final
@dataclass(frozen=True, slots=True)
class Expected:
    """One event that has to arrive.

    Attributes:
        name: The event's name.
        attributes: Exactly those it has, but for `log.record.uid` and `incident.duration`.
    """

    name: str
    attributes: Mapping[str, object]

    @property
    def incident(self) -> str:
        """The incident's id on the wire."""
        return str(self.attributes["incident.id"])


class PlayError(Exception):
    """The host did not answer as the screenplay has it."""


@final
class Person:
    """Somebody with a browser session at the host.

    Args:
        base_url: Where the host is.
        spoken: Takes every string that is sent to the host.
    """

    def __init__(self, base_url: str, spoken: set[str]) -> None:
        self._base_url = base_url
        self._spoken = spoken
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # the host is on this machine, whatever the proxy variables say
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )
        self._token = ""
        self.id = 0
        self.team = 0
        self.is_superuser = False

    def log_in(self, described: Mapping[str, Any]) -> None:
        """Log in as one of the members of `people.json`."""
        self._token = self.ask("/session")["token"]
        credentials = {"username": described["username"], "password": described["password"]}
        answer = self.tell("/session", credentials)
        self._token, self.id, self.team = answer["token"], answer["member"], answer["team"]
        self.is_superuser = bool(described.get("is_superuser"))

    def ask(self, path: str) -> dict[str, Any]:
        """GET."""
        return self._call(urllib.request.Request(self._base_url + path), 200)  # noqa: S310  http, and ours

    def tell(self, path: str, body: Mapping[str, Any], status: int = 200) -> dict[str, Any]:
        """POST; `status` is the one that the host has to answer with."""
        self._spoken.update(strings_in(body))
        request = urllib.request.Request(  # noqa: S310  http, and ours
            self._base_url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-CSRFToken": self._token},
            method="POST",
        )
        return self._call(request, status)

    def _call(self, request: urllib.request.Request, status: int) -> dict[str, Any]:
        try:
            with self._opener.open(request, timeout=30) as response:
                answered, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                answered, text = error.code, error.read()
        except OSError as error:
            raise PlayError(f"{request.get_method()} {request.full_url}: {error}") from error
        if answered != status:
            said = text[:200].decode(errors="replace")
            raise PlayError(f"{request.get_method()} {request.full_url}: {answered}, not {status}: {said}")
        return dict(json.loads(text))


@final
class Play:
    """One performance.

    Args:
        base_url: Where the host is.
        people: The members, as the host was seeded with them.

    Attributes:
        expected: What has to arrive, in the order in which it was done.
        spoken: Every string that was sent to the host.
        titles: The incidents' titles by their ids on the wire.
    """

    def __init__(self, base_url: str, people: list[dict[str, Any]]) -> None:
        self.expected: list[Expected] = []
        self.spoken: set[str] = set()
        self.titles: dict[str, str] = {}
        self._base_url = base_url
        self._described = people
        self._people: dict[str, Person] = {}
        self._incidents = tomllib.loads(SCREENPLAY.read_text(encoding="utf-8"))["incident"]

    def run(self, progress: Callable[[int, int, str], None]) -> None:
        """Play all of it, one step of each incident in turn.

        Args:
            progress: Told how many of how many steps are done, and which is next.

        Raises:
            PlayError: The host did not answer as it should have.
        """
        total = len(self._described) + sum(1 + len(incident["step"]) for incident in self._incidents)
        done = 0
        for described in self._described:
            progress(done, total, f"{described['username']} logs in")
            person = self._people[described["username"]] = Person(self._base_url, self.spoken)
            person.log_in(described)
            done += 1
        under_way = deque(self._acts(incident) for incident in self._incidents)
        while under_way:
            acts = under_way.popleft()
            for what in acts:  # one step, then it is the next incident's turn
                done += 1
                progress(done, total, what)
                under_way.append(acts)
                break

    def _acts(self, script: Mapping[str, Any]) -> Iterator[str]:
        incident = self._open(script)
        yield f"incident {incident['id']}: open"
        for step in script["step"]:
            incident = self._act(incident, step)
            yield f"incident {incident['id']}: {step['do'].replace('_', ' ')}"

    def _open(self, script: Mapping[str, Any]) -> dict[str, Any]:
        by = self._people[script["by"]]
        body = {key: script[key] for key in ("title", "description", "public", "stages")} | {"team": by.team}
        if "report" in script:
            body["report"] = by.tell("/reports", script["report"])["id"]
        incident = by.tell("/incidents", body)
        self.titles[str(incident["id"])] = incident["title"]
        self._expect("create", incident, by)
        return incident

    def _act(self, incident: dict[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
        """Do one step; returns the incident as it is then."""
        by, at = self._people[step["by"]], f"/incidents/{incident['id']}"
        match step["do"]:
            case "task":
                tasks = [task["id"] for task in by.ask(at)["tasks"] if not task["done"]]
                by.tell(f"/tasks/{tasks[0]}/done", {})
            case "close_again":
                by.tell(f"{at}/close", {"resolution": step["resolution"]}, status=409)
            case "failed_open":
                self._fail_to_open(by, step)
            case _:
                action, path, body = self._request(step)
                after = by.tell(f"{at}/{path}", body)
                if action and after != incident:  # saying what is already so is no change
                    self._expect(action, after, by)
                return after
        return incident

    def _request(self, step: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
        """The lifecycle action that a step is ("" for none), and what is sent where for it."""
        match step["do"]:
            case "message":
                return "", "messages", {"text": step["text"]}
            case "monitor":
                return "", "monitoring", {}
            case "hand_over":
                return "change_commander", "commander", {"member": self._people[step["to"]].id}
            case "stage":
                return "change_stage", "stage", {"stage": step["to"]}
            case "close":
                return "end", "close", {"resolution": step["resolution"]}
            case "reopen":
                return "restart", "reopen", {"reason": step["reason"]}
            case unknown:
                raise PlayError(f"{SCREENPLAY.name}: there is no step {unknown}")

    def _fail_to_open(self, by: Person, step: Mapping[str, Any]) -> None:
        """The host finds out in the middle of its transaction, and rolls the incident back."""
        stages = [{"slug": "triage", "name": step["title"], "tasks": [[step["description"], step["nobody"]]]}]
        body = {"title": step["title"], "description": step["description"], "public": True, "stages": stages}
        by.tell("/incidents", body | {"team": by.team}, status=409)

    def _expect(self, action: str, incident: Mapping[str, Any], by: Person) -> None:
        attributes: dict[str, object] = {
            "incident.id": str(incident["id"]),
            "incident.action": action,
            "incident.active": _ACTIVE_AFTER.get(action, True),
            "incident.commander.id": str(incident["commander"]),
            "incident.team.id": str(incident["team"]),
            "incident.created_at": _on_the_wire(incident["created_at"]),
            "incident.checklist.count": incident["stages"],
            "incident.checklist.item.count": 0,
            "user.id": str(by.id),
            "user.roles": ("system_admin" if by.is_superuser else "end_user",),
        }
        if incident["report"] is not None:
            attributes["incident.post.id"] = str(incident["report"])
        if action == "create":
            attributes["incident.public"] = incident["public"]
        if action == "change_stage":
            attributes["incident.stage.index"] = _STAGES.index(incident["stage"])
        self.expected.append(Expected(f"incident.{action}", attributes))


def strings_in(value: object) -> Iterator[str]:
    """Every string among the values of a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings_in(item)


def _on_the_wire(moment: str) -> str:
    """A timestamp as the vocabulary has it: ISO 8601 in UTC with milliseconds."""
    milliseconds = (datetime.fromisoformat(moment) - _EPOCH) // timedelta(milliseconds=1)
    moment_in_utc = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment_in_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
