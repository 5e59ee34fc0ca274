"""A small Django project whose models and views are what hosts do, and do wrong, one of each."""
