"""What the desk does later, in a worker; its broker is a directory."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from known_desk import incidents  # type: ignore[import-not-found]  # on the path of the hosts alone

BROKER = Path(os.environ["DESK_BROKER"])  # noqa: TID251  where a host finds its own things is not the package's configuration
for folder in ("messages", "control", "done"):
    (BROKER / folder).mkdir(parents=True, exist_ok=True)

application = Celery("known_desk", broker="filesystem://")
application.conf.update(
    broker_transport_options={
        "data_folder_in": str(BROKER / "messages"),
        "data_folder_out": str(BROKER / "messages"),
        "processed_folder": str(BROKER / "done"),
        "control_folder": str(BROKER / "control"),
        "store_processed": True,
        "polling_interval": 0.05,
    },
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
)


@application.task(bind=True, max_retries=1)  # type: ignore[untyped-decorator]  # Celery has no types
def close(task: Any, number: int) -> None:
    """End an incident, at the second attempt."""
    if not task.request.retries:
        raise task.retry(countdown=0)
    incidents.close(number)
