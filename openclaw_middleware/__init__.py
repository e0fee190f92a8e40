"""Sessions for Python web applications: one implementation for every framework."""
