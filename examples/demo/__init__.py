"""The demonstration: plays incidents at the example host, and shows what of them reached a collector.

`screenplay.toml` is what is played, `play` plays it, `backstage` runs the host, `inventory` lists what it
held, `search` looks for that in what arrived, `verdict` judges, `display` shows, and `__main__` is the order.
"""
