"""The Django site: the users, their passwords and the admin are here."""
