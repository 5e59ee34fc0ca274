"""Tools for building and checking the package; nothing here is installed with it."""
