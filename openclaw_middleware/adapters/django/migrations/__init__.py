"""The tables of `store="django:..."`; see `tables`."""
