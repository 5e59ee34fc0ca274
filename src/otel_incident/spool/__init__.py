"""The spool: what happened is on disk before the host's call returns, and leaves from there.

segments and lines are what is on disk, delivery and answers what becomes of it, sender the thread behind it.
"""
