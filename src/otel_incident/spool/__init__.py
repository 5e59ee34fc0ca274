"""The spool: what happened is on disk before the host's call returns, and leaves from there.

On disk: lines in segments (writer, lines, segments, line_reader), cursors, quarantine. On the way out: sender
(a thread), delivery (what to try), attempts and answers (what the endpoint says), backlog (what waits).
"""
