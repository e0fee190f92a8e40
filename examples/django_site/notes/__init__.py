"""A notepad for people who sign in: Django's own log-in and admin on our sessions."""
