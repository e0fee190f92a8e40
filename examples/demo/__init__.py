"""The demo: a notepad that lives in a session, and beside it what the middleware did for it."""
