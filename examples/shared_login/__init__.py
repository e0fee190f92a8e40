"""A Django site, a Flask application and a FastAPI application that share one sign-in."""
