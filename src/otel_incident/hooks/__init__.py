"""Turn what a host already does into lifecycle events, without a line of it changed.

`spec` reads the declarative files, `paths` looks values up, `extraction` makes an event of them;
`calls`, `django` and `sqlalchemy` watch the host; `activation` puts it all in place and takes it away again.
"""
