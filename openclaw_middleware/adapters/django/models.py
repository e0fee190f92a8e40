"""No models: sessions are read through the session API. `tables` and the migration make the tables.

Django sends `post_migrate` only to applications that have this module.
"""
