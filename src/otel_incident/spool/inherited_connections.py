"""The connections that a session of `requests` has from a parent: a child must neither use nor close them.

A daemon closes all descriptors that it has inherited and opens files of its own under their numbers. To close
one of the parent's connections there, or to have it collected, would close such a file.
"""

from __future__ import annotations

from typing import Any


def set_aside(session: Any) -> list[object]:
    """Have a session make new connections; all else that it is set up with, its owner's adapters too, stays.

    Args:
        session: A session of `requests`, or what has the methods of one.

    Returns:
        The connections that it had: to be kept for as long as the process lives.
    """
    kept: list[object] = []
    sessions = [session]
    for each in sessions:
        adapters = getattr(each, "adapters", None)
        if adapters is None:  # nothing is known of it but this; to share connections would be worse
            each.close()
            continue
        kept += [pools for adapter in adapters.values() for pools in _of_adapter(adapter)]
        for other in vars(each).values():  # by which some renew their credentials; two may name each other
            if hasattr(other, "adapters") and not any(other is known for known in sessions):
                sessions.append(other)
    return kept


def _of_adapter(adapter: Any) -> list[object]:
    """Take the pools of connections from an adapter, which gets empty ones."""
    kept: list[object] = []
    # to endpoints, through proxies, and an adapter's own: to a socket in the file system, for one
    proxies = getattr(adapter, "proxy_manager", {}).values()
    for holder in (getattr(adapter, "poolmanager", None), *proxies, adapter):
        pools: Any = getattr(holder, "pools", None)
        if hasattr(pools, "_maxsize"):
            holder.pools = type(pools)(pools._maxsize, pools.dispose_func)  # noqa: SLF001  it has no public place
            kept.append(pools)
    if not kept:
        adapter.close()  # as with a session that nothing is known of
    return kept
